"""What every command line does with errors, full disks and readers who leave."""

import errno
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tl_keras.atomic_files import write_text
from tl_keras.commands.command_line import carry_out, writing
from tl_keras.errors import ConfigError, DataError

full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
HINT = "stopped; the same command goes on"


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def test_a_full_disk_is_told_with_the_file_and_what_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "results/parts/runs.csv")
    assert carry_out(raising(error), HINT) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: results/parts/runs.csv: No space left on device.")
    assert "finished is kept" in line
    assert "the same command goes on" in line


@pytest.mark.parametrize("name", [None, str(Path(tempfile.gettempdir(), "tl_keras-x", "pixels"))])
def test_a_full_temporary_folder_is_told_with_what_moves_it(
    name: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", name)
    assert carry_out(raising(error), HINT) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert tempfile.gettempdir() in line
    assert "TMPDIR" in line
    assert name is None or name in line


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("x.so: failed to map segment from shared object"),
    ],
)
def test_threads_and_processes_that_are_used_up_are_told(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(raising(error)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ulimit" in line
    assert "engine.workers=1" in line


@pytest.mark.parametrize("error", [OSError("odd"), PermissionError(13, "Permission denied", "x")])
def test_other_errors_of_the_system_are_one_line(
    error: OSError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(raising(error)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")],
)
def test_a_full_memory_is_told_with_what_needs_less(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(raising(error)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "memory" in line
    assert "training.batch_size" in line


def test_a_fault_of_the_package_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        carry_out(raising(ZeroDivisionError()))


def test_an_error_of_the_package_has_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(raising(DataError("none"))) == 2
    assert capsys.readouterr().err == "error: none\n"


@full
def test_a_full_disk_behind_the_standard_output_is_told() -> None:
    code = (
        "import sys; from tl_keras.commands.command_line import carry_out; "
        "sys.exit(carry_out(lambda: print('answers') or 0))"
    )
    with Path("/dev/full").open("w") as output:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert os.strerror(errno.ENOSPC) in done.stderr


@full
def test_a_place_that_is_full_is_told_with_its_option() -> None:
    path = Path("/dev/full")
    with (
        pytest.raises(ConfigError, match=r"/dev/full cannot be .*another --output"),
        writing(path, "--output"),
    ):
        write_text(path, "text")


WARNS = """
import sys, warnings
from tl_keras.commands.command_line import carry_out
sys.exit(carry_out(lambda: warnings.warn("for programmers", FutureWarning) or 0))
"""


@pytest.mark.parametrize(("options", "told"), [((), False), (("-W", "default"), True)])
def test_warnings_of_libraries_reach_whoever_asks_for_them(
    options: tuple[str, ...], told: bool
) -> None:
    command = [sys.executable, *options, "-c", WARNS]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ("for programmers" in ended.stderr) == told


def test_a_warning_that_is_an_error_stays_one() -> None:
    with pytest.raises(FutureWarning):
        carry_out(lambda: warnings.warn("for programmers", FutureWarning, stacklevel=1) or 0)
