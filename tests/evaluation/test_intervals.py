"""Intervals against known formulas, and their coverage on simulated strategies."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, norm

from tl_keras.evaluation.intervals import (
    BOOTSTRAP_SEEDS_AND_IMAGES,
    IN_GROUPS,
    WILSON,
    accuracy_interval,
    independent_difference,
    paired_difference,
    share_interval,
    wilson_interval,
)
from tl_keras.evaluation.variation import resample_images

Correct = NDArray[np.bool_]


def hits(n_right: int, n_images: int, n_seeds: int = 1) -> Correct:
    return np.tile(np.arange(n_images) < n_right, (n_seeds, 1))


class Simulation:
    """Strategies whose score per seed and image is a probit of seed, image and chance."""

    def __init__(self, n_seeds: int, n_images: int, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.shape = (n_seeds, n_images)

    def images(self) -> NDArray[np.float64]:
        """Difficulties of new test images; they make half the variance of a score."""
        return self.generator.standard_normal(self.shape[1]) * 0.5**0.5

    def strategy(self, accuracy: float, seed_sd: float, images: NDArray[np.float64]) -> Correct:
        """What new seeds answer correctly; `seed_sd` is that of a seed's accuracy."""
        spread = seed_sd / norm.pdf(norm.ppf(accuracy))
        level = norm.ppf(accuracy) * np.sqrt(1 + spread**2)
        seeds = spread * self.generator.standard_normal((self.shape[0], 1))
        chance = self.generator.standard_normal(self.shape) * 0.5**0.5
        return level + seeds + images + chance > 0


def test_one_seed_gives_the_wilson_interval() -> None:
    interval = accuracy_interval(hits(8, 10))
    # centre (8 + 1.9207) / (10 + 3.8415), half-width 1.95996 / 13.8415 * sqrt(1.6 + 0.9604)
    assert interval.estimate == pytest.approx(0.8)
    assert interval.low == pytest.approx(0.49016, abs=1e-5)
    assert interval.high == pytest.approx(0.94331, abs=1e-5)
    assert (interval.n_seeds, interval.n_images, interval.method) == (1, 10, "Wilson score")
    assert interval.about == "what was trained here, on new test images"


def test_seeds_that_agree_on_every_image_give_the_jeffreys_interval() -> None:
    interval = accuracy_interval(hits(45, 60, n_seeds=3), resamples=100_000)
    assert interval.low == pytest.approx(beta.ppf(0.025, 45.5, 15.5), abs=0.002)
    assert interval.high == pytest.approx(beta.ppf(0.975, 45.5, 15.5), abs=0.002)
    assert interval.method == "bootstrap over seeds and test images"
    assert interval.about == "the method, on a new draw of training images and new test images"


def test_seeds_that_differ_widen_the_interval_by_more_than_resampling_them_can() -> None:
    correct = np.vstack([hits(6000, 10_000), hits(7000, 10_000), hits(8000, 10_000)])
    interval = accuracy_interval(correct)
    # Student t with 2 degrees of freedom on seed means: 0.7 +- 4.303 * 0.1 / sqrt(3) = 0.248
    assert interval.low == pytest.approx(0.7 - 0.248, abs=0.03)
    # narrower on the upper side, where accuracy runs out
    assert 0.85 < interval.high < 0.7 + 0.248


@pytest.mark.parametrize("n_right", [0, 20])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_interval_does_not_collapse_when_all_answers_agree(n_right: int, n_seeds: int) -> None:
    interval = accuracy_interval(hits(n_right, 20, n_seeds))
    assert interval.low <= interval.estimate <= interval.high
    assert interval.high - interval.low > 0.08
    assert interval.low >= 0 and interval.high <= 1


def test_identical_answers_differ_by_nothing_but_not_for_certain() -> None:
    interval = paired_difference(hits(40, 60, 3), hits(40, 60, 3))
    assert interval.estimate == 0
    assert -0.05 < interval.low < -0.005
    assert 0.005 < interval.high < 0.05


