"""How many threads TensorFlow's operations have: what trains on others ends in other digits."""

import os

import tensorflow as tf


def fix_threads(count: int | None) -> str | None:
    """Let each operation have so many threads, which a process can decide once.

    Args:
        count: of threads; None is one for each processor.

    Returns:
        A sentence where it was decided otherwise before, else None.
    """
    if count is None:
        return None
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
    except RuntimeError:
        present = _decided()
        if present != count:
            return (
                f"TensorFlow was in use in this process before, with {present} threads: it cannot "
                f"have the {count} of training.threads any more, and figures may differ in their "
                "last digits from those of another process."
            )
    return None


def _decided() -> int | None:
    asked = tf.config.threading.get_intra_op_parallelism_threads()
    return asked or int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)) or os.cpu_count()
