"""Batches from arrays that may be larger than memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tl_keras.data.rows import Rows

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Batches:
    """Batches of (inputs, targets, sample weights), in a new order each time they are iterated.

    The order depends on `shuffle_seed` and on how often it was iterated before. Only one batch at
    a time is copied, so `inputs` may be mapped from a file.

    Attributes:
        inputs: (n, ...) pixels 0..255 or activations.
        targets: float32 (n, classes), summing to 1.
        batch_size: the last batch may be smaller.
        sample_weights: float32 (n,).
        shuffle_seed: None keeps the order of the arrays.
    """

    inputs: Rows
    targets: np.ndarray
    batch_size: int
    sample_weights: np.ndarray
    shuffle_seed: int | None = None
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.shuffle_seed)

    def __iter__(self) -> Iterator[Batch]:
        count = len(self.inputs)
        order = self._rng.permutation(count) if self.shuffle_seed is not None else np.arange(count)
        for start in range(0, count, self.batch_size):
            # Sorted rows read a mapped file forwards; the order within a batch does not matter.
            rows = np.sort(order[start : start + self.batch_size])
            yield self.inputs[rows], self.targets[rows], self.sample_weights[rows]
