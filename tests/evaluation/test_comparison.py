"""Verdicts in words, and plans for telling two strategies apart."""

import numpy as np
import pytest

from tl_keras.evaluation.comparison import (
    Needed,
    _planned_error,
    fold_images_needed,
    images_needed,
    verdict,
)
from tl_keras.evaluation.fold_intervals import FoldScores
from tl_keras.evaluation.intervals import Interval
from tl_keras.evaluation.variation import Variation


def difference(estimate: float, low: float, high: float, n_seeds: int = 3) -> Interval:
    return Interval(estimate, low, high, n_seeds, 300, "bootstrap over seeds and test images")


def test_better() -> None:
    said = verdict(difference(0.061, 0.03, 0.092), "fine-tuning", "feature extraction")
    assert said.outcome == "better"
    assert said.sentence == "fine-tuning is better than feature extraction by 6.1 points [3.0, 9.2]"


def test_worse_counts_the_points_the_other_way() -> None:
    said = verdict(difference(-0.061, -0.092, -0.03), "from scratch", "fine-tuning")
    assert said.outcome == "worse"
    assert said.sentence == "from scratch is worse than fine-tuning by 6.1 points [3.0, 9.2]"


def test_not_distinguishable() -> None:
    said = verdict(difference(0.012, -0.02, 0.044), "fine-tuning", "feature extraction")
    assert said.outcome == "not distinguishable"
    assert said.sentence == (
        "fine-tuning and feature extraction are not distinguishable with 3 seeds and "
        "300 test images (difference 1.2 points [-2.0, 4.4])"
    )


def test_interval_that_touches_zero_tells_nothing() -> None:
    assert verdict(difference(0.02, 0.0, 0.04), "a", "b").outcome == "not distinguishable"
    assert verdict(difference(-0.02, -0.04, 0.0), "a", "b").outcome == "not distinguishable"


def test_no_minus_zero_points() -> None:
    assert "difference 0.0 points [-1.0, 1.0]" in (
        verdict(difference(-0.0001, -0.01, 0.01), "a", "b").sentence
    )


@pytest.mark.parametrize(
    ("sign", "words"), [(1, "better by 6.1 points [3.0, 9.2]"), (-1, "worse by 6.1 points")]
)
def test_one_seed_tells_trained_models_apart_but_no_strategies(sign: int, words: str) -> None:
    low, high = sorted((sign * 0.03, sign * 0.092))
    said = verdict(difference(sign * 0.061, low, high, n_seeds=1), "a", "b")
    assert said.outcome == "not distinguishable"
    assert said.sentence.startswith(
        "a and b are not distinguishable with 1 seed and 300 test images: the model trained with "
        f"the first is {words}"
    )


def test_images_needed_with_one_seed_follows_the_normal_formula() -> None:
    # only a right on 6 of 100, only b on 3: difference 0.03, variance about 0.09 - 0.03**2
    a, b = np.ones((2, 1, 100), dtype=bool)
    b[0, :6] = False
    a[0, 6:9] = False
    needed = images_needed(a, b)
    # (1.96 + 0.84)**2 * 0.0891 * 100/99 / 0.03**2 = 785, rounded up by a twentieth at most
    assert needed.images is not None
    assert 785 <= needed.images <= 785 * 1.06
    assert needed.seeds is None


def test_seeds_that_disagree_cannot_be_outweighed_by_images() -> None:
    # the seeds' differences are 0.2, -0.2 and 0.06, the same on every block of 50 images
    a = np.tile(np.arange(50) < 30, (3, 600))
    b = np.vstack([np.tile(np.arange(50) < right, 600) for right in (20, 40, 27)])
    needed = images_needed(a, b)
    assert needed.images is None
    # (1.96 + 0.84)**2 * 0.0412 / 0.02**2 = 808, a little for the images, rounded up by a twentieth
    assert needed.seeds is not None
    assert 808 <= needed.seeds <= 808 * 1.07


def test_what_tells_already_needs_no_more() -> None:
    a, b = np.ones((3, 100), dtype=bool), np.ones((3, 100), dtype=bool)
    b[:, :40] = False
    assert images_needed(a, b) == Needed(100, 3)


def test_no_difference_needs_no_number() -> None:
    same = np.tile(np.arange(100) < 80, (3, 1))
    assert images_needed(same, same) == Needed(None, None)


def test_folds_are_named_in_a_verdict() -> None:
    folded = Interval(0.012, -0.02, 0.044, 10, 300, "corrected t", folds=5)
    assert "with 2 x 5 folds and 300 test images (" in verdict(folded, "a", "b").sentence


def folds(*right: int) -> FoldScores:
    """Five folds of 20 images, so many right in each."""
    images = [np.arange(20) + 20 * fold for fold in range(5)]
    return FoldScores([np.arange(20) < number for number in right], images, 5, 80)


