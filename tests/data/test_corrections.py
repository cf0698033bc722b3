"""Corrections change labels and what is used, touch no photo, and are refused where they miss."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hostile.folders import touch
from tests.hostile.odd_paths import NO_FILES
from tests.hostile.texts import FILE_NAMES
from tl_keras.config.schema import DataConfig
from tl_keras.csv_tables import csv_text, quoted
from tl_keras.data.corrections import COLUMNS, Correction, counted, in_words, read_corrections
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.data.splits import make_splits
from tl_keras.errors import DataError
from tl_keras.experiment.inputs import experiment_config

HEADER = "image_id,was,label\n"
Load = Callable[..., ImageTable]


def labels_of(table: ImageTable) -> dict[str, str]:
    return dict(zip(table.frame["image_id"], table.frame["label"], strict=True))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """`load("crack/1.png,crack,dent")`: a folder of three classes with these corrections."""
    photos = tmp_path / "photos"
    for label in ("crack", "dent", "good"):
        touch(photos, *(f"{label}/{number}.png" for number in range(1, 4)))

    def loaded(rows: str, **keys: Any) -> ImageTable:
        table = tmp_path / "corrections.csv"
        table.write_text(HEADER + rows + "\n", encoding="utf-8")
        return load_images(DataConfig(folder=str(photos), corrections=str(table), **keys))

    return loaded


def test_labels_are_corrected_and_photos_left_out_before_classes_are_counted(load: Load) -> None:
    table = load("crack/1.png,crack,dent\ngood/2.png,good,\ndent/3.png,dent,dent")
    assert labels_of(table) == {
        "crack/1.png": "dent",
        **{f"crack/{n}.png": "crack" for n in (2, 3)},
        **{f"dent/{n}.png": "dent" for n in (1, 2, 3)},
        **{f"good/{n}.png": "good" for n in (1, 3)},
    }
    assert table.frame["class_index"].tolist() == [1, 0, 0, 1, 1, 1, 2, 2]
    assert table.ignored.to_numpy().tolist() == [["good/2.png", "left out by data.corrections"]]
    assert counted(table.corrections) == {"corrected": 1, "left out": 1, "confirmed": 1}
    assert Path(table.paths[0]).parent.name == "crack"


def test_a_class_without_photos_is_gone(load: Load) -> None:
    rows = "\n".join(f"good/{n}.png,good,dent" for n in (1, 2, 3))
    assert load(rows).classes == ("crack", "dent")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("crack/9.png,crack,dent", "there is no crack/9.png"),
        ("dent/crack_1.png,dent,crack", "there is no dent/crack_1.png"),
        ("crack/1.png,crack,dentt", "Did you mean dent?"),
        ("crack/1.png,crack,scratch", "crack, dent, good, or empty"),
        ("crack/1.png,dent,good", "without corrections, crack; got dent"),
        ("crack/1.png,dent,crack", "take it out"),
        ("crack/1.png,,dent", "got nothing"),
        ("crack/1.png,crack,dent\ncrack/1.png,crack,good", "line 3: crack/1.png is already in l"),
        ("crack/1.png,crack,dent\ncrack/1.png,crack,", "its label is dent, not nothing"),
        ("crack/1.png,crack,dent\n crack/1.png,crack,good", "already in line 2"),
        ("crack/1.png,crack", "must have 3 cells"),
        ('"crack/1.png,crack,dent', "cannot be read"),
        ("", "has no rows"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(load: Load, rows: str, told: str) -> None:
    with pytest.raises(DataError) as raised:
        load(rows)
    assert told in str(raised.value)
    assert 'data.corrections "' in str(raised.value)


def test_a_photo_that_was_moved_is_found_again(tmp_path: Path, load: Load) -> None:
    touch(tmp_path / "photos", "dent/lost.png")
    with pytest.raises(DataError, match=r"Is it dent/lost\.png now"):
        load("crack/lost.png,crack,dent")


def test_all_photos_left_out_is_no_set_of_images(load: Load) -> None:
    rows = "\n".join(f"{c}/{n}.png,{c}," for c in ("crack", "dent", "good") for n in (1, 2, 3))
    with pytest.raises(DataError, match="at least two classes; got 0"):
        load(rows)


@pytest.mark.parametrize("header", ["image_id,was", "a,b,c", "image_id,was,label,label", ""])
def test_other_columns_are_refused_with_what_there_is(tmp_path: Path, header: str) -> None:
    table = tmp_path / "c.csv"
    table.write_text(f"{header}\nx,y,z\n")
    with pytest.raises(DataError, match="must have the columns image_id, was, label"):
        read_corrections(str(table))


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"data\.corrections"):
        NO_FILES[kind](tmp_path / "c.csv")
        read_corrections(str(tmp_path / "c.csv"))


@pytest.mark.parametrize("content", [b"\0" * 50, b"\xff\xfe\xfd", b"image_id,was,label\n\xe9,a,b"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    table = tmp_path / "c.csv"
    table.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.corrections"):
        read_corrections(str(table))


def test_spreadsheets_may_save_it_in_their_ways(tmp_path: Path) -> None:
    rows = [COLUMNS, ("a/1.png", "a", "b"), ("b/é.png", "b", "")]
    expected = (Correction("a/1.png", "a", "b"), Correction("b/é.png", "b", ""))
    table = tmp_path / "c.csv"
    for separator in ",;\t":
        text = "\r\n".join(separator.join([*row, "more"]) for row in rows) + "\r\n\r\n"
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            table.write_bytes(text.encode(encoding))
            assert read_corrections(str(table)) == expected


def test_any_name_comes_back_as_it_was(tmp_path: Path) -> None:
    """As pages write a table, and as the package does."""
    rows = [Correction(f"x/{name}", name, name[::-1]) for name in FILE_NAMES.values()]
    rows += [Correction(name, f"a{name}", f"b{name}") for name in FILE_NAMES.values()]
    cells = [",".join(map(quoted, (row.image_id, row.was, row.label))) for row in rows]
    page = "\ufeff" + "\n".join([",".join(COLUMNS), *cells]) + "\n"
    stored = csv_text(pd.DataFrame([(r.image_id, r.was, r.label) for r in rows], columns=COLUMNS))
    kept = [r if r.label.strip() else Correction(r.image_id, r.was, "") for r in rows]
    for text in (page, stored):
        table = tmp_path / "c.csv"
        table.write_text(text, encoding="utf-8", newline="")
        assert list(read_corrections(str(table))) == kept
    for cell in (cell for row in csv.reader(io.StringIO(page[1:], newline="")) for cell in row):
        assert cell[:1] not in ("=", "+", "@", "\t", "\r")


def test_odd_names_of_files_and_classes_are_corrected(tmp_path: Path) -> None:
    """From a folder whose names are these, by a table that holds them."""
    names = [n for n in FILE_NAMES.values() if n.strip() and n[0] not in "._" and len(n) < 100]
    photos = tmp_path / "photos"
    for name in names:
        touch(photos, f"{name}/{name}.png", f"{name}/other.png")
    listed = load_images(DataConfig(folder=str(photos), merge_labels=False))
    ids = [f"{name}/{name}.png" for name in names if f"{name}/{name}.png" in labels_of(listed)]
    assert len(ids) > len(names) // 2
    rows = [",".join(map(quoted, (i, labels_of(listed)[i], names[0]))) for i in ids]
    table = tmp_path / "c.csv"
    table.write_text("\n".join([",".join(COLUMNS), *rows]), encoding="utf-8", newline="")
    data = DataConfig(folder=str(photos), merge_labels=False, corrections=str(table))
    found = labels_of(load_images(data))
    assert {found[i] for i in ids} == {names[0]}


def test_blanks_around_cells_do_not_matter(load: Load) -> None:
    assert labels_of(load(" crack/1.png , crack ,  dent "))["crack/1.png"] == "dent"


def test_joined_spellings_may_be_said_either_way(tmp_path: Path) -> None:
    photos, table = tmp_path / "photos", tmp_path / "c.csv"
    touch(photos, "Crack/1.png", "crack/2.png", "crack/3.png", "dent/4.png", "dent/5.png")
    for was, label in (("Crack", "dent"), ("crack", "dent")):
        table.write_text(f"{HEADER}Crack/1.png,{was},{label}\ndent/4.png,dent,Crack\n")
        data = DataConfig(folder=str(photos), merge_labels=True, corrections=str(table))
        found = labels_of(load_images(data))
        assert (found["Crack/1.png"], found["dent/4.png"]) == ("dent", "crack")


def test_tables_and_splits_of_the_source(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{n}.png" for n in range(6)))
    parts = ["train", "train", "test"] * 2
    rows = [f"{n}.png,{'ab'[n % 2]},{parts[n]}" for n in range(6)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    (tmp_path / "c.csv").write_text(f"{HEADER}0.png,a,b\n5.png,b,\n")
    source, said = str(tmp_path / "t.csv"), str(tmp_path / "c.csv")
    table = load_images(DataConfig(table=source, root=str(tmp_path), corrections=said))
    assert labels_of(table) == {
        "0.png": "b",
        "1.png": "b",
        "2.png": "a",
        "3.png": "b",
        "4.png": "a",
    }
    assert table.frame["split"].tolist() == ["train", "train", "test", "train", "train"]


def test_pictures_given_from_python(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), np.uint8)
    y = ["a", "b"] * 3
    config = experiment_config(images=(x, y), settings={"results_dir": str(tmp_path)})
    image_id = load_images(config.data).frame["image_id"][0]
    (tmp_path / "c.csv").write_text(f"{HEADER}{image_id},a,b\n")
    settings = {"results_dir": str(tmp_path), "data": {"corrections": str(tmp_path / "c.csv")}}
    again = experiment_config(images=(x, y), settings=settings)
    assert labels_of(load_images(again.data))[image_id] == "b"


def test_nothing_is_written_beside_the_photos(tmp_path: Path, load: Load) -> None:
    load("crack/2.png,crack,crack")
    before = sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "photos").rglob("*"))
    load("crack/1.png,crack,dent\ngood/2.png,good,")
    assert sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "photos").rglob("*")) == before


def test_in_words() -> None:
    counts = {"corrected": 1, "left out": 2, "confirmed": 1}
    told = "data.corrections: 1 label corrected, 2 photos left out, 1 label confirmed."
    assert in_words(counts) == told
    assert in_words(counted([])) == ""


def of_test(table: ImageTable, data: DataConfig) -> set[str]:
    manifest = make_splits(table, data, 1).manifest
    return set(manifest.loc[manifest["part"] == "test", "image_id"])


@pytest.mark.parametrize(
    "rows",
    [
        "a/07.png,a,b",
        "a/07.png,a,",
        "b/00.png,b,\na/39.png,a,c",
        "\n".join(f"a/{n:02d}.png,a," for n in (3, 4, 5, 39)),
    ],
)
@pytest.mark.parametrize("pairs", [False, True])
def test_other_photos_stay_in_the_test_split(tmp_path: Path, rows: str, pairs: bool) -> None:
    """Of forty per class few are corrected or left out: hardly another one changes sides.

    Groups are whole as well: `pairs` of class b are copies of each other.
    """
    for label in "abc":
        touch(tmp_path / "photos", *(f"{label}/{n:02d}.png" for n in range(40)))
    (tmp_path / "c.csv").write_text(f"{HEADER}{rows}\n")
    plain = DataConfig(folder=str(tmp_path / "photos"))
    data = DataConfig(folder=plain.folder, corrections=str(tmp_path / "c.csv"))
    before, after = load_images(plain), load_images(data)
    if pairs:
        for table in (before, after):
            same = table.frame["image_id"].isin(["b/11.png", "b/12.png"])
            table.frame.loc[same, "group"] = "b/11.png"
    changed = of_test(before, plain) ^ of_test(after, data)
    assert len(changed) <= 3 * len(rows.splitlines())
