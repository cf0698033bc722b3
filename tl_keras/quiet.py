"""TensorFlow without its notes on itself. Imports it only when asked to."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


@contextmanager
def few_notes() -> Iterator[None]:
    """Let TensorFlow tell of errors only, as it otherwise warns of several networks being traced.

    The level of its logger and the environment are as before afterwards.
    """
    logger = logging.getLogger("tensorflow")
    level, before = logger.level, {name: os.environ.get(name) for name in _SETTINGS}
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, set_before in before.items():
            if set_before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = set_before


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Load TensorFlow, or let it convert something, with nothing on the standard error.

    It writes there past Python. Everything is as before afterwards.
    """
    with few_notes(), _no_standard_error():
        import tensorflow  # noqa: F401

        yield


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Send what the process writes to its standard error nowhere, other languages included."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
