"""Files appear whole or not at all, whoever is killed or writes at the same time."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tl_keras.atomic_files import (
    UNFINISHED,
    check_writable,
    replacing,
    scratch_folder,
    write_bytes,
    write_json,
    write_text,
)

# Writes a long file of one digit again and again.
WRITER = """
import sys
from pathlib import Path
from tl_keras.atomic_files import write_text
for _ in range(40):
    write_text(Path(sys.argv[1]), sys.argv[2] * 200_000)
"""
KILLED = """
import os, sys
from pathlib import Path
from tl_keras.atomic_files import replacing
with replacing(Path(sys.argv[1])) as unfinished:
    unfinished.write_text("half")
    os._exit(9)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is there already."""
    found = tmp_path / "facts.json"
    found.write_text("old")
    return found


def test_text_is_utf_8_with_its_line_ends(path: Path) -> None:
    write_text(path, "Größe\n")
    assert path.read_bytes() == b"Gr\xc3\xb6\xc3\x9fe\n"


def test_json_can_be_read_back(path: Path) -> None:
    content = {"classes": ["a", "ß"], "share": 0.1, "none": None}
    write_json(path, content)
    assert json.loads(path.read_text()) == content


def test_nothing_is_left_beside_what_was_written(path: Path) -> None:
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_sees_the_ending_of_the_name(tmp_path: Path) -> None:
    with replacing(tmp_path / "round_1.weights.h5") as unfinished:
        assert unfinished.name == "round_1.weights.h5"
        unfinished.touch()


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with replacing(folder) as unfinished:
        unfinished.mkdir()
        (unfinished / "row.json").write_text("{}")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["row.json"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_writer_leaves_the_old_file_alone(path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replacing(path) as unfinished:
        unfinished.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_is_not_disturbed(path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def left_by_a_killed_writer(path: Path) -> Path:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (left,) = path.parent.glob(f"{UNFINISHED}*")
    return left


def test_what_killed_writers_left_goes_and_what_others_write_stays(path: Path) -> None:
    own = path.with_name("1")
    own.mkdir()
    dead = left_by_a_killed_writer(path)
    with scratch_folder(path.parent) as alive:
        os.utime(alive, (0, 0))
        write_text(path, "new")
        assert (alive.exists(), dead.exists(), own.exists()) == (True, False, True)


def test_without_locks_what_killed_writers_left_goes_after_a_day(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = left_by_a_killed_writer(path)
    monkeypatch.setattr("tl_keras.atomic_files.hold", lambda folder: None)
    write_text(path, "new")
    assert dead.exists()
    os.utime(dead, (0, 0))
    write_text(path, "newer")
    assert not dead.exists()


class LibraryError(Exception):
    """As of one that knows neither OSError nor the name of the file."""


@pytest.mark.parametrize("action", ["block", "content"])
@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError("write failed: errno = 28, error message = 'No space left on device'"),
        LibraryError("{node save} /x/y; No space left on device"),
    ],
)
def test_a_full_disk_is_told_of_the_file_that_was_meant(
    path: Path, error: Exception, action: str
) -> None:
    with pytest.raises(OSError, match="No space left") as told, replacing(path) as unfinished:
        if action == "content":
            unfinished.write_text("half")
        raise error
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old"


def test_other_errors_pass_as_they_are(path: Path) -> None:
    for error in (ValueError("x"), FileNotFoundError(2, "none", "other")):
        with pytest.raises(type(error)) as told, replacing(path):
            raise error
        assert told.value is error


def test_two_processes_that_write_at_once_never_show_a_mixture(path: Path) -> None:
    write_text(path, "0" * 200_000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), digit]) for digit in "12"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        text = path.read_text()
        assert text == text[0] * 200_000
        seen.add(text[0])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen & {"1", "2"}
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.touch()
    write_bytes(written, b"")
    assert written.stat().st_mode == plain.stat().st_mode


def test_a_folder_is_tried_where_it_is_or_will_be_and_nothing_is_left(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for below in ("file", "file/deep"):
        with pytest.raises(NotADirectoryError):
            check_writable(tmp_path / below)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "missing" / "file", "text")
