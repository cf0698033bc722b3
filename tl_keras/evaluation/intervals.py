"""Intervals for the accuracy of a strategy and for the difference of two.

Input is which test images were answered correctly, `(seeds, images)`. With one seed an interval
is about that trained model on new test images; with several it is about the method: a new draw
of training images (from the same source), a new initialisation and new test images.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tl_keras.evaluation.dependence import effective_size, shared_groups
from tl_keras.evaluation.variation import decompose, resample_images, resample_seed_shifts

WILSON = "Wilson score"
BOOTSTRAP_SEEDS_AND_IMAGES = "bootstrap over seeds and test images"
BOOTSTRAP_IMAGES = "bootstrap over test images"
SQUARE_AND_ADD = "intervals of both, joined by their squares"
# After any of them, where images share groups.
IN_GROUPS = ", images of a group that are alike counted as fewer"
# Of every interval, and what lies below its ends.
LEVEL = 0.95
TAILS = (1 - LEVEL) / 2, (1 + LEVEL) / 2


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, as fractions (0.061 is 6.1 points).

    `low <= estimate <= high`; `LEVEL` is the chance, before the data are seen, that such an
    interval holds the true value. `n_seeds` counts runs, `n_images` different test images,
    `n_groups` the groups that these come in, 0 where none shares its own. With one test split
    `folds` and `training_images` are 0; else they are the folds of a division and the mean number
    of training and validation images of a run.
    """

    estimate: float
    low: float
    high: float
    n_seeds: int
    n_images: int
    method: str
    folds: int = 0
    training_images: int = 0
    n_groups: int = 0

    @property
    def about(self) -> str:
        """What would have to be new for the interval to be tested."""
        if self.folds:
            return (
                f"the method, trained on about {self.training_images} images, on a new data set "
                "of this kind"
            )
        if self.n_seeds == 1:
            return "what was trained here, on new test images"
        return "the method, on a new draw of training images and new test images"

    @property
    def counts(self) -> str:
        """What it rests on, such as "3 seeds and 300 test images in 30 groups"."""
        runs = _count(self.n_seeds, "seed")
        if self.folds:
            repeats, rest = divmod(self.n_seeds, self.folds)
            whole = repeats > 1 and not rest
            runs = f"{repeats} x {self.folds} folds" if whole else _count(self.n_seeds, "fold")
        groups = f" in {_count(self.n_groups, 'group')}" if self.n_groups else ""
        return f"{runs} and {_count(self.n_images, 'test image')}{groups}"


def accuracy_interval(
    correct: NDArray[np.bool_],
    seed: int = 0,
    resamples: int = 10_000,
    groups: NDArray[np.integer] | None = None,
) -> Interval:
    """The accuracy of a strategy: of the trained model (one seed) or of the method (several).

    One seed: the score interval of Wilson (1927). Several: a bootstrap over seeds and test images
    together (`tl_keras.evaluation.variation`), with the seeds' part added on the arcsine scale,
    because accuracies near 1 vary more downwards than upwards; where every run is right on every
    image, or on none, the score interval again. Images of one group (crops of one
    picture, photos of one part) tell less than as many of different groups: where groups have
    several, the images count as fewer (`tl_keras.evaluation.dependence`), with one seed too.

    Args:
        correct: `(seeds, images)`, the same images in every row, at least 2.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
        groups: `(images,)`, number of the group of each image; None where each is its own.

    Raises:
        ValueError: `correct` is not boolean, not `(seeds, images)` or too small; or the groups are
            not those of the images.
    """
    _check(correct)
    n_seeds, n_images = correct.shape
    together = shared_groups(groups, n_images)
    if n_seeds == 1:
        low, high = share_interval(correct[0], together)
        estimate = int(correct.sum()) / n_images
        plain = Interval(estimate, low, high, 1, n_images, WILSON)
        return in_groups(plain, together)
    values = correct.astype(np.float64)
    variation, size = decompose(values), effective_size(values.mean(axis=0), together)
    if variation.mean in (0, 1):
        # runs that agree on all images say no more of new ones than a single run does
        low, high = wilson_interval(variation.mean, size)
        return in_groups(Interval(variation.mean, low, high, n_seeds, n_images, WILSON), together)
    generator = np.random.default_rng(seed)
    image_draws = resample_images(values, (0.0, 1.0), 0.5, resamples, generator, size)
    shifts = resample_seed_shifts(variation, resamples, generator)
    # half an unseen image either way, as above, so that the scale is finite at 0 and 1
    centre = (variation.mean * size + 0.5) / (size + 1)
    angles = np.arcsin(np.sqrt(image_draws)) + shifts / (2 * np.sqrt(centre * (1 - centre)))
    draws = np.sin(np.clip(angles, 0, np.pi / 2)) ** 2
    plain = _from_draws(variation.mean, draws, correct, BOOTSTRAP_SEEDS_AND_IMAGES)
    return in_groups(plain, together)


