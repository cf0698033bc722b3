"""Verdicts in words, and plans for telling two strategies apart."""

import numpy as np

from tl_keras.evaluation.comparison import Needed, images_needed, verdict
from tl_keras.evaluation.intervals import Interval


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


def test_one_seed_speaks_of_the_trained_models_only() -> None:
    said = verdict(difference(0.061, 0.03, 0.092, n_seeds=1), "a", "b")
    assert said.sentence == (
        "a is better than b by 6.1 points [3.0, 9.2] with 1 seed and 300 test images, "
        "for these trained models only"
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
