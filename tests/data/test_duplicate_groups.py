"""Groups of copies, and splits that keep them together."""

import numpy as np
import pandas as pd
import pytest

from tl_keras.config.schema import DataConfig
from tl_keras.data.duplicate_groups import (
    COLUMNS,
    duplicate_table,
    duplicates_across_given_splits,
    duplicates_across_splits,
    keep_together,
)
from tl_keras.data.fingerprints import THUMBNAIL, Fingerprint
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import make_splits
from tl_keras.errors import DataError


def prints_of(pictures: list[int]) -> list[Fingerprint]:
    """Noise; the same number gives the same picture."""
    made = []
    for number in pictures:
        noise = np.random.default_rng(number).integers(0, 256, (THUMBNAIL, THUMBNAIL), np.uint8)
        ends = np.full((2, 3), [[0], [255]], np.uint8)
        made.append(Fingerprint(bytes([number + 1]), noise, gray=True, levels=9, ends=ends))
    return made


def table_of(labels: str, groups: list[str] | None = None, split: str = "") -> ImageTable:
    ids = [f"{number:02d}.png" for number in range(len(labels))]
    parts: list[str | None] = [{"r": "train", "e": "test"}[letter] for letter in split]
    frame = pd.DataFrame(
        {
            "image_id": ids,
            "path": ids,
            "label": list(labels),
            "class_index": ["ab".index(label) for label in labels],
            "group": groups or ids,
            "split": pd.Series(parts or [None] * len(ids), dtype=object),
        }
    )
    return ImageTable(frame, ("a", "b"), None, pd.DataFrame({"path": [], "reason": []}))


def test_groups_with_several_labels_come_first() -> None:
    found = duplicate_table(table_of("aaabbb").frame, prints_of([1, 2, 1, 3, 2, 4]))
    assert list(found.columns) == COLUMNS
    assert found["group"].tolist() == [1, 1, 2, 2]
    assert found["image_id"].tolist() == ["01.png", "04.png", "00.png", "02.png"]
    assert found["label"].tolist() == ["a", "b", "a", "a"]
    assert set(found["kind"]) == {"exact"}
    assert found["same_as"].tolist() == ["04.png", "01.png", "02.png", "00.png"]


def test_without_copies_the_table_is_empty() -> None:
    found = duplicate_table(table_of("ab").frame, prints_of([1, 2]))
    assert list(found.columns) == COLUMNS
    assert len(found) == 0


def test_copies_unite_the_groups_that_they_are_in() -> None:
    table = table_of("aaabbb", groups=["g", "g", "h", "i", "j", "j"])
    found = duplicate_table(table.frame, prints_of([1, 2, 3, 2, 4, 5]))
    kept = keep_together(table, found)
    assert kept.frame["group"].tolist() == ["g", "g", "h", "g", "j", "j"]
    assert kept.united == 2
    assert table.frame["group"].tolist() == ["g", "g", "h", "i", "j", "j"]


def test_given_splits_stay_and_the_leak_is_named() -> None:
    table = table_of("ababab", split="rrerrr")
    found = duplicate_table(table.frame, prints_of([1, 2, 1, 3, 1, 4]))
    kept = keep_together(table, found)
    assert kept.frame["group"].tolist() == [
        "00.png",
        "01.png",
        "02.png",
        "03.png",
        "00.png",
        "05.png",
    ]
    leak = duplicates_across_given_splits(kept, found)
    assert leak is not None
    assert leak.groups == (("00.png", "02.png", "04.png"),)
    assert "00.png = 02.png = 04.png" in leak.message


def test_no_split_goes_through_copies_that_are_kept_together() -> None:
    table = table_of("ab" * 20)
    pictures = [number if number % 4 else number // 8 for number in range(40)]
    found = duplicate_table(table.frame, prints_of(pictures))
    assert len(found) >= 10
    data = DataConfig(folder="photos", test_fraction=0.4)
    apart, kept = table, keep_together(table, found)
    splits = {name: make_splits(t, data, 2) for name, t in (("apart", apart), ("kept", kept))}
    assert duplicates_across_splits(apart, found, splits["apart"]) is not None
    assert duplicates_across_splits(kept, found, splits["kept"]) is None


def test_too_few_pictures_behind_the_copies_is_said() -> None:
    table = table_of("a" * 6 + "b" * 6)
    found = duplicate_table(table.frame, prints_of([1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]))
    message = r"a \(2\).* 6 images are kept together .*keep_duplicates_together.: False"
    with pytest.raises(DataError, match=message):
        make_splits(keep_together(table, found), DataConfig(folder="photos"), 1)
