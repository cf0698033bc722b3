"""The stopping rule on losses given by hand."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest

from tl_keras.transfer.early_stopping import EarlyStopping


def ended_after(
    means: Sequence[float], patience: int, start: float | None = None
) -> tuple[int | None, float]:
    """In which epoch the phase ended, None without an end, and the weight that was kept.

    The weight is the number of the epoch, 0 at the start.
    """
    weight = keras.Variable(0.0)
    so_far = None if start is None else np.array([start, start])
    stopping = EarlyStopping([weight], patience, so_far)
    for epoch, mean in enumerate(means, 1):
        weight.assign(float(epoch))
        if stopping.after(np.array([mean - 0.5, mean + 0.5])):
            stopping.restore_best()
            return epoch, float(weight.numpy())
    stopping.restore_best()
    return None, float(weight.numpy())


@pytest.mark.parametrize(
    ("means", "patience", "start", "expected"),
    [
        ([3.0, 2.0, 2.5, 2.5, 1.0], 2, None, (4, 2.0)),
        ([3.0, 2.0, 2.5, 1.0, 1.5], 2, None, (None, 4.0)),
        # an equal loss is none that is lower
        ([2.0, 2.0], 1, None, (2, 1.0)),
        # a second phase that never reaches the first keeps its weights
        ([2.0, 1.9, 1.8], 3, 1.7, (3, 0.0)),
        ([2.0, 1.6, 1.8], 2, 1.7, (None, 2.0)),
        # what is no number is never the best
        ([float("nan"), 5.0, 6.0], 2, None, (None, 2.0)),
    ],
)
def test_the_phase_ends_and_keeps_the_best_weights(
    means: list[float],
    patience: int,
    start: float | None,
    expected: tuple[int | None, float],
) -> None:
    assert ended_after(means, patience, start) == expected


def test_without_a_loss_that_is_a_number_there_is_no_best() -> None:
    stopping = EarlyStopping([], 5)
    stopping.after(np.array([np.nan]))
    assert stopping.best is None
