"""One list of what a folder holds, for all commands; nothing is opened."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.hostile.folders import of_classes, touch, with_odd_entries, with_system_files
from tl_keras.config.schema import DataConfig
from tl_keras.data.picture_walk import left_out_in_words, look_into
from tl_keras.data.sources import load_images
from tl_keras.errors import DataError


def test_system_files_are_left_out_and_named_at_every_level(tmp_path: Path) -> None:
    of_classes(tmp_path, "ab")
    count = with_system_files(tmp_path, "", "a", "b", "a/deeper")
    contents = look_into(tmp_path)
    assert ["/".join(parts) for parts in contents.pictures] == [
        *("a/0.png", "a/1.png", "b/0.png", "b/1.png")
    ]
    assert len(contents.left_out) == count
    assert load_images(DataConfig(folder=str(tmp_path))).classes == ("a", "b")


def test_odd_entries_are_left_out_and_named(tmp_path: Path) -> None:
    of_classes(tmp_path / "photos", "ab")
    of_classes(tmp_path / "elsewhere", "x")
    odd = with_odd_entries(tmp_path / "photos" / "a", tmp_path / "elsewhere")
    contents = look_into(tmp_path / "photos")
    assert len(contents.pictures) == 4
    assert {parts[-1] for parts, _ in contents.left_out} == set(odd)
    reasons = {parts[-1]: why for parts, why in contents.left_out}
    special = {name for name, kind in odd.items() if kind in ("pipe", "socket")}
    assert {name for name, why in reasons.items() if why == "not a regular file"} == special
    assert {reasons[name] for name in ("loop", "linked")} == {"link to a folder"}
    table = load_images(DataConfig(folder=str(tmp_path / "photos")))
    assert (table.classes, len(table), len(table.ignored)) == (("a", "b"), 4, len(odd))


def test_links_beside_the_classes_are_classes_unless_they_lead_back(tmp_path: Path) -> None:
    photos = of_classes(tmp_path / "photos", "ab")
    of_classes(tmp_path, ["elsewhere"])
    (photos / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (photos / "all").symlink_to(photos, target_is_directory=True)
    (photos / "again").symlink_to(photos / "a", target_is_directory=True)
    (photos / "above").symlink_to(tmp_path, target_is_directory=True)
    table = load_images(DataConfig(folder=str(photos)))
    assert table.classes == ("a", "b", "c")
    assert len(table) == 6
    assert set(table.ignored["path"]) == {"all", "again", "above"}


def test_pictures_in_a_folder_named_like_one_are_pictures(tmp_path: Path) -> None:
    touch(tmp_path, "a/slide.tif.png/1.png", "a/slide.png/2.png", "b/1.png")
    (tmp_path / "b" / "no.png").mkdir()
    (tmp_path / "no.png").mkdir()
    table = load_images(DataConfig(folder=str(tmp_path)))
    assert (table.classes, len(table)) == (("a", "b"), 3)
    assert list(table.ignored["path"]) == ["b/no.png", "no.png"]


def test_a_folder_deeper_than_the_stack(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    try:
        assert len(look_into(tmp_path).folders) == 1500
    finally:
        # pytest clears up by recursion
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_classes(tmp_path, ["a", "b", "a/closed"])
    scandir = os.scandir

    def guarded(path: str | Path) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    contents = look_into(tmp_path)
    assert len(contents.pictures) == 4
    assert contents.left_out == ((("a", "closed"), "cannot be read: Permission denied"),)
    with pytest.raises(DataError, match=r"cannot be read: a/closed"):
        load_images(DataConfig(folder=str(tmp_path)))
    assert len(load_images(DataConfig(folder=str(tmp_path)), to_train=False)) == 4


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    touch(tmp_path, *(f".{n}.png" for n in range(5)), "notes.txt")
    said = left_out_in_words(look_into(tmp_path).ignored(), 2)
    assert said.startswith("5 hidden (.0.png, .1.png and 3 more); 1 not a ")
    assert said.endswith("(notes.txt)")


@pytest.mark.skipif(os.name == "nt", reason="names are always Unicode there")
def test_a_class_folder_whose_name_is_not_utf_8_is_never_lost_in_silence(tmp_path: Path) -> None:
    of_classes(tmp_path, ["a", "b", os.fsdecode(b"d\xe9faut")])
    with pytest.raises(DataError, match=r"cannot be read: d.faut \(.*UTF-8"):
        load_images(DataConfig(folder=str(tmp_path)))
    table = load_images(DataConfig(folder=str(tmp_path)), to_train=False)
    assert (table.classes, len(table.ignored)) == (("a", "b"), 1)
