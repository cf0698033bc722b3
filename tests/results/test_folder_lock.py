"""Two processes never work in one experiment's folder, and a dead one keeps nobody out."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.hostile.odd_paths import NO_FILES
from tl_keras.errors import ResultsError
from tl_keras.results.folder_lock import LOCK, alone_in

# Says "in" once it has the folder, and keeps it until its input ends.
HOLDER = """
import sys
from pathlib import Path
from tl_keras.results.folder_lock import alone_in
with alone_in(Path(sys.argv[1]), print):
    print("in", flush=True)
    sys.stdin.read()
"""
# Tries once; exit code 3 where another process is there.
CONTENDER = """
import sys, time
from pathlib import Path
from tl_keras.errors import ResultsError
from tl_keras.results.folder_lock import alone_in
try:
    with alone_in(Path(sys.argv[1]), print):
        time.sleep(1)
except ResultsError:
    sys.exit(3)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_the_second_process_is_told_who_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "parts"
    with hold(folder) as process:
        with (
            pytest.raises(ResultsError, match=rf"process {process.pid} of .*, since 20"),
            alone_in(folder, pytest.fail),
        ):
            pass
        with alone_in(folder.with_name("others"), pytest.fail):
            pass
        process.communicate()
    with alone_in(folder, pytest.fail):
        pass


def test_a_killed_process_keeps_nobody_out(tmp_path: Path) -> None:
    with hold(tmp_path / "parts") as process:
        process.kill()
    with alone_in(tmp_path / "parts", pytest.fail):
        pass


def test_nothing_is_left(tmp_path: Path) -> None:
    with alone_in(tmp_path / "new" / "results" / "parts", pytest.fail):
        assert (tmp_path / "new" / "results").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_of_many_at_once_one_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTENDER, str(tmp_path / "parts")]
    started = [subprocess.Popen(command) for _ in range(4)]
    assert sorted(process.wait() for process in started) == [0, 3, 3, 3]


def test_a_command_and_what_it_calls_are_one(tmp_path: Path) -> None:
    with alone_in(tmp_path / "parts", pytest.fail):
        with alone_in(tmp_path / "parts", pytest.fail):
            pass
        assert (tmp_path / ".parts.lock").exists()


def test_another_thread_is_another_one(tmp_path: Path) -> None:
    refused = []

    def enter() -> None:
        try:
            with alone_in(tmp_path / "parts", pytest.fail):
                pass
        except ResultsError:
            refused.append(True)

    with alone_in(tmp_path / "parts", pytest.fail):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert refused == [True]


@pytest.mark.parametrize("kind", ["a pipe, socket or device", "a link in a circle"])
@pytest.mark.parametrize("below", ["parts", "deep/parts"])
def test_what_is_in_the_way_of_results_is_named(tmp_path: Path, kind: str, below: str) -> None:
    NO_FILES[kind](tmp_path / "results")
    with (
        pytest.raises(ResultsError, match=rf"results is {kind}\. Move it away"),
        alone_in(tmp_path / "results" / below, pytest.fail),
    ):
        pass


def test_a_link_to_the_folder_is_the_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "parts")
    with hold(tmp_path / "parts") as process:
        with (
            pytest.raises(ResultsError, match="one process at a time"),
            alone_in(tmp_path / "link", pytest.fail),
        ):
            pass
        process.communicate()


def test_where_nothing_can_be_written_beside_it_the_lock_is_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    with alone_in(folder, pytest.fail):
        assert [path.name for path in folder.iterdir()] == [LOCK]
    assert list(tmp_path.rglob("*")) == [folder]


def test_without_locks_it_goes_on_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tl_keras.results.folder_lock.hold", lambda path, create: None)
    notes: list[str] = []
    with alone_in(tmp_path / "parts", notes.append):
        pass
    assert len(notes) == 1
    assert "cannot lock files" in notes[0]


@pytest.mark.parametrize("below", ["file", "file/results"])
def test_a_place_that_is_none_is_refused_in_a_sentence(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ResultsError, match="must be a folder that can be written"),
        alone_in(tmp_path / below / "parts", pytest.fail),
    ):
        pass


def test_it_needs_nothing_heavy() -> None:
    code = (
        "import sys; from tl_keras.results.folder_lock import alone_in; "
        "print({'numpy', 'pandas', 'tensorflow'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_a_link_in_a_circle_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with (
        pytest.raises(ResultsError, match="circle"),
        alone_in(tmp_path / "circle" / "name", pytest.fail),
    ):
        pass