def share_interval(
    values: NDArray[np.floating] | NDArray[np.bool_],
    groups: NDArray[np.integer] | None = None,
) -> tuple[float, float]:
    """The score interval of Wilson for the mean of what each image is worth, such as right or not.

    Args:
        values: `(images,)`, 0..1, at least one.
        groups: As for `accuracy_interval`.

    Raises:
        ValueError: The groups are not those of the images.
    """
    size = effective_size(values, shared_groups(groups, len(values)))
    return wilson_interval(float(values.mean()), size)


def wilson_interval(share: float, size: float) -> tuple[float, float]:
    """The score interval of Wilson (1927) for a share.

    Args:
        share: 0..1.
        size: What it is of, above 0; need not be whole.
    """
    z = float(ndtri(TAILS[1]))
    whole = 2 * (size + z**2)
    centre = (2 * size * share + z**2) / whole
    half = z / whole * math.sqrt(4 * size * share * (1 - share) + z**2)
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def paired_difference(
    correct_a: NDArray[np.bool_],
    correct_b: NDArray[np.bool_],
    seed: int = 0,
    resamples: int = 10_000,
    groups: NDArray[np.integer] | None = None,
) -> Interval:
    """Accuracy of strategy a minus accuracy of strategy b, in -1..1.

    Paired: row i of both was trained on the same draw of training images, column j is the same
    test image. A bootstrap over seeds and test images together (`tl_keras.evaluation.variation`),
    with one seed over test images only. An unseen image weighs one prediction of one seed: with
    one seed as in Bonett and Price (2012), "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data".

    Args:
        correct_a: `(seeds, images)`, at least 2 images.
        correct_b: Same shape, same seeds and images in the same order.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
        groups: As for `accuracy_interval`.

    Raises:
        ValueError: The arrays are not boolean, not `(seeds, images)`, too small or of different
            shapes; or the groups are not those of the images.
    """
    values = paired_values(correct_a, correct_b)
    n_seeds = len(values)
    generator = np.random.default_rng(seed)
    variation = decompose(values)
    together = shared_groups(groups, values.shape[1])
    extremes = (-1.0, 1.0)
    size = effective_size(values.mean(axis=0), together, extremes)
    image_draws = resample_images(values, extremes, 1 / n_seeds, resamples, generator, size)
    draws = image_draws + resample_seed_shifts(variation, resamples, generator)
    method = BOOTSTRAP_IMAGES if n_seeds == 1 else BOOTSTRAP_SEEDS_AND_IMAGES
    plain = _from_draws(variation.mean, np.clip(draws, -1, 1), correct_a, method)
    return in_groups(plain, together)


def independent_difference(a: Interval, b: Interval) -> Interval:
    """Accuracy of a minus accuracy of b, in -1..1, where they answered different test images.

    The intervals of both are joined by their squares, as in method 10 of Newcombe (1998), "Interval
    estimation for the difference between independent proportions".
    """
    estimate = a.estimate - b.estimate
    low = estimate - np.hypot(a.estimate - a.low, b.high - b.estimate)
    high = estimate + np.hypot(a.high - a.estimate, b.estimate - b.low)
    n_seeds, n_images = (min(pair) for pair in ((a.n_seeds, b.n_seeds), (a.n_images, b.n_images)))
    return Interval(estimate, float(low), float(high), n_seeds, n_images, SQUARE_AND_ADD, a.folds)


def paired_values(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """`correct_a - correct_b` per seed and image: -1, 0 or 1, `(seeds, images)`.

    Raises:
        ValueError: The arrays are not boolean, not `(seeds, images)`, too small or of different
            shapes.
    """
    _check(correct_a)
    _check(correct_b)
    if correct_a.shape != correct_b.shape:
        raise ValueError(
            "paired strategies must have the same seeds and test images, got (seeds, images) "
            f"{correct_a.shape} and {correct_b.shape}; pass the seeds that both finished."
        )
    return correct_a.astype(np.float64) - correct_b


def in_groups(plain: Interval, groups: NDArray[np.integer] | None) -> Interval:
    """The same interval, which says that images share groups, where they do.

    Args:
        plain: Made with knowledge of the groups.
        groups: `(images,)`, number of the group of each; None where none shares its own.
    """
    if groups is None:
        return plain
    return replace(plain, method=plain.method + IN_GROUPS, n_groups=len(np.unique(groups)))


def _from_draws(
    estimate: float,
    draws: NDArray[np.float64],
    correct: NDArray[np.bool_],
    method: str,
) -> Interval:
    low, high = np.quantile(draws, TAILS)
    n_seeds, n_images = correct.shape
    # an estimate of exactly 0 or 1 lies outside the quantiles of draws that never reach it
    low, high = min(float(low), estimate), max(float(high), estimate)
    return Interval(estimate, low, high, n_seeds, n_images, method)


def _check(correct: NDArray[np.bool_]) -> None:
    if correct.dtype != np.bool_ or correct.ndim != 2:
        raise ValueError(
            "correct must be boolean of shape (seeds, images), "
            f"got {correct.dtype} of shape {correct.shape}."
        )
    if correct.shape[0] < 1 or correct.shape[1] < 2:
        raise ValueError(
            "correct must hold at least 1 seed and 2 test images, "
            f"got {correct.shape[0]} and {correct.shape[1]}."
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
