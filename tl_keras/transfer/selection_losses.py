"""What strategies are compared by: losses of validation images that chose nothing themselves.

The best of many epochs looks better on the images that chose it than on any others, and the more
so the more freely a strategy fits; a linear probe, which has no epochs, gains nothing that way. And
a strategy that is too sure of right answers loses to one that is not, although a temperature mends
that before anything is handed over. Strategies can be compared on validation images only after
both are taken out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from tl_keras.evaluation.temperature import BOUNDS, lowest, objective, tempered_losses
from tl_keras.transfer.early_stopping import as_good

HALVINGS = 20
# Logarithms of the temperatures that are tried.
_GRID = np.linspace(*BOUNDS, 61)


@dataclass(frozen=True)
class CrossFit:
    """What each half of the validation images chooses for the other half, epoch after epoch.

    The groups of images are halved at random, `HALVINGS` times. The half that chooses the epoch,
    the one with its least mean loss or the last where it finds that `as_good`, also fits the
    temperature at that epoch, and the other half is read (cross-fitting, as in Chernozhukov et al.
    2018, "Double/debiased machine learning"). A half chooses with more noise than all images do, so
    the losses are, if anything, a little high.

    Of the epochs gone by only the predictions that some half would choose are kept.

    Attributes:
        labels: int (images,), true class indices.
        groups: int (images,), the group of each.
        choosing, reading: bool (halves, images), each half and its other one; a single group, which
            has no other, chooses the epoch for itself.
        least: (halves,), mean loss of the epoch that each half would choose.
        chosen: int (halves,), its number; -1 before there is any.
        kept: by number, log-probabilities (repeats, images, classes).
        epochs: gone by.
    """

    labels: np.ndarray
    groups: np.ndarray
    choosing: np.ndarray
    reading: np.ndarray
    least: np.ndarray
    chosen: np.ndarray
    kept: Mapping[int, np.ndarray] = field(default_factory=dict)
    epochs: int = 0

    @classmethod
    def of(cls, labels: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> "CrossFit":
        """Before the first epoch.

        Args:
            labels: int (images,), true class indices.
            groups: (images,), the group of each (crops of one picture), which lies in one half
                whole; None where each is its own.
            seed: of the halvings.
        """
        numbers = pd.factorize(np.arange(len(labels)) if groups is None else groups)[0]
        choosing, reading = _halves(numbers, seed)
        least, chosen = np.full(len(choosing), np.inf), np.full(len(choosing), -1)
        return cls(labels, numbers, choosing, reading, least, chosen)

    def after(self, log_probabilities: np.ndarray) -> "CrossFit":
        """With one more epoch; one with a prediction that is no number is never chosen.

        Args:
            log_probabilities: (images, classes); or (repeats, images, classes), where each image
                was predicted several times by equals, such as folds of several divisions.
        """
        counted = replace(self, epochs=self.epochs + 1)
        if not np.isfinite(log_probabilities).all():
            return counted
        predicted = log_probabilities.reshape(-1, len(self.labels), log_probabilities.shape[-1])
        losses = self._untempered(predicted)
        means = (self.choosing @ losses) / self.choosing.sum(axis=1)
        better = means < self.least
        chosen = np.where(better, self.epochs, self.chosen)
        least = np.where(better, means, self.least)
        return counted._choosing(least, chosen, {**self.kept, self.epochs: predicted})

    def preferring(self, log_probabilities: np.ndarray) -> "CrossFit":
        """With the last epoch chosen by each half to which it is `as_good` as the best.

        Args:
            log_probabilities: (images, classes), of the last epoch once more.
        """
        if not np.isfinite(log_probabilities).all():
            return self
        number, predicted = self.epochs - 1, log_probabilities[np.newaxis]
        last = self._untempered(predicted)
        best = {epoch: self._untempered(values) for epoch, values in self.kept.items()}
        prefer = np.array(
            [
                as_good(last[half], best[epoch][half], self.groups[half])
                for half, epoch in zip(self.choosing, self.chosen.tolist(), strict=True)
            ]
        )
        means = (self.choosing @ last) / self.choosing.sum(axis=1)
        return self._choosing(
            np.where(prefer, means, self.least),
            np.where(prefer, number, self.chosen),
            {**self.kept, number: predicted},
        )

    def _choosing(
        self, least: np.ndarray, chosen: np.ndarray, known: Mapping[int, np.ndarray]
    ) -> "CrossFit":
        """With these epochs chosen, whose predictions are among those known."""
        kept = {number: known[number] for number in np.unique(chosen[chosen >= 0]).tolist()}
        return replace(self, least=least, chosen=chosen, kept=kept)

    def _untempered(self, predicted: np.ndarray) -> np.ndarray:
        """The loss of each image, (images,), mean over (repeats, images, classes)."""
        own = predicted[:, np.arange(len(self.labels)), self.labels]
        return -np.asarray(own.mean(axis=0, dtype=float))

    def losses(self) -> np.ndarray:
        """The loss of each image, float64 (images,), mean over the halvings and the repeats.

        It is infinite where no epoch could be chosen.
        """
        if not self.kept:
            return np.full(len(self.labels), np.inf)
        total = np.zeros(len(self.labels))
        chosen = zip(self.chosen.tolist(), self._temperatures(), self.reading, strict=True)
        for epoch, temperature, reading in chosen:
            total[reading] += _tempered(self.kept[epoch], self.labels, temperature)[reading]
        return total / self.reading.sum(axis=0)

    def _temperatures(self) -> np.ndarray:
        """Logarithms of those that the halves fit, (halves,).

        Every image counts as one, though images of a group tell less than as many others: else the
        prior would favour what is timid by itself, and what a half knows badly the other shows.
        """
        found = np.zeros(len(self.chosen))
        # a group cannot fit its own
        fitting = self.choosing & ~self.reading
        for number, predicted in self.kept.items():
            halves = self.chosen == number
            counted = np.tile(fitting[halves] / len(predicted), len(predicted))
            rows, labels = _rows(predicted, self.labels)
            found[halves] = lowest(objective(rows, labels, counted, _GRID), _GRID)
        return found


def cross_fitted_losses(
    predicted: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The loss of each image at the epoch and the temperature that images of other groups choose.

    See `CrossFit`.

    Args:
        predicted: (epochs, images, classes) log-probabilities after every epoch; or (epochs,
            repeats, images, classes), such as `out_of_fold(...)[np.newaxis]`, one epoch.
        labels: int (images,).
        groups: (images,), the group of each; None where each is its own.
        seed: of the halvings.

    Returns:
        float64 (images,).
    """
    fit = CrossFit.of(labels, groups, seed)
    for epoch in predicted:
        fit = fit.after(epoch)
    return fit.losses()


def _tempered(predicted: np.ndarray, labels: np.ndarray, log_temperature: float) -> np.ndarray:
    """The loss of each image, (images,), mean over (repeats, images, classes)."""
    losses = tempered_losses(*_rows(predicted, labels), log_temperature)
    return np.asarray(losses.reshape(len(predicted), -1).mean(axis=0))


def _rows(predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each repeat's prediction of an image as a row of its own, and their labels."""
    return predicted.reshape(-1, predicted.shape[2]), np.tile(labels, len(predicted))


def _halves(groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Halves of the images and their other halves, with whole groups, bool (halves, images)."""
    count = int(groups.max()) + 1
    if count == 1:
        return np.ones((1, len(groups)), bool), np.ones((1, len(groups)), bool)
    rng, first = np.random.default_rng(seed), np.zeros((HALVINGS, len(groups)), bool)
    for half in first:
        half[:] = np.isin(groups, rng.permutation(count)[: count // 2])
    return np.concatenate([first, ~first]), np.concatenate([~first, first])
