"""The strategy linear_probe: a logistic regression on the block that cross-validation chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from tl_keras.models.classifier import Backbone
from tl_keras.models.heads import build_head
from tl_keras.transfer.probing import (
    LinearProbe,
    choose_block,
    cross_validate,
    fit_probe,
    pooled_blocks,
)
from tl_keras.transfer.training import LabelledImages


@dataclass(frozen=True)
class ChosenProbe:
    """A probe on one block.

    Attributes:
        block: name of the block.
        probe: fitted on all training images.
        table: from `cross_validate`, with a column `chosen`; None where the training images were
            too few to choose, and the last block was taken.
    """

    block: str
    probe: LinearProbe
    table: pd.DataFrame | None


class LinearProbes:
    """Fits probes on draws of one set of images, with one pass through the backbone for all."""

    def __init__(
        self, backbone: Backbone, images: LabelledImages, groups: np.ndarray, rows: np.ndarray
    ) -> None:
        """Compute the features.

        Args:
            backbone: its source weights are put back.
            images: that draws refer to by position.
            groups: (n,) of the images.
            rows: positions of the images that are used at all.
        """
        backbone.restore_source()
        self._images, self._groups = images, groups
        self._place = np.full(len(images.pixels), -1)
        self._place[rows] = np.arange(len(rows))
        pooled = pooled_blocks(backbone, images.pixels, rows)
        names = [block.name for block in backbone.blocks]
        self._features = dict(zip(names, pooled, strict=True))

    def fit(self, train: np.ndarray, seed: int) -> ChosenProbe:
        """Choose a block inside the images at positions `train`, and fit a probe on all of them."""
        labels = self._images.class_indices[train]
        own = {name: values[self._place[train]] for name, values in self._features.items()}
        table = cross_validate(list(own.items()), labels, self._groups[train], seed=seed)
        block = choose_block(table) if len(table) else list(own)[-1]
        probe = fit_probe(own[block], labels, self._images.classes)
        if table.empty:
            return ChosenProbe(block, probe, None)
        return ChosenProbe(block, probe, table.assign(chosen=table["block"] == block))

    def probabilities(self, fitted: ChosenProbe, rows: np.ndarray) -> np.ndarray:
        """Class probabilities of the images at these positions, float32 (k, classes)."""
        return fitted.probe.probabilities(self._features[fitted.block][self._place[rows]])


def probe_classifier(
    backbone: Backbone, block: str, classes: int, head_weights: Sequence[np.ndarray] = ()
) -> keras.Model:
    """Images, 0..255 (batch, size, size, 3), to probabilities, through the source up to a block.

    Args:
        backbone: its source weights are put back.
        block: where it ends.
        classes: of the head.
        head_weights: kernel and bias of a probe; zeros where they are left out.
    """
    backbone.restore_source()
    part = backbone.cut_after(block)
    head = build_head(part.channels, classes, hidden_units=(), dropout=0.0)
    if head_weights:
        head.set_weights(list(head_weights))
    return part.inference_model(head)
