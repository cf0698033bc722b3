"""Batches from arrays that may be larger than memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tl_keras.data.rows import Rows

# Of features that are copied at a time: 16 MB as float32.
MAX_NUMBERS = 2**22

Stretch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Batches:
    """Batches of (inputs, targets, sample weights), in a new order each time they are iterated.

    The order depends on `shuffle_seed` and on how often it was iterated before. They come one at a
    time, or features in `stretches` of several, so `inputs` may be mapped from a file.

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

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.inputs)

    def __iter__(self) -> Iterator[Stretch]:
        order = np.arange(len(self))
        if self.shuffle_seed is not None:
            order = self._rng.permutation(len(self))
        for stretch in stretches(self.inputs.shape, self.batch_size):
            # Sorted rows read a mapped file forwards; the order within a batch does not matter.
            rows = order[stretch]
            for start in range(0, len(rows), self.batch_size):
                rows[start : start + self.batch_size].sort()
            yield self.inputs[rows], self.targets[rows], self.sample_weights[rows]


def in_stretches(shape: Sequence[int | None]) -> bool:
    """Whether rows are features, (n, width), of which many batches go through a head in no time.

    Args:
        shape: of the rows, (n, ...).
    """
    return len(shape) == 2


def stretches(shape: Sequence[int], batch_size: int) -> Iterator[slice]:
    """Positions of rows: of a batch at a time, or of features as many as `MAX_NUMBERS` allows.

    Args:
        shape: of all rows, (n, ...).
        batch_size: rows in a batch.
    """
    most = MAX_NUMBERS // (batch_size * shape[1]) if in_stretches(shape) else 1
    rows = max(1, most) * batch_size
    return (slice(start, start + rows) for start in range(0, shape[0], rows))
