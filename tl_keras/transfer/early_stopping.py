"""The stopping rule of `phases`: when a phase ends, and with the weights of which epoch."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class EarlyStopping:
    """Ends a phase after so many epochs without a lower mean loss, and keeps the best weights.

    Unlike `keras.callbacks.EarlyStopping` it may start from a loss that is already reached: a
    second phase that never improves on the first ends with the weights of the first.

    Attributes:
        best: (validation images,), the losses with the least mean so far; None before any that is
            a number.
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
        self._in_vain = 0
        self.best = losses_so_far

    def after(self, losses: np.ndarray) -> bool:
        """Take note of an epoch; whether the phase ends with it.

        Args:
            losses: of the validation images, with the weights as they are now.
        """
        self._in_vain += 1
        if losses.mean() < (np.inf if self.best is None else self.best.mean()):
            self.best, self._in_vain = losses, 0
            self._weights = [variable.numpy() for variable in self._variables]
        return self._in_vain >= self._patience

    def restore_best(self) -> None:
        """Put the weights of the best epoch back, or those of the start."""
        for variable, weights in zip(self._variables, self._weights, strict=True):
            variable.assign(weights)
