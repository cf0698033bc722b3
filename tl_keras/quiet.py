"""TensorFlow loaded without its notes on itself. Imports it only when asked to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow's notes on itself, which would bury ours, out of the terminal.

    When it loads, it writes to the process's standard error, past Python; later it warns of
    several networks being traced, which is what an experiment does.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
