"""The stopping rule on losses given by hand."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest

from tl_keras.transfer.early_stopping import EarlyStopping, as_good


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
            stopping.settle()
            return epoch, float(weight.numpy())
    stopping.settle()
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


# Differences to the best of 1, 3, 1 and 3: mean 2, standard error sqrt(4 / 3) / 2 = 0.577.
DEARER = np.array([1.0, 3.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("less", "groups", "expected"),
    [
        (1.42, None, False),
        (1.43, None, True),
        # pairs of 1 and 1, 3 and 3: standard error 1
        (0.99, [0, 1, 0, 1], False),
        (1.01, [0, 1, 0, 1], True),
        # pairs that are alike tell the mean exactly
        (1.99, [0, 0, 1, 1], False),
        (2.01, [0, 0, 1, 1], True),
        # a single group tells nothing
        (2.01, [5, 5, 5, 5], False),
    ],
)
def test_as_good_is_within_one_standard_error_of_the_difference(
    less: float, groups: list[int] | None, expected: bool
) -> None:
    best = np.array([0.5, 0.0, 2.0, 0.1])
    numbers = None if groups is None else np.array(groups)
    assert as_good(best + DEARER - less, best, numbers) is expected


def test_a_single_image_tells_nothing() -> None:
    assert not as_good(np.array([0.1]), np.array([0.2]))


def test_what_is_no_number_is_not_as_good() -> None:
    assert not as_good(np.array([np.nan, 0.1]), np.array([0.2, 0.2]))


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        # the mean is above the best by 0.5, the standard error is 1
        ([1.0, 4.0], 2),
        # by 2.5, and the same
        ([3.0, 6.0], 1),
        ([np.nan, 1.0], 1),
    ],
)
def test_the_last_weights_stay_unless_the_best_are_better_by_more(
    last: list[float], kept: int
) -> None:
    weight = keras.Variable(0.0)
    stopping = EarlyStopping([weight], 5)
    for epoch, losses in enumerate([[1.5, 2.5], last], 1):
        weight.assign(float(epoch))
        stopping.after(np.array(losses))
    stopping.settle("last")
    assert float(weight.numpy()) == stopping.kept == kept
    expected = last if kept == 2 else [1.5, 2.5]
    assert stopping.best is not None
    np.testing.assert_array_equal(stopping.best, expected)


def test_a_phase_that_is_as_good_as_its_start_ends_with_its_own_weights() -> None:
    weight = keras.Variable(0.0)
    stopping = EarlyStopping([weight], 5, np.array([1.0, 2.0]))
    weight.assign(1.0)
    stopping.after(np.array([0.0, 3.1]))
    stopping.settle("last")
    assert (float(weight.numpy()), stopping.kept) == (1.0, 1)


def test_without_an_epoch_the_start_stays() -> None:
    stopping = EarlyStopping([], 5, np.array([1.0, 2.0]))
    stopping.settle("last")
    assert stopping.kept == 0