def test_images_needed_with_folds_follow_the_corrected_variance() -> None:
    needed = fold_images_needed(folds(12, 14, 16, 18, 10), folds(10, 13, 18, 15, 9))
    # differences 2 1 -2 3 1 of 20: mean 0.05, variance 3.5 / 400; times 1/5 + 1/4; t of 4 degrees
    # 2.776 and 0.941: 100 * (3.717 / 0.05)**2 * 0.00394 = 2177, rounded up by a twentieth at most
    assert needed.images is not None
    assert 2177 <= needed.images <= 2177 * 1.06
    # what folds share is left: 0.00875 / 4 is a standard error of 0.047 for any number of them
    assert needed.seeds is None


def test_folds_needed_are_whole_divisions() -> None:
    needed = fold_images_needed(folds(12, 14, 16, 18, 10), folds(10, 11, 16, 15, 8))
    # mean 0.1, variance 1.5 / 400; 15 folds have (1/15 + 1/4) of it, and t 2.145 + 0.868: 0.104;
    # 20 folds (1/20 + 1/4), and t 2.093 + 0.861: 0.099
    assert needed == Needed(needed.images, 20)


def test_equal_folds_need_no_number() -> None:
    assert fold_images_needed(folds(*[12] * 5), folds(*[12] * 5)) == Needed(None, None)


@pytest.mark.parametrize(
    ("needed", "n_folds", "sentence"),
    [
        (Needed(12345, 9), 0, "about 12,000 test images or 9 seeds would be needed to tell"),
        (Needed(412, None), 0, "about 410 test images would be needed to tell"),
        (Needed(None, 20), 5, "about 4 x 5 folds would be needed to tell"),
        (Needed(300, 3), 0, None),
        (Needed(None, None), 0, None),
    ],
)
def test_what_is_needed_in_words(needed: Needed, n_folds: int, sentence: str | None) -> None:
    measured = Interval(0.012, -0.02, 0.044, 3, 300, "any", folds=n_folds)
    assert needed.sentence(measured) == sentence


def test_grouped_images_need_more_of_them() -> None:
    a, b = np.ones((1, 120), dtype=bool), np.ones((1, 120), dtype=bool)
    b[0, :12] = False
    a[0, 60:66] = False
    alone = images_needed(a, b)
    groups = np.arange(120) // 6
    together = images_needed(a, b, groups=groups)
    assert alone.images is not None
    assert together.images is not None
    # all six of a group answer alike
    assert together.images / alone.images == pytest.approx(6, rel=0.15)


def test_few_seeds_are_planned_with_the_quantiles_of_few_seeds() -> None:
    """Differences 0.1, 0.3 and 0.5 by seed, the same everywhere: 0.3, with deviation 0.2."""
    a = np.repeat([[True] * 6 + [False] * 4, [True] * 8 + [False] * 2, [True] * 10], 3000, axis=1)
    b = np.repeat([[True] * 5 + [False] * 5] * 3, 3000, axis=1)
    # (2.365 + 0.896) * 0.2 / sqrt(8) = 0.231, with seven seeds (2.447 + 0.906) * 0.2 / sqrt(7),
    # 0.253, six 0.285 and five (2.776 + 0.941) * 0.2 / sqrt(5) = 0.332; by normal quantiles four
    assert images_needed(a, b).seeds == 6


def test_a_planned_error_joins_the_freedoms_of_seeds_and_images() -> None:
    variation = Variation(
        mean=0.1, between_seeds=4.0, between_images=2.5, residual=1.0, n_seeds=3, n_images=50
    )
    # seeds (4 - 1) / 50 over 4, images (2.5 - 1) / 3 over 100, the rest 1 over 400
    seeds, images, rest = 0.06 / 4, 0.5 / 100, 1 / 400
    error, freedom = _planned_error(variation, 4, 100)
    assert error == pytest.approx((seeds + images + rest) ** 0.5)
    total = seeds + images + rest
    assert freedom == pytest.approx(total**2 / (seeds**2 / 3 + (images + rest) ** 2 / 99))


def test_more_than_a_thousand_runs_are_not_named() -> None:
    # of 1000 images: deviation 158.1, mean 1.404 of it; 1000 runs tell 1.405, 5000 tell 1.402
    images = [np.arange(1000) + 1000 * fold for fold in range(5)]
    better = [np.arange(1000) < 222 + step for step in (-200, -100, 0, 100, 200)]
    none = [np.zeros(1000, bool)] * 5
    a, b = (FoldScores(right, images, 5, 4000) for right in (better, none))
    assert fold_images_needed(a, b).seeds is None
