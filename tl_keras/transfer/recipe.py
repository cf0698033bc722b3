"""What to train, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_keras.config.schema import PhaseConfig
from tl_keras.evaluation.dependence import standard_error
from tl_keras.models.backbone import Depth
from tl_keras.models.pooling import MEAN


@dataclass(frozen=True)
class Recipe:
    """What is trained and how; together with a draw of images and a seed it fixes the result.

    Attributes:
        unfrozen_blocks: blocks that train in phase 2, counted from the cut, or a range of them
            (surgical fine-tuning, Lee et al. 2022, arXiv:2210.11466); 0 is phase 1 alone.
        augmentation: a key of `AUGMENTATIONS`.
        hidden_units: hidden layers of the head.
        last_phase: length and rate of phase 2, or of the only phase from scratch.
        from_scratch: the whole network, from random initialisation, in one phase.
        cut: the block whose pooled output feeds the head; None is the last one.
        layer_decay: factor of the learning rate in phase 2 from each block to the one below it,
            0..1 (ELECTRA, Clark et al. 2020, arXiv:2003.10555); 1 is the same rate everywhere.
        pooling: the kind, of what the head reads.
    """

    unfrozen_blocks: Depth
    augmentation: str
    hidden_units: tuple[int, ...]
    last_phase: PhaseConfig
    from_scratch: bool = False
    cut: str | None = None
    layer_decay: float = 1.0
    pooling: str = MEAN


def depth_of(text: str) -> Depth:
    """What `str` made a text of, in tables."""
    return int(text) if text.isdecimal() else text


@dataclass(frozen=True)
class Trained:
    """A trained classifier: its recipe, its weights and how it came to them.

    Attributes:
        recipe: what was asked for.
        head_weights: of the head.
        backbone_weights: those that are not the source's, by their position in the weights of the
            whole backbone.
        history: one row per epoch of all phases (see `PhaseResult`).
        validation_losses: float32 (validation images,), cross-entropy of the weights kept.
        selection_losses: (validation images,), what it is compared with others by: see `CrossFit`.
        phase_1_seconds, phase_2_seconds: wall time; features and tracing count where they
            happened first, and phase 1 is the time it took when it was first trained.
        unfrozen_layers: backbone layers with weights that the last phase trained.
        trainable_parameters: numbers that the last phase could change.
        validation_groups: (validation images,), the group of each; None where each is its own.
    """

    recipe: Recipe
    head_weights: list[np.ndarray]
    backbone_weights: Mapping[int, np.ndarray]
    history: pd.DataFrame
    validation_losses: np.ndarray
    selection_losses: np.ndarray
    phase_1_seconds: float
    phase_2_seconds: float
    unfrozen_layers: int
    trainable_parameters: int
    validation_groups: np.ndarray | None = None

    @property
    def validation_loss(self) -> float:
        """Mean cross-entropy on the validation images."""
        return float(self.validation_losses.mean())

    @property
    def validation_loss_se(self) -> float:
        """Its `standard_error`; not a number with one image or group."""
        return standard_error(self.validation_losses, self.validation_groups)

    @property
    def validation_accuracy(self) -> float:
        """Of the weights kept; not a number where no epoch's were."""
        return float(self.history.loc[self.history["kept"], "validation_accuracy"].mean())

    @property
    def weight_bytes(self) -> int:
        return sum(w.nbytes for w in (*self.head_weights, *self.backbone_weights.values()))