def test_paired_difference_of_one_seed_is_near_bonett_and_price() -> None:
    # 12 images only a gets right, 3 only b, 60 in all: (12 - 3) / 60
    a, b = hits(40, 60), hits(40, 60)
    b[0, :12] = False
    a[0, 37:40] = False
    interval = paired_difference(a, b)
    # p1 = 13/62, p2 = 4/62: 9/62 +- 1.96 * sqrt((p1 + p2 - (p1 - p2)**2) / 62)
    assert interval.estimate == pytest.approx(0.15)
    assert interval.low == pytest.approx(0.0198, abs=0.01)
    assert interval.high == pytest.approx(0.2705, abs=0.01)
    assert interval.method == "bootstrap over test images"


def test_pairing_by_image_narrows_the_interval() -> None:
    simulation = Simulation(3, 300, seed=0)
    a = simulation.strategy(0.8, 0.0, simulation.images())
    b = a.copy()
    b[:, :15] = ~a[:, :15]
    shuffled = simulation.generator.permuted(np.arange(300))
    paired, unpaired = paired_difference(a, b), paired_difference(a, b[:, shuffled])
    assert paired.estimate == pytest.approx(unpaired.estimate)
    assert paired.high - paired.low < 0.7 * (unpaired.high - unpaired.low)


def test_swapping_the_strategies_turns_the_difference_round() -> None:
    simulation = Simulation(3, 100, seed=1)
    images = simulation.images()
    a, b = (simulation.strategy(p, 0.02, images) for p in (0.9, 0.7))
    there = paired_difference(a, b, resamples=100_000)
    back = paired_difference(b, a, resamples=100_000)
    assert back.estimate == pytest.approx(-there.estimate)
    assert back.low == pytest.approx(-there.high, abs=0.004)
    assert back.high == pytest.approx(-there.low, abs=0.004)


def test_same_seed_gives_the_same_interval() -> None:
    simulation = Simulation(3, 100, seed=3)
    correct = simulation.strategy(0.8, 0.02, simulation.images())
    assert accuracy_interval(correct, seed=4) == accuracy_interval(correct, seed=4)
    assert accuracy_interval(correct, seed=4) != accuracy_interval(correct, seed=5)


def test_large_tables_take_little_time() -> None:
    simulation = Simulation(10, 10_000, seed=4)
    images = simulation.images()
    a, b = (simulation.strategy(0.9, 0.02, images) for _ in range(2))
    start = time.perf_counter()
    paired_difference(a, b)
    # measured at 0.05 s; one array (resamples, seeds, images) would hold 10**9 values
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("n_seeds", "n_images", "accuracy", "seed_sd"),
    [(3, 60, 0.95, 0.02), (3, 300, 0.8, 0.04), (5, 300, 0.9, 0.0), (10, 60, 0.6, 0.02)],
)
def test_accuracy_interval_covers(
    n_seeds: int, n_images: int, accuracy: float, seed_sd: float
) -> None:
    simulation = Simulation(n_seeds, n_images, seed=5)
    covered = 0
    for _ in range(300):
        correct = simulation.strategy(accuracy, seed_sd, simulation.images())
        interval = accuracy_interval(correct, resamples=1_000)
        covered += interval.low <= accuracy <= interval.high
    # 93% less two standard errors of 300 repeats
    assert covered / 300 >= 0.90


@pytest.mark.parametrize(
    ("n_seeds", "n_images", "accuracy", "better_by", "seed_sd"),
    [(3, 60, 0.9, 0.05, 0.0), (3, 300, 0.8, 0.05, 0.04), (10, 60, 0.6, 0.2, 0.02)],
)
def test_paired_difference_covers(
    n_seeds: int, n_images: int, accuracy: float, better_by: float, seed_sd: float
) -> None:
    simulation = Simulation(n_seeds, n_images, seed=6)
    covered = 0
    for _ in range(300):
        images = simulation.images()
        a = simulation.strategy(accuracy + better_by, seed_sd, images)
        b = simulation.strategy(accuracy, seed_sd, images)
        interval = paired_difference(a, b, resamples=1_000)
        covered += interval.low <= better_by <= interval.high
    assert covered / 300 >= 0.90


