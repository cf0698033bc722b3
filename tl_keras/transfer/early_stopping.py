"""The stopping rule of `phases`: when a phase ends, and with the weights of which epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.config.schema import Keep
from tl_keras.evaluation.dependence import standard_error


class EarlyStopping:
    """Ends a phase after so many epochs without a lower mean loss, and keeps the best weights.

    Unlike `keras.callbacks.EarlyStopping` it may start from a loss that is already reached: a
    second phase that never improves on the first ends with the weights of the first.

    Attributes:
        best: (validation images,), the losses with the least mean so far, after `settle` those of
            the weights kept; None before any that is a number.
        kept: the epoch that they are of, from 1; 0 is the start.
    """

    def __init__(
        self, variables: Sequence[Any], patience: int, losses_so_far: np.ndarray | None = None
    ) -> None:
        """Start with the weights as they are.

        Args:
            variables: what training changes.
            patience: epochs without a lower mean loss that end the phase.
            losses_so_far: of the validation images, with the weights at the start.
        """
        self._variables, self._patience = list(variables), patience
        self._weights = [variable.numpy() for variable in self._variables]
        self._epoch = self.kept = 0
        self.best = self._last = losses_so_far

    def after(self, losses: np.ndarray) -> bool:
        """Take note of an epoch; whether the phase ends with it.

        Args:
            losses: of the validation images, with the weights as they are now.
        """
        self._epoch, self._last = self._epoch + 1, losses
        if losses.mean() < (np.inf if self.best is None else self.best.mean()):
            self.best, self.kept = losses, self._epoch
            self._weights = [variable.numpy() for variable in self._variables]
        return self._epoch - self.kept >= self._patience

    def settle(self, keep: Keep = "best", groups: np.ndarray | None = None) -> None:
        """Put the weights of the best epoch back, or those of the start.

        Args:
            keep: "last" leaves those of the last epoch where they are `as_good`.
            groups: (validation images,), the group of each; None where each is its own.
        """
        if keep == "last" and self.best is not None and as_good(self._last, self.best, groups):
            self.best, self.kept = self._last, self._epoch
            return
        for variable, weights in zip(self._variables, self._weights, strict=True):
            variable.assign(weights)


def as_good(losses: np.ndarray | None, best: np.ndarray, groups: np.ndarray | None = None) -> bool:
    """Whether losses are not above the best by more than a standard error of the difference.

    With few images the least of many epochs' losses owes much to chance, and weights that have
    become surer have a higher loss before they answer worse.

    Args:
        losses: (images,).
        best: (images,), of the same images.
        groups: (images,), the group of each; None where each is its own.

    Returns:
        With a single image or group, of which nothing follows, False.
    """
    if losses is None:
        return False
    more = losses - best
    return bool(more.mean() <= standard_error(more, groups))
