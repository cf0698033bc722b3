"""The random numbers of the process: those of new layers, and of whoever trains."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeds_kept() -> Iterator[None]:
    """Put the states of Python's and NumPy's global generators back afterwards.

    Without it a training would make the random numbers of whoever calls it repeat.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def seed_initialisers(seed: int) -> None:
    """Let the initial weights of layers that are built next depend on the seed alone.

    Layers draw the seeds of their initialisers from Python's generator. `set_random_seed` of Keras
    would seed TensorFlow as well, which then prepares every traced function anew: for the training
    of a whole network that takes seconds.
    """
    random.seed(seed)
