"""The corrected t over folds against the formula, and the image part where folds agree."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from tl_keras.evaluation.fold_intervals import (
    CORRECTED_T,
    FoldScores,
    fold_accuracy_interval,
    fold_difference,
)
from tl_keras.evaluation.intervals import IN_GROUPS


def scores(*right: int, size: int = 20, folds: int | None = None) -> FoldScores:
    """Folds of `size` images with so many right, division after division."""
    folds = folds or len(right)
    images = [np.arange(size) + size * (run % folds) for run in range(len(right))]
    correct = [np.arange(size) < number for number in right]
    return FoldScores(correct, images, folds, size * (folds - 1))


def test_accuracy_follows_nadeau_and_bengio() -> None:
    interval = fold_accuracy_interval(scores(12, 14, 16, 18, 10))
    # means 0.6 0.7 0.8 0.9 0.5, variance 0.025; times 1/5 + 1/4; t of 4 degrees 2.7764
    half = 2.776445 * np.sqrt(0.025 * (1 / 5 + 1 / 4))
    assert interval.estimate == pytest.approx(0.7)
    assert interval.low == pytest.approx(0.7 - half)
    assert interval.high == pytest.approx(0.7 + half)
    assert (interval.n_seeds, interval.n_images, interval.folds) == (5, 100, 5)
    assert interval.method == CORRECTED_T


def test_a_second_division_narrows_by_less_than_new_images_would() -> None:
    once = fold_accuracy_interval(scores(12, 14, 16, 18, 10))
    twice = fold_accuracy_interval(scores(*[12, 14, 16, 18, 10] * 2, folds=5))
    # variance 0.1 / 9 * 2; times 1/10 + 1/4; t of 9 degrees 2.2622
    assert twice.high - 0.7 == pytest.approx(2.262157 * np.sqrt(0.2 / 9 * (1 / 10 + 1 / 4)))
    assert twice.n_images == once.n_images == 100
    assert twice.counts == "2 x 5 folds and 100 test images"
    assert once.counts == "5 folds and 100 test images"


@pytest.mark.parametrize("right", [20, 15])
def test_folds_that_agree_leave_the_interval_of_the_images(right: int) -> None:
    interval = fold_accuracy_interval(scores(*[right] * 5))
    wilson = binomtest(5 * right, 100).proportion_ci(0.95, method="wilson")
    assert interval.low == pytest.approx(wilson.low)
    assert interval.high == pytest.approx(wilson.high)


def test_an_interval_stays_in_the_possible_range() -> None:
    interval = fold_accuracy_interval(scores(20, 20, 20, 10, 20))
    assert interval.high == 1.0
    assert interval.low < 0.9


def test_a_difference_is_taken_image_by_image() -> None:
    difference = fold_difference(scores(12, 14, 16, 18, 10), scores(10, 13, 16, 15, 6))
    # differences 2 1 0 3 4 of 20: mean 0.1, variance 2.5 / 400
    half = 2.776445 * np.sqrt(2.5 / 400 * (1 / 5 + 1 / 4))
    assert difference.estimate == pytest.approx(0.1)
    assert difference.low == pytest.approx(0.1 - half)
    assert difference.high == pytest.approx(0.1 + half)


def test_equal_methods_have_no_interval_of_width_zero() -> None:
    difference = fold_difference(scores(*[15] * 5), scores(*[15] * 5))
    assert difference.estimate == 0
    assert -0.06 < difference.low < -0.01
    assert 0.01 < difference.high < 0.06


def test_other_folds_are_not_paired() -> None:
    with pytest.raises(ValueError, match="must have the same folds"):
        fold_difference(scores(10, 10), scores(10, 10, 10))


@pytest.mark.parametrize("number", [0, 1])
def test_one_run_is_no_cross_validation(number: int) -> None:
    with pytest.raises(ValueError, match=f"2 runs and 2 folds at least.* got {number} runs"):
        scores(*[10] * number, folds=5)


def test_scores_must_be_those_of_the_images() -> None:
    with pytest.raises(ValueError, match=r"a score for each; got \(scores, images\)"):
        FoldScores([np.ones(2, bool)] * 2, [np.arange(3)] * 2, 2, 4)


def grouped(one: FoldScores, of_one: int) -> FoldScores:
    """The same with groups of so many neighbouring images."""
    return replace(one, groups=[images // of_one for images in one.images])


def test_folds_that_agree_leave_the_interval_of_the_groups() -> None:
    interval = fold_accuracy_interval(grouped(scores(*[20] * 5), 10))
    wilson = binomtest(10, 10).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((wilson.low, wilson.high))
    assert interval.method == CORRECTED_T + IN_GROUPS


def test_a_group_counts_once_in_a_second_division_too() -> None:
    once = fold_accuracy_interval(grouped(scores(*[20] * 5), 10))
    twice = fold_accuracy_interval(grouped(scores(*[20] * 10, folds=5), 10))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))


def test_a_difference_is_no_narrower_than_the_groups_allow() -> None:
    one, other = scores(*[20] * 5), scores(*[15] * 5)
    alone = fold_difference(one, other)
    together = fold_difference(grouped(one, 5), grouped(other, 5))
    assert together.high - together.low > 1.7 * (alone.high - alone.low)
    assert together.method == CORRECTED_T + IN_GROUPS


def test_groups_of_one_image_change_nothing() -> None:
    one, other = scores(12, 14, 16, 18, 10), scores(10, 13, 16, 15, 6)
    assert fold_accuracy_interval(grouped(one, 1)) == fold_accuracy_interval(one)
    assert fold_difference(grouped(one, 1), grouped(other, 1)) == fold_difference(one, other)


def test_half_an_image_widens_to_whole_ones_on_either_side() -> None:
    # right in one of two divisions: 74.5 of 100
    interval = fold_accuracy_interval(scores(*[15] * 9, 14, folds=5))
    fewer, more = (binomtest(n, 100).proportion_ci(0.95, method="wilson") for n in (74, 75))
    assert (interval.low, interval.high) == pytest.approx((fewer.low, more.high))
