"""How far a mean over seeds and test images would move on new seeds and new images.

Every seed (a draw of training images and an initialisation) is scored on the same test images, so
the values `(seeds, images)` vary in two crossed directions. Resampling both at once with
replacement (Owen 2007, "The pigeonhole bootstrap") is right with many of each, but three seeds
drawn with replacement show two thirds of their variance and none of the doubt about it. So here

- images are resampled by the Bayesian bootstrap (Rubin 1981), with a little weight on two images
  that nobody has seen, one at either extreme: on one row of zeros and ones and half an image each
  this is the interval of Jeffreys (Brown, Cai and DasGupta 2001), and it does not collapse
  when all images agree;
- seeds are resampled from a normal distribution whose variance is itself drawn from what the
  seeds say about it (generalised inference on a variance component: Weerahandi 1993).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Variation:
    """Two-way analysis of variance of values `(seeds, images)` without replication.

    The mean squares carry the units of the values squared. With one seed `between_seeds` and
    `residual` are 0: they cannot be measured.
    """

    mean: float
    between_seeds: float
    between_images: float
    residual: float
    n_seeds: int
    n_images: int

    @property
    def seed_variance(self) -> float:
        """Variance of a seed's expected score, at least 0."""
        return max(0.0, self.between_seeds - self.residual) / self.n_images

    @property
    def image_variance(self) -> float:
        """Variance of an image's expected value over seeds, at least 0."""
        return max(0.0, self.between_images - self.residual) / self.n_seeds


def decompose(values: NDArray[np.float64]) -> Variation:
    """Splits the variation of `values`, `(seeds, images)` with at least 2 images."""
    n_seeds, n_images = values.shape
    mean = values.mean()
    by_seed = values.mean(axis=1) - mean
    by_image = values.mean(axis=0) - mean
    seeds_squares = n_images * np.sum(by_seed**2)
    images_squares = n_seeds * np.sum(by_image**2)
    rest_squares = np.sum((values - mean) ** 2) - seeds_squares - images_squares
    seeds_freedom, images_freedom = max(n_seeds - 1, 1), n_images - 1
    return Variation(
        mean=float(mean),
        between_seeds=float(seeds_squares / seeds_freedom),
        between_images=float(images_squares / images_freedom),
        # the subtraction can leave a rounding error below 0
        residual=max(0.0, float(rest_squares / (seeds_freedom * images_freedom))),
        n_seeds=n_seeds,
        n_images=n_images,
    )


def resample_images(
    values: NDArray[np.float64],
    unseen: tuple[float, float],
    unseen_weight: float,
    resamples: int,
    generator: np.random.Generator,
    size: float | None = None,
) -> NDArray[np.float64]:
    """Means of `values` `(seeds, images)` over resampled images, `(resamples,)`.

    Args:
        values: Same images in every row.
        unseen: The lowest and highest value that an image can have.
        unseen_weight: Weight of an unseen image at each of them; a test image weighs 1.
        resamples: How many to draw.
        generator: Source of the random numbers.
        size: As how many images of different groups these count; None is as many as they are.
    """
    # images with the same mean over seeds share a weight, so few weights are drawn
    levels, counts = np.unique(values.mean(axis=0), return_counts=True)
    levels = np.append(levels, unseen)
    share = 1.0 if size is None else size / values.shape[1]
    weights = np.append(counts * share, [unseen_weight] * 2)
    shares = generator.dirichlet(weights, size=resamples)
    # not a matrix product: its threads cost more than so small a sum
    return (shares * levels).sum(axis=1)


def resample_seed_shifts(
    variation: Variation, resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Deviations of the mean that come from the draw of seeds, `(resamples,)`, 0 with one seed."""
    if variation.n_seeds == 1:
        return np.zeros(resamples)
    freedom = variation.n_seeds - 1
    between_seeds = variation.between_seeds * freedom / generator.chisquare(freedom, resamples)
    seed_variance = np.maximum(0.0, between_seeds - variation.residual) / variation.n_images
    return generator.standard_normal(resamples) * np.sqrt(seed_variance / variation.n_seeds)
