"""Classes and splits are told apart by names, and what is unclear is asked for."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.hostile.folders import SPLIT_NAMES, UNCLEAR, UNCLEAR_BELOW, of_classes, touch
from tl_keras.config.schema import DataConfig
from tl_keras.data.sources import ImageTable, load_images
from tl_keras.errors import DataError


def load(root: Path, *, to_train: bool = True, **keys: object) -> ImageTable:
    return load_images(DataConfig(folder=str(root), **keys), to_train=to_train)  # type: ignore[arg-type]


def counts(table: ImageTable) -> dict[tuple[str, str | None], int]:
    pairs = zip(table.frame["label"], table.frame["split"], strict=True)
    found: dict[tuple[str, str | None], int] = {}
    for pair in pairs:
        found[pair] = found.get(pair, 0) + 1
    return found


@pytest.mark.parametrize("names", SPLIT_NAMES)
@pytest.mark.parametrize("nested", [False, True])
def test_split_folders_in_any_wording(
    tmp_path: Path, names: Mapping[str, str], nested: bool
) -> None:
    for name in names:
        of_classes(tmp_path / name / name if nested else tmp_path / name, "abc")
    table = load(tmp_path)
    assert table.classes == ("a", "b", "c")
    assert counts(table) == {(label, split): 2 for label in "abc" for split in names.values()}


@pytest.mark.parametrize("pred", ["pred/1.png", "pred/pred/1.png", "pred/a/1.png"])
def test_pictures_to_predict_are_no_class_and_no_split(tmp_path: Path, pred: str) -> None:
    for name in ("seg_train", "seg_test"):
        of_classes(tmp_path / name, "ab")
    touch(tmp_path, f"seg_{pred}")
    table = load(tmp_path)
    assert counts(table) == {(label, split): 2 for label in "ab" for split in ("train", "test")}
    assert list(table.ignored["path"]) == ["seg_pred"]
    assert "split of 1 images" in table.ignored["reason"][0]


@pytest.mark.parametrize("test", ["test", "test1", "test/test"])
def test_a_test_split_without_classes_is_said(tmp_path: Path, test: str) -> None:
    of_classes(tmp_path / "train", "ab")
    touch(tmp_path / test, "1.png", "2.png")
    table = load(tmp_path)
    assert set(counts(table)) == {("a", "train"), ("b", "train")}
    assert list(table.ignored["path"]) == [test.split("/")[0]]
    assert "2 images without class folders" in table.ignored["reason"][0]


def test_a_train_folder_alone_is_a_split(tmp_path: Path) -> None:
    of_classes(tmp_path / "train", "ab")
    assert counts(load(tmp_path)) == {("a", "train"): 2, ("b", "train"): 2}


def test_a_class_that_train_lacks_is_refused(tmp_path: Path) -> None:
    of_classes(tmp_path / "Training", "ab")
    of_classes(tmp_path / "Testing", "abc")
    with pytest.raises(DataError, match="every class must have images in train; c has"):
        load(tmp_path)


def test_folders_without_images_beside_splits_are_named(tmp_path: Path) -> None:
    for name in ("train", "test"):
        of_classes(tmp_path / name, "ab")
    touch(tmp_path, "annotations/a.xml", "labels/b.txt")
    table = load(tmp_path)
    assert table.classes == ("a", "b")
    reasons = dict(zip(table.ignored["path"], table.ignored["reason"], strict=True))
    assert reasons["annotations"] == reasons["labels"] == "folder without images"


@pytest.mark.parametrize("names", UNCLEAR)
@pytest.mark.parametrize("to_train", [True, False])
def test_folders_of_the_same_names_are_asked_for(
    tmp_path: Path, names: Mapping[str, tuple[str, ...]], to_train: bool
) -> None:
    for top, inside in names.items():
        of_classes(tmp_path / top, inside)
    with pytest.raises(DataError, match=r"two ways.*data.class_level to 1"):
        load(tmp_path, to_train=to_train)
    upper = load(tmp_path, class_level=1, merge_labels=False)
    assert set(upper.classes) == set(names)
    lower = load(tmp_path, class_level=2, merge_labels=False)
    assert set(lower.classes) == {name for inside in names.values() for name in inside}
    assert len(upper) == len(lower) == 2 * sum(map(len, names.values()))


@pytest.mark.parametrize(("folders", "level"), UNCLEAR_BELOW)
def test_folders_of_the_same_names_deeper(
    tmp_path: Path, folders: tuple[str, ...], level: int
) -> None:
    of_classes(tmp_path, folders)
    with pytest.raises(DataError, match=f"two ways.* to {level}"):
        load(tmp_path)
    assert load(tmp_path, class_level=level).classes == ("nok", "ok")


@pytest.mark.parametrize(
    "names",
    [
        ["a/Front/1.png", "a/front/2.png", "b/x/1.png", "b/y/1.png"],
        ["a/images/1.png", "b/images/1.png"],
        ["a/1.png", "a/2.png", "a/more/1.png", "b/1.png", "b/more/1.png", "b/2.png"],
        ["animals/cat/1.png", "animals/dog/1.png", "tools/saw/1.png", "tools/axe/1.png"],
        ["train/1.png", "bus/1.png"],
        ["test 1/1.png", "test 2/1.png"],
        ["bullet_train/1.png", "steam_train/1.png"],
        ["dev/1.png", "prod/x/1.png", "prod/y/1.png"],
    ],
)
def test_what_is_clear_is_not_asked_for(tmp_path: Path, names: list[str]) -> None:
    table = load(touch(tmp_path, *names))
    assert set(table.classes) == {name.split("/")[0] for name in names}
    assert counts(table).keys() == {(label, None) for label in table.classes}


@pytest.mark.parametrize("wrap", ["photos", "photos/photos", "images/all"])
@pytest.mark.parametrize("inner", [("a", "b"), ("train/a", "train/b", "test/a", "test/b")])
def test_a_wrapping_folder_is_pointed_at(tmp_path: Path, wrap: str, inner: tuple[str, ...]) -> None:
    of_classes(tmp_path / wrap, inner)
    touch(tmp_path, "__MACOSX/1.png", "labels/1.txt")
    with pytest.raises(DataError) as error:
        load(tmp_path)
    assert f'set data.folder to "{tmp_path / wrap}"' in str(error.value)
    assert load(tmp_path / wrap).classes == ("a", "b")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/a/1.png", "Train_2/a/1.png", "test/a/1.png"], "one folder for each split"),
        (["ok_train/1.png", "ok_test/1.png", "nok_train/1.png", "nok_test/1.png"], "class and a"),
        (["train/1.png", "test/1.png"], 'train" has no sub-folders.*without such a folder: 1'),
        (["train/a/1.png", "train/b/1.png", "val/note.txt"], 'val" has no sub-folders'),
        (["a/b/1.png", "c/1.png"], "3 folders deep"),
    ],
)
def test_layouts_that_cannot_be_used(tmp_path: Path, names: list[str], message: str) -> None:
    level = 3 if "deep" in message else None
    with pytest.raises(DataError, match=f"(?i){message}"):
        load(touch(tmp_path, *names), class_level=level)


def test_a_class_may_be_missing_in_one_of_the_upper_folders(tmp_path: Path) -> None:
    of_classes(tmp_path / "day", "ab")
    of_classes(tmp_path / "night", "a")
    (tmp_path / "night" / "b").mkdir()
    table = load(tmp_path, class_level=2)
    assert counts(table) == {("a", None): 4, ("b", None): 2}
    assert list(table.ignored["path"]) == ["night/b"]


def test_the_level_counts_from_the_folder_and_splits_stay(tmp_path: Path) -> None:
    for split in ("train", "test"):
        of_classes(tmp_path / split / "x", "ab")
    table = load(tmp_path, class_level=3)
    assert counts(table) == {(label, split): 2 for label in "ab" for split in ("train", "test")}
