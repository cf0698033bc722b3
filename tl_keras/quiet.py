"""TensorFlow without its notes on itself. Imports it only when asked to."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from tl_keras.keras_settings import check_keras, note_settings, say_overruled, tensorflow_backend
from tl_keras.shared_block import SharedBlock

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_STANDARD_ERROR = 2


@contextmanager
def few_notes() -> Iterator[None]:
    """Let TensorFlow tell of errors only, as it otherwise warns of several networks being traced.

    The level of its logger and the environment are as before afterwards.
    """
    logger = logging.getLogger("tensorflow")
    level, set_before = logger.level, _LEVEL in os.environ
    os.environ.setdefault(_LEVEL, "3")
    logger.setLevel("ERROR")
    try:
        with tensorflow_backend():
            yield
    finally:
        logger.setLevel(level)
        if not set_before:
            os.environ.pop(_LEVEL, None)


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Load TensorFlow, or let it convert something, with nothing on the standard error.

    It writes there past Python. Everything is as before afterwards. Settings of Keras that do not
    count are named if the block loads it.

    Raises:
        ConfigError: Keras cannot be used, or not on TensorFlow.
    """
    check_keras()
    with few_notes():
        with no_standard_error(), _no_collection():
            import tensorflow  # noqa: F401

            yield
        if "keras" in sys.modules:
            note_settings()
            say_overruled(lambda text: print(f"warning: {text}", file=sys.stderr))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let Python not look for garbage while TensorFlow is imported, nor among that afterwards.

    There is none, and looking takes a third as long as importing. Where TensorFlow is there
    already, nothing changes.
    """
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def error_stream() -> TextIO:
    """The standard error, for what Python writes while `no_standard_error` lasts."""
    stream = sys.stderr
    if sys.__stderr__ is None or stream is not sys.__stderr__:
        return stream
    return open(  # noqa: PTH123 (until the process ends)
        os.dup(_STANDARD_ERROR),
        "w",
        buffering=1,
        encoding=stream.encoding,
        errors=stream.errors,
    )


def no_standard_error() -> AbstractContextManager[None]:
    """Send what the process writes to its standard error nowhere, other languages included.

    Until the last of the threads that are inside has left.
    """
    return _NOWHERE


@contextmanager
def _to_nowhere() -> Iterator[None]:
    stderr = os.dup(_STANDARD_ERROR)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), _STANDARD_ERROR)
        yield
    finally:
        os.dup2(stderr, _STANDARD_ERROR)
        os.close(stderr)


_NOWHERE = SharedBlock(_to_nowhere)
