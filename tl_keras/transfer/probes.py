"""The strategy linear_probe: logistic regressions on the blocks that cross-validation chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from tl_keras.models.backbone import Backbone, Frozen
from tl_keras.models.heads import build_head
from tl_keras.models.networks import scaling_layer
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probing import (
    LinearProbe,
    average_weights,
    choose_block,
    cross_validate,
    fit_probe,
)
from tl_keras.transfer.trainer import LabelledImages


@dataclass(frozen=True)
class ChosenProbe:
    """Probes on some blocks, averaged.

    Attributes:
        blocks: names of the blocks whose pooled outputs are read, from input to output.
        probe: on these outputs side by side, fitted on all training images.
        table: from `cross_validate`; None where the training images were too few to choose, and
            the last block was taken.
    """

    blocks: tuple[str, ...]
    probe: LinearProbe
    table: pd.DataFrame | None


class LinearProbes:
    """Fits probes on draws of one set of images, with one pass through the backbone for all."""

    def __init__(
        self, bank: FeatureBank, images: LabelledImages, groups: np.ndarray, rows: np.ndarray
    ) -> None:
        """Have the features computed, as far as the cache lacks them.

        Args:
            bank: of the images; the source weights are put back into its backbone.
            images: that draws refer to by position.
            groups: (n,) of the images.
            rows: positions of the images that are used at all.
        """
        bank.backbone.restore_source()
        self._images, self._groups = images, groups
        self._place = np.full(len(images.pixels), -1)
        self._place[rows] = np.arange(len(rows))
        self._pooled = bank.pooled(rows)

    def features(self, rows: np.ndarray, cut: str | None = None) -> dict[str, np.ndarray]:
        """By block, from the input up to `cut`, the pooled outputs (k, channels) of positions."""
        return self._pooled.read(self._place[rows], cut)

    def cross_validate(self, train: np.ndarray, seed: int, cut: str | None = None) -> pd.DataFrame:
        """`probing.cross_validate` inside the images at positions `train`, up to a block."""
        blocks = list(self.features(train, cut).items())
        labels, groups = self._images.class_indices[train], self._groups[train]
        return cross_validate(blocks, labels, groups, seed=seed)

    def choose_cut(self, train: np.ndarray, seed: int = 0, cut: str | None = None) -> str:
        """The single block that cross-validation chooses; the last one with too few images.

        Args:
            train: positions of the images to choose by.
            seed: of the folds.
            cut: the last block that may be chosen; None is the last of all.
        """
        table = self.cross_validate(train, seed, cut)
        return choose_block(table) if len(table) else cut or list(self._pooled.columns)[-1]

    def fit(self, train: np.ndarray, seed: int, cut: str | None = None) -> ChosenProbe:
        """Choose blocks inside the images at positions `train`, and fit probes on all of them.

        Args:
            train: positions of the training images.
            seed: of the folds.
            cut: the last block that may be read; None is the last of all.
        """
        table = self.cross_validate(train, seed, cut)
        own, labels = self.features(train, cut), self._images.class_indices[train]
        weights = average_weights(table) if len(table) else {list(own)[-1]: 1.0}
        probes = [fit_probe(own[block], labels, self._images.classes) for block in weights]
        probe = LinearProbe.average(probes, list(weights.values()))
        return ChosenProbe(tuple(weights), probe, table if len(table) else None)

    def probabilities(self, fitted: ChosenProbe, rows: np.ndarray) -> np.ndarray:
        """Class probabilities of the images at these positions, float32 (k, classes)."""
        features = self.features(rows)
        return fitted.probe.probabilities(
            np.concatenate([features[block] for block in fitted.blocks], axis=1)
        )


def probe_classifier(
    backbone: Backbone,
    blocks: Sequence[str],
    classes: int,
    head_weights: Sequence[np.ndarray] = (),
) -> keras.Model:
    """Images, 0..255 (batch, size, size, 3), to probabilities, through the source up to a block.

    Args:
        backbone: its source weights are put back.
        blocks: whose pooled outputs the head reads, from input to output; what lies above the
            last of them is left out.
        classes: of the head.
        head_weights: kernel and bias of a probe; zeros where they are left out.
    """
    backbone.restore_source()
    pool = keras.layers.GlobalAveragePooling2D()
    pooled = [pool(block.output) for block in backbone.blocks if block.name in blocks]
    taps = keras.Model(backbone.model.input, keras.ops.concatenate(pooled, axis=1))
    head = build_head(taps.output.shape[-1], classes, hidden_units=(), dropout=0.0)
    if head_weights:
        head.set_weights(list(head_weights))
    images = keras.Input(backbone.model.input.shape[1:])
    features = Frozen(taps, name="backbone")(scaling_layer(backbone.spec)(images))
    outputs = Frozen(head, name="head")(features)
    return keras.Model(images, keras.layers.Softmax(name="probabilities")(outputs))
