"""Folder, table and TensorFlow Datasets sources give the same kind of image table."""

import csv
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.hostile.folders import touch
from tests.hostile.odd_paths import NO_FILES
from tl_keras.config.schema import DataConfig, TableColumns
from tl_keras.data.folder_source import list_folder
from tl_keras.data.folds import fold_draws, stratified_folds
from tl_keras.data.parts import parts_of
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.data.splits import Draw
from tl_keras.data.table_source import list_table
from tl_keras.data.test_split import pools_of_source
from tl_keras.errors import DataError
from tl_keras.invocation import typed
from tl_keras.path_kinds import A_FOLDER

SHARED = Path(__file__).parents[2].parent / "shared"


def from_folder(root: Path, **keys: Any) -> ImageTable:
    return load_images(DataConfig(folder=str(root), **keys))


def column(table: ImageTable, name: str) -> list[Any]:
    return list(table.frame[name])


def test_folder_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "dent/b.PNG", "dent/a.jpeg", "crack/deep/er/c.bmp", "crack/d.gif")
    table = from_folder(tmp_path)
    assert list(table.frame.columns) == [
        "image_id",
        "path",
        "label",
        "class_index",
        "group",
        "split",
    ]
    assert column(table, "image_id") == [
        "crack/d.gif",
        "crack/deep/er/c.bmp",
        "dent/a.jpeg",
        "dent/b.PNG",
    ]
    assert column(table, "path") == [str(tmp_path / name) for name in column(table, "image_id")]
    assert column(table, "label") == ["crack", "crack", "dent", "dent"]
    assert column(table, "class_index") == [0, 0, 1, 1]
    assert column(table, "group") == column(table, "image_id")
    assert column(table, "split") == [None] * 4
    assert table.classes == ("crack", "dent")
    assert table.notice is None
    assert table.ignored.empty


def test_labels_paths_and_length_are_those_of_the_rows(tmp_path: Path) -> None:
    table = from_folder(touch(tmp_path, "b/1.png", "a/1.png", "b/2.png"))
    assert len(table) == 3
    assert table.paths == [str(tmp_path / name) for name in ("a/1.png", "b/1.png", "b/2.png")]
    np.testing.assert_array_equal(table.labels, [0, 1, 1])
    assert table.labels.dtype == np.int64


def test_groups_are_numbered_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "a/1_part9.png", "a/2_part10.png", "b/3_part9.png", "b/4_Part9.png")
    table = from_folder(tmp_path, group_pattern="_(.*)\\.png")
    assert column(table, "group") == ["part9", "part10", "part9", "Part9"]
    # as text: upper case before lower case, and "part10" before "part9"
    np.testing.assert_array_equal(table.groups, [2, 1, 2, 0])


def test_numbers_of_groups_divide_as_their_names_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    touch(tmp_path, *(f"{'abc'[k % 3]}/{k}_{rng.integers(30)}.png" for k in range(120)))
    table = from_folder(tmp_path, group_pattern="_(.*)\\.png")
    names = table.frame["group"].to_numpy(str)
    some = Draw(np.sort(rng.permutation(120)[:80]), np.array([], np.int64))
    for seed in range(10):
        by_name, by_number = (
            [
                *(held for _, held in stratified_folds(table.labels, groups, 5, seed)),
                *(part.validation for part in fold_draws(some, table.labels, groups, 3, seed)),
                *(part.train for part in parts_of(some, table.labels, groups, seed).values()),
            ]
            for groups in (names, table.groups)
        )
        assert len(by_name) == len(by_number) == 11
        for one, same in zip(by_name, by_number, strict=True):
            np.testing.assert_array_equal(one, same)


def test_pools_number_groups_as_they_appear(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{k}_{9 - k}.png" for label in "ab" for k in range(4)))
    pools = pools_of_source(from_folder(tmp_path, group_pattern="_(.*)\\.png"))
    assert pools.group_of.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_some_images_are_decoded_in_their_places(tmp_path: Path) -> None:
    for gray, name in enumerate(("a/1.png", "a/2.png", "b/1.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (6, 4), 10 * gray).save(tmp_path / name)
    pixels = from_folder(tmp_path).decode(np.array([2, 1]), 8, DEFAULTS)
    assert (pixels.shape, pixels[np.array([0])].dtype) == ((3, 8, 8, 3), np.uint8)
    assert (pixels[np.array([1])] == 10).all()
    assert (pixels[np.array([2])] == 20).all()


def test_relative_folder_starts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "photos/a/1.png", "photos/b/1.png")
    monkeypatch.chdir(tmp_path)
    assert column(from_folder(Path("photos")), "path")[0] == str(tmp_path / "photos/a/1.png")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        (["s10", "s2", "s1"], ("s1", "s2", "s10")),
        (["b", "a", "10"], ("10", "a", "b")),
        (["7", "007", "08"], ("007", "7", "08")),
    ],
)
def test_classes_are_in_natural_order(
    tmp_path: Path, names: list[str], expected: tuple[str, ...]
) -> None:
    touch(tmp_path, *(f"{name}/1.png" for name in names))
    assert from_folder(tmp_path).classes == expected