@pytest.mark.parametrize(
    ("n_seeds", "n_images", "seed_sd"), [(1, 60, 0.0), (3, 60, 0.0), (3, 300, 0.04), (5, 300, 0.02)]
)
def test_identical_strategies_are_seldom_told_apart(
    n_seeds: int, n_images: int, seed_sd: float
) -> None:
    simulation = Simulation(n_seeds, n_images, seed=7)
    told_apart = 0
    for _ in range(300):
        images = simulation.images()
        a, b = (simulation.strategy(0.9, seed_sd, images) for _ in range(2))
        interval = paired_difference(a, b, resamples=1_000)
        told_apart += interval.low > 0 or interval.high < 0
    # 6% and two standard errors of 300 repeats
    assert told_apart / 300 <= 0.087


def test_a_hundred_times_the_images_make_the_interval_ten_times_narrower() -> None:
    few = accuracy_interval(hits(80, 100, 3))
    many = accuracy_interval(hits(8_000, 10_000, 3))
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("correct", "message"),
    [
        (np.ones((3, 5), dtype=int), r"must be boolean .* got int64 of shape \(3, 5\)"),
        (np.ones(5, dtype=bool), r"shape \(seeds, images\), got bool of shape \(5,\)"),
        (np.ones((0, 5), dtype=bool), "at least 1 seed and 2 test images, got 0 and 5"),
        (np.ones((3, 1), dtype=bool), "at least 1 seed and 2 test images, got 3 and 1"),
    ],
)
def test_bad_answers_are_refused(correct: Correct, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy_interval(correct)
    with pytest.raises(ValueError, match=message):
        paired_difference(correct, correct)


def test_unpaired_strategies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(seeds, images\) \(3, 10\) and \(2, 10\)"):
        paired_difference(hits(8, 10, 3), hits(8, 10, 2))


def test_independent_strategies_give_newcombes_interval() -> None:
    # 56 of 70 against 48 of 80, the example (a) of Newcombe (1998), method 10
    one, other = accuracy_interval(hits(56, 70)), accuracy_interval(hits(48, 80))
    interval = independent_difference(one, other)
    assert interval.estimate == pytest.approx(0.2)
    assert interval.low == pytest.approx(0.0524, abs=1e-4)
    assert interval.high == pytest.approx(0.3339, abs=1e-4)


GROUPS = np.arange(60) // 6


def test_groups_that_are_right_or_wrong_as_one_count_as_one_image_each() -> None:
    correct = np.repeat(np.arange(10) < 8, 6)[np.newaxis]
    interval, of_ten = accuracy_interval(correct, groups=GROUPS), accuracy_interval(hits(8, 10))
    assert interval.method == WILSON + IN_GROUPS
    assert (interval.low, interval.high) == pytest.approx((of_ten.low, of_ten.high))


def test_of_several_seeds_too() -> None:
    correct = np.tile(np.repeat(np.arange(10) < 8, 6), (3, 1))
    interval = accuracy_interval(correct, resamples=100_000, groups=GROUPS)
    assert interval.method == BOOTSTRAP_SEEDS_AND_IMAGES + IN_GROUPS
    assert interval.low == pytest.approx(beta.ppf(0.025, 8.5, 2.5), abs=0.005)
    assert interval.high == pytest.approx(beta.ppf(0.975, 8.5, 2.5), abs=0.005)


@pytest.mark.parametrize(("right", "size"), [(0, 1), (3, 7), (29, 62), (120, 120), (997, 1000)])
def test_the_interval_of_wilson_is_that_of_scipy(right: int, size: int) -> None:
    known = binomtest(right, size).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / size, size) == (known.low, known.high)
    assert share_interval(np.arange(size) < right) == (known.low, known.high)


def test_halves_of_a_share_count() -> None:
    low, high = share_interval(np.array([1.0, 0.5, 0.5, 0.0]))
    assert (low, high) == share_interval(np.array([1.0, 1.0, 0.0, 0.0]))


