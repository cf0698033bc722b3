"""TensorFlow without its notes on itself. Imports it only when asked to."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tl_keras.keras_settings import check_keras, note_settings, say_overruled, tensorflow_backend

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


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


@contextmanager
def no_standard_error() -> Iterator[None]:
    """Send what the process writes to its standard error nowhere, other languages included."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
