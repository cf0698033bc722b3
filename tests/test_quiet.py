"""Quiet for as long as asked, and everything as before afterwards."""

import gc
import importlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tl_keras import quiet
from tl_keras.quiet import error_stream, few_notes, no_standard_error, quiet_tensorflow

BOTH = pytest.mark.parametrize("quiet", [few_notes, quiet_tensorflow])
Quiet = Callable[[], AbstractContextManager[None]]
LOGGER = logging.getLogger("tensorflow")


def state() -> tuple[int, dict[str, str], tuple[int, int]]:
    """Of the logger, the environment and the file behind the standard error."""
    file = os.fstat(2)
    return LOGGER.level, dict(os.environ), (file.st_dev, file.st_ino)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable is not set before, the other to something of the user's."""
    monkeypatch.setattr(LOGGER, "level", logging.INFO)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")


@BOTH
def test_everything_is_as_before_afterwards(quiet: Quiet) -> None:
    before = state()
    with quiet():
        assert LOGGER.level == logging.ERROR
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert state() == before


@BOTH
def test_an_error_leaves_nothing_changed(quiet: Quiet) -> None:
    before = state()
    with pytest.raises(ZeroDivisionError), quiet():
        1 / 0  # noqa: B018
    assert state() == before


@BOTH
def test_an_inner_block_ends_nothing_of_the_outer(quiet: Quiet) -> None:
    with quiet():
        outer = state()
        with quiet():
            pass
        assert state() == outer


def test_what_the_user_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with few_notes():
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_what_the_process_writes_past_python_is_not_seen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with quiet_tensorflow():
        os.write(2, b"note of a library")
    os.write(2, b"message of ours")
    assert capfd.readouterr().err == "message of ours"


def test_nothing_is_collected_while_tensorflow_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tensorflow")
    with quiet._no_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_where_tensorflow_is_there_garbage_is_collected_as_before() -> None:
    importlib.import_module("tensorflow")
    frozen = gc.get_freeze_count()
    with quiet_tensorflow():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_the_last_of_several_threads_brings_the_standard_error_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    inside, outside = no_standard_error(), no_standard_error()
    inside.__enter__()
    outside.__enter__()
    inside.__exit__(None, None, None)
    os.write(2, b"nobody reads it\n")
    outside.__exit__(None, None, None)
    os.write(2, b"all is as before\n")
    assert capfd.readouterr().err == "all is as before\n"


def test_what_python_writes_passes_where_the_standard_error_goes_nowhere() -> None:
    program = (
        "import os\n"
        "from tl_keras.quiet import error_stream, no_standard_error\n"
        "stream = error_stream()\n"
        "with no_standard_error():\n"
        "    os.write(2, b'a library')\n"
        "    print('a person', file=stream)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "a person\n"


def test_a_standard_error_that_was_replaced_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert error_stream() is sys.stderr