def test_groups_of_one_image_change_nothing() -> None:
    correct = hits(45, 60, n_seeds=3)
    assert accuracy_interval(correct, groups=np.arange(60)) == accuracy_interval(correct)
    assert accuracy_interval(hits(8, 10), groups=np.arange(10)).method == "Wilson score"


def test_a_difference_knows_of_groups() -> None:
    a, b = np.ones((3, 60), bool), np.ones((3, 60), bool)
    b[:, :12] = False
    alone, together = paired_difference(a, b), paired_difference(a, b, groups=GROUPS)
    assert together.method == BOOTSTRAP_SEEDS_AND_IMAGES + IN_GROUPS
    assert together.estimate == alone.estimate == pytest.approx(0.2)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_groups_must_be_those_of_the_images() -> None:
    with pytest.raises(ValueError, match="a number per image, 10; got"):
        accuracy_interval(hits(8, 10), groups=GROUPS)


def test_grouped_images_are_covered_only_if_the_groups_are_known() -> None:
    generator = np.random.default_rng(0)
    held = {True: 0, False: 0}
    for _ in range(200):
        hard = generator.standard_normal(30).repeat(10) * 0.5**0.5
        chance = generator.standard_normal(300) * 0.5**0.5
        correct = (norm.ppf(0.8) + hard + chance > 0)[np.newaxis]
        for known in held:
            groups = np.arange(300) // 10 if known else None
            interval = accuracy_interval(correct, resamples=1000, groups=groups)
            held[known] += interval.low <= 0.8 <= interval.high
    assert held[True] >= 180
    assert held[False] <= 160


def test_a_difference_of_seeds_that_disagree_stays_possible() -> None:
    a, b = hits(20, 20, 3), np.vstack([hits(0, 20), hits(0, 20), hits(20, 20)])
    # seed means 1, 1 and 0: by Student's t between -0.8 and 2.1
    interval = paired_difference(a, b)
    assert interval.high == 1
    assert -1 <= interval.low < -0.3


def test_an_accuracy_of_seeds_that_disagree_reaches_the_ends() -> None:
    interval = accuracy_interval(np.vstack([hits(20, 20), hits(20, 20), hits(4, 20)]))
    assert (interval.low, interval.high) == (0, 1)


def test_swapping_the_strategies_turns_a_difference_of_groups_round() -> None:
    a, b = hits(60, 60), hits(45, 60)
    there = paired_difference(a, b, resamples=50_000, groups=GROUPS)
    back = paired_difference(b, a, resamples=50_000, groups=GROUPS)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.008)


def test_an_unseen_group_may_differ_either_way() -> None:
    """Of ten images two differ in every group, so that what is unseen is most of the doubt."""
    a, b = hits(120, 120), (np.arange(120) % 10 >= 2)[np.newaxis]
    interval = paired_difference(a, b, groups=np.arange(120) // 10)
    # a mean of 24 / 130; squares around it alone and by groups, of one at -1 and one at 1 too
    mean = 24 / 130
    beyond = ((1 + mean) ** 2 + (1 - mean) ** 2) / 2
    alone = 24 * (1 - mean) ** 2 + 96 * mean**2 + 10 * beyond
    together = 12 * (2 - 10 * mean) ** 2 + 100 * beyond
    # t of 12 degrees
    size = 120 * alone / (together * (2.178813 / 1.959964) ** 2 * 13 / 12)
    draws = resample_images(
        a.astype(float) - b, (-1.0, 1.0), 1.0, 10_000, np.random.default_rng(0), size
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert interval.counts == "1 seed and 120 test images in 12 groups"


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("seeds", [1, 3])
def test_runs_that_agree_on_all_images_say_no_more_than_one(answer: bool, seeds: int) -> None:
    told = accuracy_interval(np.full((seeds, 27), answer))
    alone = accuracy_interval(np.full((1, 27), answer))
    assert (told.low, told.high) == (alone.low, alone.high)
    assert told.n_seeds == seeds