@pytest.mark.parametrize("validation", ["validation", "val", "Valid"])
def test_folder_with_splits(tmp_path: Path, validation: str) -> None:
    touch(tmp_path, "Train/a/1.png", "Train/b/1.png", f"{validation}/a/2.png", "test/b/3.png")
    frame = from_folder(tmp_path).frame.set_index("image_id")
    assert frame.loc["Train/a/1.png", "split"] == "train"
    assert frame.loc[f"{validation}/a/2.png", "split"] == "validation"
    assert frame.loc["test/b/3.png", "split"] == "test"
    assert frame.loc["test/b/3.png", "label"] == "b"


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "bus/1.png")
    table = from_folder(tmp_path)
    assert table.classes == ("bus", "train")
    assert column(table, "split") == [None, None]


def test_other_files_are_listed(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a/1.png",
        "b/1.png",
        "b/notes.txt",
        "b/.hidden.png",
        ".cache/1.png",
        "readme.md",
        "top.png",
    )
    ignored = from_folder(tmp_path).ignored
    assert dict(zip(ignored["path"], ignored["reason"], strict=True)) == {
        ".cache": "hidden",
        "b/.hidden.png": "hidden",
        "b/notes.txt": "not a JPEG, PNG, BMP, GIF, TIFF or WEBP file",
        "readme.md": "not a JPEG, PNG, BMP, GIF, TIFF or WEBP file",
        "top.png": "not in a class folder",
    }


def test_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    table = from_folder(tmp_path)
    assert len(table.frame) == 2
    assert column(table, "image_id") == ["a/1.png", "b/1.png"]
    assert list(table.ignored["reason"]) == ["link to a folder"]


def test_name_that_is_not_utf8_is_listed(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system refuses such names")
    table = from_folder(tmp_path)
    assert list(table.ignored["path"]) == ["a/\ufffd.png"]
    assert list(table.ignored["reason"]) == ["name is not valid UTF-8"]


def test_an_empty_class_folder_can_be_skipped(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    table = load_images(DataConfig(folder=str(tmp_path)), to_train=False)
    assert table.classes == ("a",)
    ignored = table.ignored.set_index("path")["reason"].to_dict()
    assert ignored["b"] == "class folder without images"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"has no sub-folders. It must hold one sub-folder per class"),
        (["1.png", "2.png"], r"has no sub-folders"),
        (["a/1.png"], r"at least two classes; got 1 images of 1 \(a\)"),
        (["a/1.png", "b/c/notes.txt"], r'class folder "b" of .* has no images \(.bmp, .gif'),
        (["test/a/1.png", "val/a/1.png"], r"has test, val but no train folder"),
        (["train/a/1.png", "test/a/2.png", "other/1.png"], r"got test, train beside other"),
        (["train/1.png", "test/1.png"], r'".*train" has no sub-folders'),
        (["train/a/1.png", "train/b/1.png", "test/c/1.png"], r"c has images in validation or test"),
        (["train/a/1.png", "train/b/1.txt"], r'class folder "train/b" of .* has no images'),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, names: list[str], message: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        from_folder(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'data.folder ".*nowhere" is missing'):
        from_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["a" * 256, "a" * 5000, "a/" * 3000])
def test_folder_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="is out of reach"):
        list_folder(str(tmp_path / name))


@pytest.mark.parametrize("kind", [kind for kind in NO_FILES if kind != A_FOLDER])
def test_what_is_no_folder_is_named(tmp_path: Path, kind: str) -> None:
    NO_FILES[kind](tmp_path / "photos")
    with pytest.raises(DataError, match=f"is {kind}"):
        list_folder(str(tmp_path / "photos"))


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "photos.zip")
    with pytest.raises(DataError, match="is a file, not a folder"):
        from_folder(tmp_path / "photos.zip")


