"""Photos are named by files or folders; what is neither is refused, and never opened."""

import os
from pathlib import Path

import pytest

from tests.hostile.folders import of_classes, touch, with_socket
from tl_keras.data.photo_paths import find_photos
from tl_keras.errors import DataError


def test_named_files_need_no_known_ending(tmp_path: Path) -> None:
    (tmp_path / "frame.0001").touch()
    assert find_photos([tmp_path / "frame.0001"]) == ([tmp_path / "frame.0001"], [])


def test_folders_and_files_in_the_order_given(tmp_path: Path) -> None:
    of_classes(tmp_path / "photos", "ba", each=1)
    touch(tmp_path, "one.png", "photos/notes.txt")
    files, ignored = find_photos([tmp_path / "one.png", tmp_path / "photos"])
    names = ["one.png", "photos/a/0.png", "photos/b/0.png"]
    assert files == [tmp_path / name for name in names]
    assert [file.path for file in ignored] == ["notes.txt"]


@pytest.mark.parametrize("kind", ["fifo", "device", "socket.jpg", "long", "itself", "lost", "none"])
def test_what_is_no_file_is_refused_and_never_opened(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "lost").symlink_to(tmp_path / "nothing")
    if kind == "socket.jpg" and not with_socket(tmp_path):
        pytest.skip("the path is too long for a socket")
    with pytest.raises(DataError, match="must be a file or a folder") as error:
        find_photos([tmp_path / ("a" * 5000 if kind == "long" else kind)])
    assert len(str(error.value)) < 600


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str | Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        find_photos([tmp_path])


def test_a_folder_without_photos_says_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.png", "notes.txt")
    with pytest.raises(DataError, match=r"Nothing to classify.*1 hidden \(\.hidden\.png\); 1 not"):
        find_photos([tmp_path])
