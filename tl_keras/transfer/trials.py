"""Trials of a search: their scores over folds, and the choice among them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from tl_keras.transfer.fold_score import FoldScore


@dataclass(frozen=True)
class Trial:
    """One configuration with its raw scores, a row of `trials.csv`.

    Attributes:
        cut: the block whose pooled output feeds the head.
        unfrozen_blocks: as text: a number, "all" or a range "first:last".
        learning_rate, layer_decay: of phase 2; None where nothing is unfrozen.
        hidden_units: of one hidden layer in the head; 0 is none.
        epochs_allowed: of phase 2; None where nothing is unfrozen.
        pooling: the kind, of what the head reads.
        folds: that it was trained on.
        epochs: trained, both phases and all folds together.
        validation_loss: mean over folds of the cross-entropy of the weights kept; what the search
            minimises.
        validation_loss_se: its standard error over the folds; over images, or groups of them, where
            there is one fold.
        validation_accuracy: mean over folds, of the same weights.
        trainable_parameters: numbers that the last phase could change.
        seconds: of all folds.
    """

    cut: str
    unfrozen_blocks: str
    learning_rate: float | None
    layer_decay: float | None
    hidden_units: int
    augmentation: str
    epochs_allowed: int | None
    pooling: str
    folds: int
    epochs: int
    validation_loss: float
    validation_loss_se: float
    validation_accuracy: float
    trainable_parameters: int
    seconds: float


def summed_up(scores: Sequence[FoldScore]) -> dict[str, Any]:
    """The columns of a trial that its folds decide."""
    losses = [score.validation_loss for score in scores]
    single = scores[0].validation_loss_se
    return {
        "folds": len(scores),
        "epochs": sum(score.epochs for score in scores),
        "validation_loss": float(np.mean(losses)),
        "validation_loss_se": float(stats.sem(losses)) if len(scores) > 1 else single,
        "validation_accuracy": float(np.mean([score.validation_accuracy for score in scores])),
        "trainable_parameters": scores[0].trainable_parameters,
        "seconds": sum(score.seconds for score in scores),
    }


def within_one_se(trials: Sequence[Trial]) -> list[bool]:
    """Which trials have a loss at most one standard error above the least.

    The standard error is that of the trial with the least loss (Breiman et al. 1984,
    "Classification and Regression Trees"); one that is no number, of a single image or group, is
    taken for zero.
    """
    best = min(trials, key=lambda trial: trial.validation_loss)
    error = 0.0 if math.isnan(best.validation_loss_se) else best.validation_loss_se
    return [trial.validation_loss <= best.validation_loss + error for trial in trials]


def choose(trials: Sequence[Trial], rule: str, blocks: Sequence[str]) -> Trial:
    """The trial to go on with.

    Args:
        trials: one or more.
        rule: "best", the least loss; or "one_standard_error", the cheapest within one of the best:
            first in milliseconds per image, then in trained parameters. Of one backbone a cut
            nearer the input is always the quicker one, so the order of the cuts stands for the
            measured time, which is never twice the same.
        blocks: names of all blocks, from input to output.
    """
    if rule == "best":
        return min(trials, key=lambda trial: trial.validation_loss)
    near = [trial for trial, within in zip(trials, within_one_se(trials), strict=True) if within]
    return min(
        near,
        key=lambda t: (blocks.index(t.cut), t.trainable_parameters, t.validation_loss),
    )