def test_group_pattern_takes_the_first_group(tmp_path: Path) -> None:
    touch(tmp_path, "a/p1_1.png", "a/p1_2.png", "b/p1_3.png", "b/p2_1.png")
    table = from_folder(tmp_path, group_pattern=r"/(p\d+)_")
    assert column(table, "group") == ["p1", "p1", "p1", "p2"]


def test_group_pattern_without_a_group_takes_the_match(tmp_path: Path) -> None:
    touch(tmp_path, "a/p1_1.png", "b/p1_3.png")
    assert column(from_folder(tmp_path, group_pattern=r"p\d+_"), "group") == ["p1_", "p1_"]


@pytest.mark.parametrize("pattern", [r"p(\d+)_", r"/(p)?\d*"])
def test_group_pattern_must_match_every_path(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "a/p1_1.png", "b/7.png")
    with pytest.raises(DataError, match=r"does not match 1 of 2: b/7.png"):
        from_folder(tmp_path, group_pattern=pattern)


def write_table(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def from_table(path: Path, **keys: Any) -> ImageTable:
    return load_images(DataConfig(table=str(path), **keys))


def test_csv_with_all_columns(tmp_path: Path) -> None:
    touch(tmp_path, "img/1.png", "img/2.png", "img/3.png")
    path = write_table(
        tmp_path / "t.csv",
        [
            ("label", "path", "note", "group", "split"),
            ("007", "img/2.png", "x", "p1", "train"),
            ("7", tmp_path / "img/1.png", "", "p2", "TRAIN"),
            ("NA", "img/../img/3.png", "", "p1", "val"),
        ],
    )
    with pytest.raises(DataError, match="every class must have images in train; NA"):
        from_table(path, root=str(tmp_path))
    path.write_text(path.read_text().replace(",val", ",train"))
    table = from_table(path, root=str(tmp_path))
    assert column(table, "image_id") == ["img/1.png", "img/2.png", "img/3.png"]
    assert column(table, "label") == ["7", "007", "NA"]
    assert column(table, "group") == ["p2", "p1", "p1"]
    assert column(table, "split") == ["train"] * 3
    assert table.classes == ("007", "7", "NA")


def test_table_paths_start_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "img/1.png", "img/2.png")
    rows = [("path", "label"), ("img/1.png", "a"), ("img/2.png", "b")]
    path = write_table(tmp_path / "t.csv", rows)
    monkeypatch.chdir(tmp_path)
    table = from_table(path)
    assert column(table, "image_id") == ["img/1.png", "img/2.png"]
    assert column(table, "group") == ["img/1.png", "img/2.png"]
    assert column(table, "split") == [None, None]


def test_image_outside_root_keeps_its_absolute_path(tmp_path: Path) -> None:
    touch(tmp_path, "in/1.png", "out/2.png")
    rows = [("path", "label"), ("1.png", "a"), ("../out/2.png", "b")]
    table = from_table(write_table(tmp_path / "t.csv", rows), root=str(tmp_path / "in"))
    assert column(table, "image_id") == sorted(["1.png", (tmp_path / "out/2.png").as_posix()])


