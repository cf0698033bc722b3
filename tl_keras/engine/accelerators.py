"""The GPUs of this machine, and how several processes share them. Imports TensorFlow when used."""

import os
from collections.abc import Sequence
from itertools import cycle, islice

_VISIBLE, _NONE = "CUDA_VISIBLE_DEVICES", "-1"
# Says the same as memory growth, and counts before it.
_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"


def accelerators() -> tuple[str, ...]:
    """GPUs that this process may use and that are like its first, by their names in CUDA.

    On one of another kind a training would end in other last digits.
    """
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    gpus = tf.config.get_visible_devices("GPU")
    # TensorFlow passes over small ones, but numbers the others as CUDA does
    places = [int(gpu.name.rpartition(":")[2]) for gpu in gpus if details(gpu) == details(gpus[0])]
    if (given := os.environ.get(_VISIBLE)) is None:
        return tuple(map(str, places))
    names = given.split(",")
    return tuple(names[place].strip() for place in places if place < len(names))


def share_memory() -> bool:
    """Let this process take of the memory of its GPUs what it needs, and leave others the rest.

    Returns:
        Whether that is so: TensorFlow decides once, when it is first used, and then takes it all.
    """
    import tensorflow as tf

    gpus, forced = tf.config.get_visible_devices("GPU"), os.environ.get(_GROWTH)
    if forced in ("true", "false"):
        return forced == "true" or not gpus
    try:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except (RuntimeError, ValueError):
        return False
    return True


def one_each(workers: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """What the environment of each worker says, so that it sees one GPU alone, or none.

    They take turns, from the last GPU on: this process computes on the first.

    Args:
        workers: processes; with more of them than GPUs some share one.
        gpus: as `accelerators` names them.
    """
    names = islice(cycle(tuple(gpus)[::-1] or (_NONE,)), workers)
    return [{_VISIBLE: name} for name in names]
