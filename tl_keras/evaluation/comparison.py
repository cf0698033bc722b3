"""Is one strategy better than another, and what it would take to tell."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from tl_keras.evaluation.dependence import design_effect
from tl_keras.evaluation.fold_intervals import (
    FoldScores,
    corrected_variance,
    paired_fold_values,
)
from tl_keras.evaluation.intervals import TAILS, Interval, paired_values
from tl_keras.evaluation.variation import Variation, decompose

MOST_IMAGES = 1_000_000
MOST_SEEDS = 1_000
# Chance that an interval excludes 0, in planning.
POWER = 0.8


@dataclass(frozen=True)
class Verdict:
    """What the interval of a difference says; `sentence` has no full stop."""

    outcome: Literal["better", "worse", "not distinguishable"]
    sentence: str


@dataclass(frozen=True)
class Needed:
    """About how many would tell two strategies apart, the other number staying as it is.

    `seeds` are runs; with folds, folds times repeats. None: not within 1,000,000 test images or
    1,000 seeds, or not to be said from this data (no difference was measured; seeds: there was
    only one).
    """

    images: int | None
    seeds: int | None

    def sentence(self, difference: Interval) -> str | None:
        """Says it in words, without a full stop; None where there is no such number.

        Args:
            difference: What was measured: numbers that it has already are not named.
        """
        ways = []
        if self.images is not None and self.images > difference.n_images:
            ways.append(f"{_rounded(self.images)} test images")
        if self.seeds is not None and self.seeds > difference.n_seeds:
            ways.append(_runs(self.seeds, difference.folds))
        if not ways:
            return None
        needed = f"about {' or '.join(ways)} would be needed to tell"
        if difference.n_seeds == 1:
            # whose number is about the two trained models alone, see `verdict`
            return f"{needed} these two models apart, and three seeds to tell the strategies"
        return needed


def verdict(difference: Interval, name_a: str, name_b: str) -> Verdict:
    """Says in words what the interval of accuracy(a) - accuracy(b) tells.

    Better or worse: the interval lies on one side of 0. With one seed there is no such verdict:
    its interval is about two trained models, and models of one and the same strategy differ too.
    Numbers are in points (hundredths).
    """
    estimate, low, high = difference.estimate, difference.low, difference.high
    counts = difference.counts
    if low <= 0 <= high:
        numbers = f"difference {points(estimate)} points [{points(low)}, {points(high)}]"
        return Verdict(
            "not distinguishable",
            f"{name_a} and {name_b} are not distinguishable with {counts} ({numbers})",
        )
    outcome: Literal["better", "worse"] = "better" if low > 0 else "worse"
    numbers = f"{points(estimate)} points [{points(low)}, {points(high)}]"
    if outcome == "worse":
        numbers = f"{points(-estimate)} points [{points(-high)}, {points(-low)}]"
    if difference.n_seeds == 1:
        return Verdict(
            "not distinguishable",
            f"{name_a} and {name_b} are not distinguishable with {counts}: the model trained with "
            f"the first is {outcome} by {numbers}, which another seed may turn round; use three",
        )
    return Verdict(outcome, f"{name_a} is {outcome} than {name_b} by {numbers}")


def images_needed(
    correct_a: NDArray[np.bool_],
    correct_b: NDArray[np.bool_],
    groups: NDArray[np.integer] | None = None,
) -> Needed:
    """About how many test images or seeds in all would tell the two strategies apart.

    Takes the measured difference and variances as true, which they are not: an order of magnitude
    for planning. The smallest number with `(t_0.975 + t_0.8) * standard error` within the
    difference, t with the degrees of freedom of Satterthwaite (1946).

    Args:
        correct_a: `(seeds, images)`, paired as for `paired_difference`.
        correct_b: Same shape.
        groups: `(images,)`, number of the group of each image; more images are then taken to come
            in groups of the same size.

    Raises:
        ValueError: The arrays are not boolean, not `(seeds, images)`, too small or of different
            shapes.
    """
    values = paired_values(correct_a, correct_b)
    variation, effect = decompose(values), 1.0 if groups is None else design_effect(values, groups)

    def tells(n_seeds: int, n_images: int) -> bool:
        error, freedom = _planned_error(variation, n_seeds, n_images / effect)
        quantiles = np.asarray(student_t.ppf([TAILS[1], POWER], freedom))
        return bool(quantiles.sum() * error <= abs(variation.mean))

    n_seeds, n_images = variation.n_seeds, variation.n_images
    if variation.mean == 0:
        return Needed(None, None)
    images = next((n for n in _grid(n_images, MOST_IMAGES) if tells(n_seeds, n)), None)
    seeds = next((s for s in _grid(n_seeds, MOST_SEEDS) if tells(s, n_images)), None)
    return Needed(images, None if n_seeds == 1 else seeds)


def fold_images_needed(a: FoldScores, b: FoldScores) -> Needed:
    """About how many images or runs in all would tell two methods apart by cross-validation.

    As `images_needed`, with the variance of `tl_keras.evaluation.fold_intervals`: that of a fold
    falls with its images, and what the runs share is left however often images are divided anew.

    Args:
        a: Scores of one method.
        b: Of the other, paired as for `fold_difference`.

    Raises:
        ValueError: The runs or images differ.
    """
    values, folds = paired_fold_values(a, b), a.folds
    n_runs, n_images = len(values), len(np.unique(np.concatenate(a.images)))
    difference = abs(float(np.mean([run.mean() for run in values])))

    def tells(runs: int, images: int) -> bool:
        error = (corrected_variance(values, folds, runs) * n_images / images) ** 0.5
        quantiles = np.asarray(student_t.ppf([TAILS[1], POWER], runs - 1))
        return bool(quantiles.sum() * error <= difference)

    if difference == 0:
        return Needed(None, None)
    images = next((n for n in _grid(n_images, MOST_IMAGES) if tells(n_runs, n)), None)
    divisions = range(-(-n_runs // folds), MOST_SEEDS // folds + 1)
    runs = next(
        (repeats * folds for repeats in divisions if tells(repeats * folds, n_images)), None
    )
    return Needed(images, runs)


def _planned_error(variation: Variation, n_seeds: int, n_images: float) -> tuple[float, float]:
    """Standard error of the mean, and its degrees of freedom, with other numbers of both."""
    from_seeds = variation.seed_variance / n_seeds
    from_images = variation.image_variance / n_images
    residual = variation.residual / (n_seeds * n_images)
    total = from_seeds + from_images + residual
    spread = from_seeds**2 / max(n_seeds - 1, 1) + (from_images + residual) ** 2 / max(
        n_images - 1, 1
    )
    return total**0.5, total**2 / spread if spread > 0 else float(n_images - 1)


def _grid(start: int, stop: int) -> list[int]:
    """Whole numbers from start to stop, a twentieth apart: this is about an order of magnitude."""
    steps = int(np.ceil(np.log(stop / start) / np.log(1.05))) + 1
    return sorted({min(stop, int(np.ceil(start * 1.05**step))) for step in range(max(steps, 1))})


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, to a tenth.

    >>> points(-0.0001)
    '0.0'
    """
    # adding 0 turns -0.0 into 0.0
    return f"{round(100 * fraction, 1) + 0.0:.1f}"


def _rounded(number: int) -> str:
    """To two digits, for it is an order of magnitude: 12345 is 12,000."""
    return f"{int(float(f'{number:.1e}')):,}"


def _runs(number: int, folds: int) -> str:
    return f"{number // folds} x {folds} folds" if folds else f"{number} seeds"
