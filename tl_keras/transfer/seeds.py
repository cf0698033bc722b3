"""The random numbers of the process around a training that seeds them."""

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
