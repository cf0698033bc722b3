"""Accuracy against the number of training images: a power law, and what more photos would buy.

The error of a method falls about as `asymptote + scale * n ** -exponent` (Hestness et al. 2017,
"Deep learning scaling is predictable, empirically"; Viering and Loog 2022, "The shape of learning
curves: a review").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.intervals import Interval
from tl_keras.evaluation.variation import decompose, resample_seed_shifts

Numbers = NDArray[np.float64]

EXPONENTS = np.arange(0.05, 2.01, 0.05)
# With fewer sizes an asymptote and an exponent cannot be told apart: it is taken as 0.
SIZES_FOR_ASYMPTOTE = 4
# Of an image that nobody has seen, right or wrong; as in `tl_keras.evaluation.intervals`.
UNSEEN_WEIGHT = 0.5
POWER_LAW = "power law, refitted on resampled seeds and test images"


@dataclass(frozen=True)
class PowerLaw:
    """`error(n) = asymptote + scale * n ** -exponent`, one law per row.

    Attributes:
        asymptote: `(laws,)`, the error that no number of images removes, 0..1.
        scale: `(laws,)`, at least 0.
        exponent: `(laws,)`, 0.05..2.
    """

    asymptote: Numbers
    scale: Numbers
    exponent: Numbers

    def accuracy(self, size: float) -> Numbers:
        """Accuracies with so many training images per class, `(laws,)`, 0..1."""
        return np.clip(1 - self.asymptote - self.scale * size**-self.exponent, 0, 1)


@dataclass(frozen=True)
class LearningCurve:
    """One method's accuracy by training size.

    Attributes:
        sizes: `(k,)`, rising, training images per class.
        accuracies: `(k,)`, means over seeds and test images.
        law: fitted to them.
        resampled: fitted to resampled seeds and test images.
        n_seeds: behind every size.
        n_images: test images.
    """

    sizes: Numbers
    accuracies: Numbers
    law: PowerLaw
    resampled: PowerLaw
    n_seeds: int
    n_images: int

    def at(self, size: float) -> Interval:
        """The fitted accuracy with `size` training images per class, with a 95% interval.

        The interval is about the law; beyond the measured sizes it trusts that the law goes on.
        """
        return self._interval(self.law.accuracy(size), self.resampled.accuracy(size))

    def gain(self, start: float, stop: float) -> Interval:
        """By how much accuracy grows from one size to a larger one, in -1..1, with 95% interval."""
        laws = (self.law, self.resampled)
        one, many = (law.accuracy(stop) - law.accuracy(start) for law in laws)
        return self._interval(one, many)

    def _interval(self, estimate: Numbers, draws: Numbers) -> Interval:
        value = float(estimate[0])
        low, high = np.quantile(draws, [0.025, 0.975])
        bounds = min(float(low), value), max(float(high), value)
        return Interval(value, *bounds, self.n_seeds, self.n_images, POWER_LAW)


def fit_learning_curve(
    correct: Mapping[int, NDArray[np.bool_]],
    groups: NDArray[np.integer] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> LearningCurve:
    """Fit a power law to what several training sizes answered correctly.

    Test images are resampled by the Bayesian bootstrap, the same for all sizes, seeds as in
    `tl_keras.evaluation.variation`, each size by itself.

    Args:
        correct: by training images per class, `(seeds, images)`; the same test images in the same
            order for all sizes.
        groups: `(images,)`, number of the group of each, whose images are drawn together; None
            where each is its own.
        seed: of the resampling.
        resamples: of it.

    Raises:
        ValueError: there are fewer than two sizes, or sizes or groups have other images.
    """
    if len(correct) < 2 or len({values.shape[1] for values in correct.values()}) > 1:
        raise ValueError(
            "correct must hold at least two training sizes with the same test images, got "
            f"{ {size: values.shape for size, values in correct.items()} }."
        )
    images = next(iter(correct.values())).shape[1]
    groups = np.arange(images) if groups is None else groups
    if groups.shape != (images,):
        raise ValueError(f"groups must have a number per image, {images}; got {groups.shape}.")
    sizes = np.array(sorted(correct), np.float64)
    values = [correct[int(size)].astype(np.float64) for size in sizes]
    accuracies = np.array([matrix.mean() for matrix in values])
    draws = _resampled_accuracies(values, groups, np.random.default_rng(seed), resamples)
    # Above 0 where all images are right too, because of the unseen ones.
    spread = draws.std(axis=0)
    return LearningCurve(
        sizes,
        accuracies,
        fit_power_law(sizes, 1 - accuracies[np.newaxis], spread),
        fit_power_law(sizes, 1 - draws, spread),
        min(len(matrix) for matrix in values),
        images,
    )


def fit_power_law(sizes: Numbers, errors: Numbers, spread: Numbers) -> PowerLaw:
    """Weighted least squares, the exponent by trying `EXPONENTS`, the rest exactly.

    Args:
        sizes: `(k,)`, training images per class.
        errors: `(laws, k)`, 0..1, a law for each row.
        spread: `(k,)`, standard errors, above 0.
    """
    candidates = [_with_exponent(sizes, errors, spread, c) for c in EXPONENTS]
    misfits, asymptotes, scales = (np.stack(part) for part in zip(*candidates, strict=True))
    best, rows = misfits.argmin(axis=0), np.arange(len(errors))
    return PowerLaw(asymptotes[best, rows], scales[best, rows], EXPONENTS[best])


def _with_exponent(
    sizes: Numbers, errors: Numbers, spread: Numbers, exponent: float
) -> tuple[Numbers, Numbers, Numbers]:
    """Misfit, asymptote and scale of every row, both at least 0, with a given exponent."""
    powers, weights = sizes**-exponent, spread**-2
    mean_power = np.average(powers, weights=weights)
    mean_error = errors @ weights / weights.sum()
    through_zero = errors @ (weights * powers) / (weights @ powers**2)
    scale, asymptote = through_zero, np.zeros_like(through_zero)
    if len(sizes) >= SIZES_FOR_ASYMPTOTE:
        deviations = powers - mean_power
        free = errors @ (weights * deviations) / (weights @ deviations**2)
        # the least squares within the allowed region lie on its border where not inside
        free = np.maximum(free, 0.0)
        rest = mean_error - free * mean_power
        scale, asymptote = np.where(rest < 0, through_zero, free), np.maximum(rest, 0.0)
    fitted = asymptote[:, np.newaxis] + scale[:, np.newaxis] * powers
    return ((errors - fitted) ** 2) @ weights, asymptote, scale


def _resampled_accuracies(
    values: list[Numbers],
    groups: NDArray[np.integer],
    generator: np.random.Generator,
    resamples: int,
) -> Numbers:
    """Accuracies of every size on resampled test images and seeds, `(resamples, k)`, 0..1."""
    _, number = np.unique(groups, return_inverse=True)
    images = np.bincount(number).astype(np.float64)
    right = np.stack([np.bincount(number, matrix.mean(axis=0)) for matrix in values], axis=1)
    # an unseen group of mean size at either extreme
    unseen = np.array([[0.0], [1.0]]) * images.mean() * np.ones(len(values))
    weights = np.append(np.ones(len(images)), [UNSEEN_WEIGHT] * 2)
    shares = generator.dirichlet(weights, size=resamples)
    counted = shares @ np.append(images, [images.mean()] * 2)
    draws = shares @ np.concatenate([right, unseen]) / counted[:, np.newaxis]
    shifts = [resample_seed_shifts(decompose(v), resamples, generator) for v in values]
    return np.clip(draws + np.stack(shifts, axis=1), 0, 1)
