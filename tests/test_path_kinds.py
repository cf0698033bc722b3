"""What is at a path."""

import socket
from pathlib import Path

import pytest

from tests.hostile.odd_paths import NO_FILES
from tl_keras.path_kinds import A_FILE, A_FOLDER, NOTHING, in_the_way, is_inside, kind_of


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    NO_FILES[kind](tmp_path / "x")
    assert kind_of(tmp_path / "x") == kind
    # a link to it is the same, but to a circle or to nothing
    (tmp_path / "y").symlink_to("x")
    assert kind_of(tmp_path / "y") == kind


def test_files_devices_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert kind_of(str(tmp_path / "x")) == A_FILE
    assert kind_of(tmp_path / "z") == kind_of(tmp_path / "x" / "z") == NOTHING
    assert kind_of("/dev/null") == "a pipe, socket or device"
    assert kind_of(tmp_path / ("a" * 5000)).startswith("out of reach (")
    assert kind_of("a\0b").startswith("no possible path (")


def test_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the path of a socket must be short
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert kind_of("s") == "a pipe, socket or device"


@pytest.mark.parametrize("kind", NO_FILES)
def test_the_topmost_that_is_in_the_way(tmp_path: Path, kind: str) -> None:
    NO_FILES[kind](tmp_path / "x")
    deep = tmp_path / "x" / "y" / "z"
    assert in_the_way(deep) == (None if kind == A_FOLDER else tmp_path / "x")
    assert in_the_way(tmp_path / "new" / "y") is None


def test_what_lies_in_a_folder_whatever_links_lead_there(tmp_path: Path) -> None:
    (tmp_path / "photos" / "good").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos" / "good")
    for inside in ("photos", "photos/good", "photos/not/there", "link", "photos_2/../photos"):
        assert is_inside(tmp_path / inside, tmp_path / "photos"), inside
    for outside in (".", "photos_2", "photos/..", "link/../.."):
        assert not is_inside(tmp_path / outside, tmp_path / "photos"), outside
