"""Whether training gives the same numbers every time, for as long as that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tl_keras.models.keras_internals import allow_nondeterministic_ops, ops_are_deterministic


@contextmanager
def deterministic_ops(enabled: bool) -> Iterator[None]:
    """Let TensorFlow's operations be deterministic inside the block, or not, and then as before.

    Args:
        enabled: whether the same inputs and seeds must give the same bits.
    """
    before = ops_are_deterministic()
    _switch(enabled)
    try:
        yield
    finally:
        _switch(before)


def _switch(enabled: bool) -> None:
    if enabled:
        tf.config.experimental.enable_op_determinism()
    else:
        allow_nondeterministic_ops()