def test_csv_written_by_a_spreadsheet(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,label\r\n1.png,a\r\n\r\n2.png,b\r\n")
    assert from_table(path, root=str(tmp_path)).classes == ("a", "b")


def test_parquet_with_whole_number_labels(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png", "3.png")
    content = pd.DataFrame({"path": ["1.png", "2.png", "3.png"], "label": [10, 9, 9]})
    content.to_parquet(tmp_path / "t.parquet")
    table = from_table(tmp_path / "t.parquet", root=str(tmp_path))
    assert column(table, "label") == ["10", "9", "9"]
    assert table.classes == ("9", "10")


@pytest.mark.parametrize(
    "labels",
    [
        [["a"], ["b"]],
        [{"a": 1}, {"a": 2}],
        [pd.Timedelta(1, "D")] * 2,
        [b"a", b"\xff"],
        [None, None],
    ],
)
@pytest.mark.parametrize("column", ["label", "path", "group"])
def test_parquet_columns_that_hold_no_names_are_refused(
    tmp_path: Path, column: str, labels: list[object]
) -> None:
    content = pd.DataFrame({"path": ["1.png", "2.png"], "label": ["a", "b"], "group": ["c", "d"]})
    content[column] = pd.Series(labels)
    content.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError):
        from_table(tmp_path / "t.parquet", root=str(tmp_path))


@pytest.mark.parametrize(
    "path", ["a" * 5000, "x/" + "a" * 300, "a/" * 3000 + "a", "../" * 90 + "a"]
)
def test_a_path_that_cannot_be_is_a_missing_file(tmp_path: Path, path: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"path,label\n{path}.png,a\n")
    with pytest.raises(DataError, match="must name an existing file") as refused:
        from_table(table, root=str(tmp_path))
    assert len(str(refused.value)) < 1000


def test_parquet_with_categories_and_an_empty_label(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    labels = pd.Categorical(["a", None])
    pd.DataFrame({"path": ["1.png", "2.png"], "label": labels}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="row 2: label must not be empty"):
        from_table(tmp_path / "t.parquet", root=str(tmp_path))


HEADER = ("path", "label", "group", "split")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("image", "label"), ("1.png", "a")], r"lacks the column path.*got image, label"),
        ([("path:label",), ("1.png:a",)], r"got path:label. Separate the columns by commas"),
        ([("path", "path", "label")], "has a column twice"),
        ([], "got an empty file"),
        ([("path", "label")], "has no rows below its header"),
        ([("path", "label"), ("1.png", "a"), ("2.png", " ")], "line 3: label must not be empty"),
        ([("path", "label"), ("", "a")], "line 2: path must not be empty"),
        ([("path", "label"), ("1.png", "a", "b")], "line 2: must have 2 cells.*got 3"),
        (
            [("path", "label"), ("1.png", "a"), ("2.png", "b"), ("x/../1.png", "b")],
            r'line 4: path "x/../1.png" is already in line 2',
        ),
        ([("path", "label"), ("1.txt", "a")], r"line 2: path must end in one of .*got .txt"),
        (
            [HEADER, ("1.png", "a", "g", "train"), ("2.png", "b", "g", "later")],
            "line 3: split must be train, validation or test, got later",
        ),
        (
            [HEADER, ("1.png", "a", "g", "train"), ("2.png", "b", "g", "")],
            "line 3: split must be given in every row or in none",
        ),
        (
            [HEADER, ("1.png", "a", "", "train"), ("2.png", "b", "g", "test")],
            "line 2: group must be given in every row or in none",
        ),
        (
            [("path", "label"), ("1.png", "a"), ("7.png", "b"), ("8.png", "b")],
            r"line 3, line 4 \(2 rows\): path must name an existing file, got .*7.png",
        ),
        ([("path", "label"), ("C:\\img\\1.png", "a")], r"Take the drive out of the paths"),
    ],
)
def test_tables_that_cannot_be_used(
    tmp_path: Path, rows: list[tuple[str, ...]], message: str
) -> None:
    touch(tmp_path, "1.png", "2.png")
    with pytest.raises(DataError, match=message):
        from_table(write_table(tmp_path / "t.csv", rows), root=str(tmp_path))


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_a_table_that_is_no_file_is_named(tmp_path: Path, name: str, kind: str) -> None:
    NO_FILES[kind](tmp_path / name)
    with pytest.raises(DataError, match=rf"t\..* must be a file; it is {kind}\. \w+"):
        list_table(str(tmp_path / name))


@pytest.mark.parametrize("kind", NO_FILES)
def test_a_picture_of_a_table_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    touch(tmp_path, "1.png")
    NO_FILES[kind](tmp_path / "2.png")
    rows = [("path", "label"), ("1.png", "a"), ("2.png", "b"), ("3.png", "b")]
    with pytest.raises(DataError, match=rf"line 3: path must .*2\.png\", which is {kind}"):
        list_table(str(write_table(tmp_path / "t.csv", rows)), str(tmp_path))


