"""Which files are photos, and when a new one is whole."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.folders import of_classes, with_odd_entries, with_system_files
from tl_keras.data import photo_paths, picture_walk
from tl_keras.data.image_formats import FORMATS, formats_in_words
from tl_keras.errors import DataError
from tl_keras.serving.portable import photos
from tl_keras.serving.portable.photos import ENDINGS, NoPhotosError, find_photos, new_photos


def test_the_endings_are_those_of_training() -> None:
    assert {ending for row in FORMATS.values() for ending in row.endings} == ENDINGS
    assert formats_in_words() == photos.FORMATS
    assert photos.MADE_BY_SYSTEMS == picture_walk._MADE_BY_SYSTEMS


def test_of_a_folder_with_odd_things_as_predict_has_it(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    of_classes(tmp_path / "elsewhere", "x")
    with_system_files(root, "", "a", "b")
    with_odd_entries(root / "b", tmp_path / "elsewhere")
    for name in ("b.jpg", "aa/2.png", "aa/1.tif", "c.png/notes.txt", "d.png/x.bmp", "e.JPG"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    expected, ignored = photo_paths.find_photos([root])
    found, left_out = find_photos([root])
    assert found == expected
    assert left_out == [(each.path, each.reason) for each in ignored]
    assert photos.in_words(left_out) == picture_walk.left_out_in_words(ignored)
    for path in (root / "nowhere", root / "b.jpg" / "below"):
        with pytest.raises(DataError) as theirs:
            photo_paths.find_photos([path])
        with pytest.raises(NoPhotosError) as own:
            find_photos([path])
        assert str(own.value) == str(theirs.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.PNG", "a.jpg", "notes.txt", ".hidden.png", "below/c.tif", ".trash/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_photos_in_their_order(folder: Path) -> None:
    found, left_out = find_photos([folder / "notes.txt", folder])
    names = [path.relative_to(folder).as_posix() for path in found]
    assert sorted(place for place, _ in left_out) == [".hidden.png", ".trash", "notes.txt"]
    assert names == ["notes.txt", "a.jpg", "b.PNG", "below/c.tif"]


def test_patterns_that_nobody_has_replaced(folder: Path) -> None:
    odd = folder / "odd [1]*.jpg"
    odd.touch()
    found, _ = find_photos([folder / "*.PNG", folder / "b*", odd])
    assert [path.name for path in found] == ["b.PNG", "b.PNG", "c.tif", odd.name]


def test_nothing_to_classify_is_answered(folder: Path) -> None:
    with pytest.raises(NoPhotosError, match="nowhere"):
        find_photos([folder / "nowhere"])
    with pytest.raises(NoPhotosError, match="nowhere"):
        find_photos([folder / "nowhere" / "*.jpg"])
    with pytest.raises(NoPhotosError, match=r"must hold files.*\.bmp"):
        find_photos([folder / "empty"])
    # as long as there is something
    assert find_photos([folder / "empty", folder / "a.jpg"])[0] == [folder / "a.jpg"]
    with pytest.raises(NoPhotosError, match="--watch must name a folder"):
        next(new_photos(folder / "a.jpg", lambda path: False))


def test_a_photo_is_answered_once_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    seen: list[Path] = []

    def wait(_: float) -> None:
        step = next(steps)
        if step is not None:
            step.write_bytes(step.read_bytes() + b"more" if step.exists() else b"first")

    steps: Iterator[Path | None] = iter([photo, photo, None, None, other, None, photo, None])
    monkeypatch.setattr(time, "sleep", wait)
    known = {other}
    # the steps are used up
    with pytest.raises(RuntimeError):
        for path in new_photos(tmp_path, known.__contains__):
            seen.append(path)
    # once when it had come, once when it had changed; the other was known
    assert seen == [photo, photo]
