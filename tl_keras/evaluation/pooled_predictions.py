"""Predictions on images that no training step saw, pooled over the runs that held them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.dependence import effective_groups, effective_size


@dataclass(frozen=True)
class Predictions:
    """What one run says of some images.

    Attributes:
        images: int (n,), which images: equal numbers are the same image.
        labels: int (n,), true class indices.
        probabilities: (n, classes), as the model gives them.
        groups: int (n,), number of the group of each image, in all runs the same; None where each
            is its own.
    """

    images: NDArray[np.integer]
    labels: NDArray[np.integer]
    probabilities: NDArray[np.floating]
    groups: NDArray[np.integer] | None = None


@dataclass(frozen=True)
class HeldOut:
    """Predictions of several runs on images that none of them was trained on.

    Attributes:
        images, labels, probabilities: as of `Predictions`; an image has a row per run.
        weights: float (n,), above 0: all rows of an image weigh as one image, classes weigh by
            their shares among the photos to come, and the sum is the number of images.
        groups: int (n,), number of the group of each image; `images` where no two share one.
    """

    images: NDArray[np.integer]
    labels: NDArray[np.integer]
    probabilities: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: NDArray[np.integer]

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
        weights = weights * len(count) / weights.sum()
        return cls(images, labels, probabilities, weights, _groups(runs, images))

    @property
    def n_images(self) -> int:
        """Different images."""
        return len(np.unique(self.images))

    @property
    def n_groups(self) -> int:
        """Different groups of images."""
        return len(np.unique(self.groups))

    @property
    def evenly_grouped(self) -> float:
        """How many groups of one size would weigh as evenly: images where none shares a group."""
        if self.n_groups == self.n_images:
            return self.n_images
        _, number = np.unique(self.groups, return_inverse=True)
        return effective_groups(np.bincount(number, self.weights).astype(np.float64))

    def effective_images(
        self, values: NDArray[Any], unseen: tuple[float, float] = (0.0, 1.0)
    ) -> float:
        """The `effective_size` of the different images for the mean of `values`, (n,)."""
        if self.n_groups == self.n_images:
            return self.n_images
        _, first, image = np.unique(self.images, return_index=True, return_inverse=True)
        weights = np.bincount(image, self.weights).astype(np.float64)
        by_image = np.bincount(image, self.weights * values) / weights
        return effective_size(by_image, self.groups[first], unseen, weights)

    def part(self, rows: NDArray[np.bool_]) -> "HeldOut":
        """Some of the rows, bool (n,), with the weights that they have."""
        return HeldOut(
            self.images[rows],
            self.labels[rows],
            self.probabilities[rows],
            self.weights[rows],
            self.groups[rows],
        )

    def resampled_weights(self, resamples: int, seed: int) -> NDArray[np.float64]:
        """Weights of the Bayesian bootstrap (Rubin 1981) over groups of images, (resamples, n).

        The rows of a group share their draw, because runs err on the same images, and a model on
        images that are alike.
        """
        different, group = np.unique(self.groups, return_inverse=True)
        draws = np.random.default_rng(seed).dirichlet(np.ones(len(different)), resamples)
        return np.asarray(draws[:, group] * len(different) * self.weights)


def _groups(runs: Sequence[Predictions], images: NDArray[np.integer]) -> NDArray[np.integer]:
    """The groups of all rows; the images themselves where none shares its group."""
    known = [run.groups for run in runs if run.groups is not None]
    if len(known) < len(runs):
        return images
    groups = np.concatenate(known)
    alone = len(np.unique(groups)) == len(np.unique(images))
    return images if alone else groups
