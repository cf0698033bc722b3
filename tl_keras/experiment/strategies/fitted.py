"""What a strategy's module hands over of a run that it made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.results.tensorboard import TAGS

HISTORY_COLUMNS = ("phase", "epoch", "seconds", *TAGS)


@dataclass(frozen=True)
class Refitted:
    """A finished run's classifier, fitted anew on other images.

    Attributes:
        weights: as of `Fitted`.
        epochs: by phase; empty of what has none.
        held_out: (repeats, images, classes), the probabilities of each image by a classifier that
            was fitted without it; None where no such were made.
    """

    weights: Mapping[str, np.ndarray]
    epochs: Mapping[str, int] = field(default_factory=dict)
    held_out: np.ndarray | None = None


@dataclass(frozen=True)
class Fitted:
    """A run, made and asked.

    Attributes:
        validation: float32 (validation images, classes), its probabilities.
        test: float32 (test images, classes).
        weights: what `model` needs to rebuild it, by name; empty where there is none.
        columns: fields of `FinishedRun` that the strategy knows, such as `epochs`.
        selection_losses: (validation images,), what strategies are compared by, in nats (see
            `CrossFit`); None is what follows from `validation`, right for what has no epochs.
        history: a row per epoch, in the order of training; empty without any. The columns are
            phase (a name), epoch (from 1 in each phase), seconds (of the epoch), loss and accuracy
            on the training images, validation_loss and validation_accuracy; others are kept.
        probes: a row per block, where it looked at all of them.

    Raises:
        ValueError: the history lacks a column.
    """

    validation: np.ndarray
    test: np.ndarray
    weights: Mapping[str, np.ndarray]
    columns: Mapping[str, Any] = field(default_factory=dict)
    selection_losses: np.ndarray | None = None
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        missing = [name for name in HISTORY_COLUMNS if name not in self.history]
        if len(self.history) and missing:
            raise ValueError(
                f"The history of a run must have the columns {', '.join(HISTORY_COLUMNS)}; it "
                f"lacks {', '.join(missing)}. An empty one is right where there are no epochs."
            )
