"""Predictions on images that no training step saw, pooled over the runs that held them out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What one run says of some images.

    Attributes:
        images: int (n,), which images: equal numbers are the same image.
        labels: int (n,), true class indices.
        probabilities: (n, classes), as the model gives them.
    """

    images: NDArray[np.integer]
    labels: NDArray[np.integer]
    probabilities: NDArray[np.floating]


@dataclass(frozen=True)
class HeldOut:
    """Predictions of several runs on images that none of them was trained on.

    Attributes:
        images, labels, probabilities: as of `Predictions`; an image has a row per run.
        weights: float (n,), above 0: all rows of an image weigh as one image, classes weigh by
            their shares among the photos to come, and the sum is the number of images.
    """

    images: NDArray[np.integer]
    labels: NDArray[np.integer]
    probabilities: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def pooled(cls, runs: Sequence[Predictions], class_shares: NDArray[np.float64]) -> "HeldOut":
        """Those of several runs.

        Args:
            runs: At least one, with at least one image.
            class_shares: (classes,), of the photos to come; sum 1. A validation split often holds
                as many images of a rare class as of a common one.
        """
        images = np.concatenate([run.images for run in runs])
        labels = np.concatenate([run.labels for run in runs])
        probabilities = np.concatenate([run.probabilities for run in runs]).astype(np.float64)
        _, image, count = np.unique(images, return_inverse=True, return_counts=True)
        weights = 1 / count[image]
        per_class = np.bincount(labels, weights, minlength=len(class_shares))
        weights = weights * (class_shares / np.where(per_class > 0, per_class, 1))[labels]
        return cls(images, labels, probabilities, weights * len(count) / weights.sum())

    @property
    def n_images(self) -> int:
        """Different images."""
        return len(np.unique(self.images))

    def part(self, rows: NDArray[np.bool_]) -> "HeldOut":
        """Some of the rows, bool (n,), with the weights that they have."""
        return HeldOut(
            self.images[rows], self.labels[rows], self.probabilities[rows], self.weights[rows]
        )

    def resampled_weights(self, resamples: int, seed: int) -> NDArray[np.float64]:
        """Weights of the Bayesian bootstrap (Rubin 1981) over images, (resamples, n).

        The rows of an image share their draw, because runs err on the same images.
        """
        different, image = np.unique(self.images, return_inverse=True)
        draws = np.random.default_rng(seed).dirichlet(np.ones(len(different)), resamples)
        return np.asarray(draws[:, image] * len(different) * self.weights)
