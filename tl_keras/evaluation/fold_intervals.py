"""Intervals from repeated cross-validation, where every fold is the test split of one run.

The runs share training images, so their scores vary together: the variance of their mean is more
than their own divided by their number. Nadeau and Bengio (2003), "Inference for the
generalization error", add what they share, test images over training images, and Bouckaert and
Frank (2004) take that to repeated cross-validation. Where accuracies are near 1, folds agree by
chance and their variance says too little; so an interval is never narrower than one for the
images alone, counted once, and as fewer where groups of them are alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from tl_keras.evaluation.dependence import effective_size, shared_groups
from tl_keras.evaluation.intervals import (
    TAILS,
    Interval,
    in_groups,
    share_interval,
    wilson_interval,
)
from tl_keras.evaluation.variation import resample_images

CORRECTED_T = "corrected resampled t over folds, at least the interval of the images alone"
_RESAMPLES, _SEED = 10_000, 0


@dataclass(frozen=True)
class FoldScores:
    """What the runs of a strategy answered correctly, each on its own fold.

    Attributes:
        correct: Per run bool (test images,).
        images: Per run int (test images,): which images they are.
        folds: Of each division, at least 2.
        training_images: Training and validation images of a run, the mean.
        groups: Per run int (test images,), the group of each; None where each is its own.
    """

    correct: Sequence[NDArray[np.bool_]]
    images: Sequence[NDArray[np.integer]]
    folds: int
    training_images: int
    groups: Sequence[NDArray[np.integer]] | None = None

    def __post_init__(self) -> None:
        if len(self.correct) != len(self.images) or len(self.correct) < 2 or self.folds < 2:
            raise ValueError(
                "scores of folds must be those of 2 runs and 2 folds at least, with the images of "
                f"each; got {len(self.correct)} runs, images of {len(self.images)} and "
                f"{self.folds} folds."
            )
        sizes = [
            (len(right), len(rows)) for right, rows in zip(self.correct, self.images, strict=True)
        ]
        if any(right != rows or not rows for right, rows in sizes):
            raise ValueError(
                "every run must have test images and a score for each; got (scores, images) "
                f"{sizes}."
            )


def fold_accuracy_interval(scores: FoldScores) -> Interval:
    """Accuracy of a method on a new data set, where it is trained on as many images as here.

    Args:
        scores: Of its runs.
    """
    values = [right.astype(np.float64) for right in scores.correct]
    estimate, low, high = _corrected_t(values, scores.folds)
    by_image, groups = _by_image(values, scores.images), _groups_of_images(scores)
    alone = share_interval(by_image, groups)
    if groups is None:
        # of whole images, a little wider: repeats make halves
        counts, size = (np.floor(by_image.sum()), np.ceil(by_image.sum())), len(by_image)
        (low_of_less, _), (_, high_of_more) = (
            wilson_interval(float(count) / size, size) for count in counts
        )
        alone = low_of_less, high_of_more
    low, high = min(low, alone[0]), max(high, alone[1])
    return _interval(scores, estimate, max(low, 0.0), min(high, 1.0))


def fold_difference(a: FoldScores, b: FoldScores) -> Interval:
    """Accuracy of method a less that of method b, in -1..1, paired by fold and image.

    Args:
        a: Scores of one method.
        b: Of the other, with the same runs, on the same images in the same order.

    Raises:
        ValueError: The runs or images differ.
    """
    values = paired_fold_values(a, b)
    estimate, low, high = _corrected_t(values, a.folds)
    by_image, extremes = _by_image(values, a.images), (-1.0, 1.0)
    size = effective_size(by_image, _groups_of_images(a), extremes)
    generator = np.random.default_rng(_SEED)
    draws = resample_images(by_image[np.newaxis], extremes, 1.0, _RESAMPLES, generator, size)
    bounds = np.quantile(draws, TAILS)
    low, high = min(low, float(bounds[0])), max(high, float(bounds[1]))
    return _interval(a, estimate, max(low, -1.0), min(high, 1.0))


def paired_fold_values(a: FoldScores, b: FoldScores) -> list[NDArray[np.float64]]:
    """Per run `correct_a - correct_b` of every test image: -1, 0 or 1.

    Raises:
        ValueError: The runs or images differ.
    """
    same = len(a.images) == len(b.images) and all(map(np.array_equal, a.images, b.images))
    if not same or a.folds != b.folds:
        raise ValueError(
            "paired methods must have the same folds; got other test images for one of them. Pass "
            "the runs that both finished."
        )
    return [x.astype(np.float64) - y for x, y in zip(a.correct, b.correct, strict=True)]


def corrected_variance(values: Sequence[NDArray[np.float64]], folds: int, n_runs: int) -> float:
    """Variance of the mean over `n_runs` runs: s2 (1 / runs + test images / other images).

    Args:
        values: Per measured run the values of its images, from which s2 is taken.
        folds: Of each division: a fold is one in so many, the others are trained on.
        n_runs: For which it is wanted.
    """
    means = np.array([run.mean() for run in values])
    return float(means.var(ddof=1) * (1 / n_runs + 1 / (folds - 1)))


def _corrected_t(values: Sequence[NDArray[np.float64]], folds: int) -> tuple[float, float, float]:
    n_runs = len(values)
    estimate = float(np.mean([run.mean() for run in values]))
    quantile = float(student_t.ppf(TAILS[1], n_runs - 1))
    half = quantile * corrected_variance(values, folds, n_runs) ** 0.5
    return estimate, estimate - half, estimate + half


def _by_image(
    values: Sequence[NDArray[np.float64]], images: Sequence[NDArray[np.integer]]
) -> NDArray[np.float64]:
    """Mean value of every different image over the repeats, `(images,)`."""
    _, number = np.unique(np.concatenate(images), return_inverse=True)
    sums = np.bincount(number, np.concatenate(values))
    return np.asarray(sums / np.bincount(number))


def _groups_of_images(scores: FoldScores) -> NDArray[np.integer] | None:
    """Of every different image, `(images,)`; None where none shares its own."""
    if scores.groups is None:
        return None
    _, first = np.unique(np.concatenate(scores.images), return_index=True)
    return shared_groups(np.concatenate(scores.groups)[first], len(first))


def _interval(scores: FoldScores, estimate: float, low: float, high: float) -> Interval:
    # the mean over folds of unequal size may lie a little beside the mean over images
    plain = Interval(
        estimate=estimate,
        low=min(low, estimate),
        high=max(high, estimate),
        n_seeds=len(scores.correct),
        n_images=len(np.unique(np.concatenate(scores.images))),
        method=CORRECTED_T,
        folds=scores.folds,
        training_images=scores.training_images,
    )
    return in_groups(plain, _groups_of_images(scores))