def test_a_path_twice_asks_for_what_is_to_be_decided(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    rows = [("path", "label"), ("1.png", "a"), ("2.png", "b"), ("1.png", "a"), ("./2.png", "b")]

    def refusal(*more: tuple[str, str]) -> str:
        with pytest.raises(DataError) as refused:
            list_table(str(write_table(tmp_path / "t.csv", [*rows, *more])), str(tmp_path))
        return str(refused.value)

    same, other = refusal(), refusal(("2.png", "c"))
    assert "line 4, line 5 (2 rows)" in same
    assert "already in line 2" in same
    assert "take the others out" in same
    # the one that somebody has to decide
    assert "line 6: path" in other
    assert "already in line 3, where its label is b, not c" in other
    assert "keep the right one" in other


def test_files_beside_the_table_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "data/1.png", "elsewhere/x")
    path = write_table(tmp_path / "data/t.csv", [("path", "label"), ("1.png", "a")])
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f'set data.root to "{tmp_path / "data"}"'):
        from_table(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"", "must be a .csv, .tsv or .parquet file"),
        ("t.parquet", b"not parquet", "cannot be read"),
        ("t.csv", b"path,label\n\xff\xfe.png,a\n", "cannot be read"),
        ("t.csv", b'path,label\n"1.png,a\n', "cannot be read"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        from_table(tmp_path / name)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        from_table(tmp_path / "t.csv")


def test_group_column_and_pattern_together(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png")
    rows = [("path", "label", "group"), ("1.png", "a", "g"), ("2.png", "b", "g")]
    path = write_table(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match="must not both be given"):
        from_table(path, root=str(tmp_path), group_pattern=".")


def test_blood_cells_group_by_parent_picture() -> None:
    folder = SHARED / "data" / "bccd_cells"
    if not folder.is_dir():
        pytest.skip("the blood cell images are not on this machine")
    table = from_folder(folder, group_pattern=r"^[^/]+/(.+)_\d+_\d+\.png$")
    assert table.classes == ("Platelets", "RBC", "WBC")
    assert len(table.frame) == 300
    assert table.frame.groupby("group")["label"].nunique().max() > 1


def store(data_dir: Path, name: str, splits: dict[str, list[int]], label: Any = None) -> None:
    """Prepare a data set of 4x4 pictures, whose gray value is their number, without its code."""
    import tensorflow_datasets as tfds

    label = label or tfds.features.ClassLabel(names=["scratch", "a/b"])
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
    )

    def picture(number: int) -> Any:
        return np.full((4, 4, 3), number, np.uint8)

    examples = {
        split: [(n, {"image": picture(n), "label": lab}) for n, lab in enumerate(labels)]
        for split, labels in splits.items()
    }
    builder = tfds.dataset_builders.AdhocBuilder(
        name=name, version="1.0.0", features=features, split_datasets=examples, data_dir=data_dir
    )
    builder.download_and_prepare()


def from_tfds(data_dir: Path, name: str) -> ImageTable:
    return load_images(DataConfig(tfds=name, data_dir=str(data_dir)))


def test_tfds_images_become_files(tmp_path: Path) -> None:
    store(tmp_path, "dots", {"train": [0, 1, 0]})
    table = from_tfds(tmp_path, "dots")
    assert table.classes == ("a/b", "scratch")
    assert sorted(column(table, "label")) == ["a/b", "scratch", "scratch"]
    assert column(table, "split") == [None] * 3
    assert table.notice is None
    for row in table.frame.itertuples():
        assert Path(str(row.path)).is_relative_to(tmp_path / "dots/1.0.0/tl_keras_images/train")
    grays = {np.asarray(Image.open(path))[0, 0, 0] for path in table.frame["path"]}
    assert grays == {0, 1, 2}


def test_tfds_labels_may_be_sentences_and_are_asked_for_like_others(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    long = tfds.features.ClassLabel(names=["x" * 300, "写" * 120])
    store(tmp_path, "long", {"train": [0, 1]}, long)
    assert {len(label) for label in from_tfds(tmp_path, "long").classes} == {300, 120}
    store(tmp_path, "twins", {"train": [0, 1]}, tfds.features.ClassLabel(names=["Crack", "crack"]))
    with pytest.raises(DataError, match=r"merge_labels"):
        from_tfds(tmp_path, "twins")


def test_tfds_images_are_written_once(tmp_path: Path) -> None:
    store(tmp_path, "dots", {"train": [0, 1]})
    first = from_tfds(tmp_path, "dots")
    written = [Path(path).stat().st_mtime_ns for path in first.frame["path"]]
    second = from_tfds(tmp_path, "dots")
    assert written == [Path(path).stat().st_mtime_ns for path in second.frame["path"]]
    pd.testing.assert_frame_equal(first.frame, second.frame)


def test_tfds_killed_writer_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tl_keras.data import tfds_source

    store(tmp_path, "dots", {"train": [0, 1]})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tfds_source, "_write_csv", killed)
        with pytest.raises(KeyboardInterrupt):
            from_tfds(tmp_path, "dots")
    assert not list((tmp_path / "dots/1.0.0").glob("tl_keras_images*"))
    assert len(from_tfds(tmp_path, "dots").frame) == 2


def test_tfds_splits_are_kept(tmp_path: Path) -> None:
    store(tmp_path, "dots", {"train": [0, 1], "test": [1, 0, 0], "extra": [0], "validation": [0]})
    table = from_tfds(tmp_path, "dots")
    assert table.frame["split"].value_counts().to_dict() == {"test": 3, "train": 2, "validation": 1}
    assert list(table.ignored["path"]) == ["extra"]


def test_tfds_unlabelled_test_split_is_not_a_test_split(tmp_path: Path) -> None:
    store(tmp_path, "dots", {"train": [0, 1], "test": [-1, -1]})
    table = from_tfds(tmp_path, "dots")
    assert column(table, "split") == [None, None]
    assert list(table.ignored["reason"]) == ["has no label"] * 2


def test_tfds_without_train_uses_every_split(tmp_path: Path) -> None:
    store(tmp_path, "dots", {"test": [0, 1], "more": [0]})
    table = from_tfds(tmp_path, "dots")
    assert column(table, "split") == [None] * 3


def test_tfds_without_class_labels(tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    store(tmp_path, "dots", {"train": [0, 1]}, tfds.features.Scalar(np.int64))
    with pytest.raises(DataError, match=r"one Image and one ClassLabel .*it has image \(Image\)"):
        from_tfds(tmp_path, "dots")


def test_tfds_unknown_name_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither known nor prepared .*Did you mean cats_vs_dogs"):
        from_tfds(tmp_path, "cats_vs_dog")


def test_tfds_unknown_configuration(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be opened.*Check its configuration and version"):
        from_tfds(tmp_path, "cmaterdb/nothing")


def test_tfds_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(address: tuple[str, int], timeout: float) -> None:
        raise OSError(f"no route to {address[0]}")

    monkeypatch.setattr("socket.create_connection", unreachable)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(DataError, match=r"no route to .*needs a network.*set data.data_dir"):
        from_tfds(tmp_path, "cats_vs_dogs")


def test_the_package_data_set_is_known_by_name() -> None:
    import tensorflow_datasets as tfds

    from tl_keras.drawn.surface_defects import SurfaceDefects

    assert tfds.builder_cls("surface_defects") is SurfaceDefects


NAMED = TableColumns(path="filename", label="cell_type", group="slide")


def test_columns_of_a_table_may_have_other_names(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    header, *rows = "filename,path,cell_type,slide", "a.png,x,round,1", "b.png,y,flat,2"
    for ending, separator in ((".csv", ","), (".tsv", "\t")):
        table = tmp_path / f"cells{ending}"
        table.write_text("\n".join([header, *rows]).replace(",", separator))
        images = list_table(str(table), str(tmp_path), NAMED).images
        assert [(i.image_id, i.label, i.group, i.split) for i in images] == [
            ("a.png", "round", "1", None),
            ("b.png", "flat", "2", None),
        ]
    pd.read_csv(tmp_path / "cells.csv").to_parquet(tmp_path / "cells.parquet")
    assert list_table(str(tmp_path / "cells.parquet"), str(tmp_path), NAMED).images == images


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_with_other_columns_says_how_to_name_its_own(tmp_path: Path, ending: str) -> None:
    touch(tmp_path, "a.png", "b.png")
    frame = pd.DataFrame(
        {"id": [1, 2], "cell_type": ["x", "y"], "slide_id": [7, 8], "file": ["a.png", "b.png"]}
    )
    table = tmp_path / f"cells.{ending}"
    if ending == "csv":
        frame.to_csv(table, index=False)
    else:
        frame.to_parquet(table)
    with pytest.raises(DataError) as raised, typed(["tl-keras", "run", str(table)]):
        list_table(str(table))
    (told,) = re.findall(r"--set 'data\.columns=(.+)'", str(raised.value))
    columns = TableColumns(**json.loads(told))
    assert (columns.path, columns.label, columns.group) == ("file", "cell_type", "slide_id")
    assert len(list_table(str(table), str(tmp_path), columns).images) == 2


def test_a_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    table = tmp_path / "cells.csv"
    table.write_text("path,label\na.png,x\n")
    with pytest.raises(DataError, match="lacks the column slide"):
        list_table(str(table), None, TableColumns(group="slide"))
