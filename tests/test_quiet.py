"""Quiet for as long as asked, and everything as before afterwards."""

import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tl_keras import quiet
from tl_keras.quiet import few_notes, quiet_tensorflow

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
