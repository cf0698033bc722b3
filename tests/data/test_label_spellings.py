"""One label in two spellings is named before training, joined when asked, and never silently."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.hostile.folders import ONE_LABEL, TWO_LABELS, touch
from tl_keras.config.schema import DataConfig
from tl_keras.data.file_audit import examine
from tl_keras.data.label_spellings import in_words, joined, spellings
from tl_keras.data.sources import load_images
from tl_keras.errors import DataError


@pytest.mark.parametrize("labels", ONE_LABEL)
def test_labels_that_are_one(labels: tuple[str, str]) -> None:
    assert spellings([*labels, "other"]) == [tuple(sorted(labels))]
    first, second = in_words([labels]).split(" = ")
    assert first != second
    assert in_words([labels]).isprintable()


@pytest.mark.parametrize("labels", TWO_LABELS)
def test_labels_that_are_two(labels: tuple[str, str]) -> None:
    assert spellings(labels) == []


def test_joined_under_the_most_frequent_without_what_does_not_show() -> None:
    assert joined(["Crack", "crack", "crack", "dent"]) == ["crack", "crack", "crack", "dent"]
    assert joined(["ok\u200b", "ok\u200b", "OK"]) == ["ok", "ok", "ok"]
    assert joined(["b", "B"]) == ["B", "B"]
    assert joined(["7", "007"]) == ["7", "007"]
    assert joined(["\u200b", "\u200c", "a"]) == ["\u200b", "\u200b", "a"]


def folder(root: Path) -> Path:
    return touch(root, "Crazing/1.png", "crazing/1.png", "crazing/2.png", "pits/1.png")


def test_a_folder_is_refused_until_it_is_said_which(tmp_path: Path) -> None:
    config = DataConfig(folder=str(folder(tmp_path)))
    with pytest.raises(DataError, match=r'"Crazing" = "crazing".*1, 2 images.*merge_labels'):
        load_images(config)
    one = load_images(config.model_copy(update={"merge_labels": True}))
    assert one.classes == ("crazing", "pits")
    assert one.frame["image_id"][0] == "Crazing/1.png"
    two = load_images(config.model_copy(update={"merge_labels": False}))
    assert two.classes == ("Crazing", "crazing", "pits")
    assert one.spellings == two.spellings == ()


def test_splits_and_tables_are_refused_alike(tmp_path: Path) -> None:
    touch(tmp_path, "train/Crazing/1.png", "train/pits/1.png", "test/crazing/1.png")
    with pytest.raises(DataError, match="merge_labels"):
        load_images(DataConfig(folder=str(tmp_path)))
    labels = ["caf\u00e9", "cafe\u0301"]
    paths = ["train/Crazing/1.png", "train/pits/1.png"]
    pd.DataFrame({"path": paths, "label": labels}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"cafe\\u0301"):
        load_images(DataConfig(table=str(tmp_path / "t.csv"), root=str(tmp_path)))


def test_an_audit_goes_on_and_says_it(tmp_path: Path) -> None:
    config = DataConfig(folder=str(folder(tmp_path)))
    table = load_images(config, to_train=False)
    assert table.classes == ("Crazing", "crazing", "pits")
    assert table.spellings == (("Crazing", "crazing"),)
    for path in table.paths:
        Image.effect_noise((8, 8), 50).save(path)
    (found,) = [
        finding
        for finding in examine(load_images(config, to_train=False), image_size=32).findings
        if finding.kind == "label_spellings"
    ]
    assert set(found.image_ids) == {"Crazing/1.png", "crazing/1.png", "crazing/2.png"}
