"""The strategy linear_probe: logistic regressions on the blocks that cross-validation chooses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from tl_keras.models.backbone import Backbone
from tl_keras.models.heads import build_head
from tl_keras.models.pooling import PLAIN, Pooling
from tl_keras.transfer.features import FeatureBank, PooledBlocks
from tl_keras.transfer.probing import (
    Folds,
    LinearProbe,
    average_weights,
    choose_block,
    fit_probe,
)
from tl_keras.transfer.representation import (
    PLAINEST,
    Candidates,
    Chosen,
    Representation,
    choose_kind,
    choose_representation,
)
from tl_keras.transfer.trainer import LabelledImages


@dataclass(frozen=True)
class ChosenProbe:
    """Probes on some blocks, averaged.

    Attributes:
        blocks: names of the blocks whose pooled outputs are read, from input to output.
        probe: on these outputs side by side, fitted on all training images.
        images: that it was fitted on.
        representation: what is read of each block, and how hard the probe is held.
        table: from `cross_validate`; None where the training images were too few to choose, and
            the last block was taken.
        held_out: log-probabilities of every training image by a probe that was fitted without it,
            float32 (repeats, images, classes); None likewise.
    """

    blocks: tuple[str, ...]
    probe: LinearProbe
    images: int
    representation: Representation
    table: pd.DataFrame | None = None
    held_out: np.ndarray | None = None


class LinearProbes:
    """Fits probes on draws of one set of images, with one pass through the backbone for all."""

    def __init__(
        self,
        bank: FeatureBank,
        images: LabelledImages,
        groups: np.ndarray,
        rows: np.ndarray,
        candidates: Candidates = PLAINEST,
    ) -> None:
        """Have the features computed, as far as the cache lacks them.

        Args:
            bank: of the images; the source weights are put back into its backbone, now and
                whenever features are read that were not before.
            images: that draws refer to by position.
            groups: (n,) of the images.
            rows: positions of the images that are used at all.
            candidates: representations to choose among.
        """
        self._images, self._groups, self._candidates = images, groups, candidates
        self._place = np.full(len(images.pixels), -1)
        self._place[rows] = np.arange(len(rows))
        self._bank, self._rows = bank, rows
        self._pooled: dict[Pooling, PooledBlocks] = {}
        self._chosen: dict[tuple[object, ...], Chosen | None] = {}
        self._kinds: dict[tuple[object, ...], str] = {}
        self._of(PLAIN)

    def features(
        self, rows: np.ndarray, cut: str | None = None, pooling: Pooling = PLAIN
    ) -> dict[str, np.ndarray]:
        """What a head reads of each block, from the input up to `cut`.

        Args:
            rows: positions of images.
            cut: the last block; None is the last of all.
            pooling: of the feature maps.

        Returns:
            By block (k, features).
        """
        return self._of(pooling).read(self._place[rows], cut)

    def cross_validate(self, train: np.ndarray, seed: int, cut: str | None = None) -> pd.DataFrame:
        """Every block up to `cut`, inside the images at positions `train`.

        Returns:
            As `probing.cross_validate`, in the representation that is chosen there.
        """
        chosen = self.choose(train, seed, cut)
        return pd.DataFrame() if chosen is None else chosen.found.table

    def choose(self, train: np.ndarray, seed: int, cut: str | None = None) -> Chosen | None:
        """The representation that is chosen inside the images at positions `train`.

        Args:
            train: positions of the images to choose by.
            seed: of the folds.
            cut: the last block that may be read; None is the last of all.

        Returns:
            With what cross-validation says of it; None where the images are too few for folds.
        """
        key = self._key(train, seed, cut)
        if key not in self._chosen:
            self._chosen[key] = choose_representation(
                lambda pooling: self.features(train, cut, pooling),
                self._images.class_indices[train],
                self._groups[train],
                self._candidates,
                seed=seed,
                classes=self._images.classes,
            )
        return self._chosen[key]

    def choose_kind(self, train: np.ndarray, seed: int, cut: str | None = None) -> str:
        """The kind of pooling for a head that is no linear probe; see `representation`.

        Args:
            train: positions of the images to choose by.
            seed: of the folds.
            cut: the block that the head reads; None is the last of all.
        """
        key = self._key(train, seed, cut)
        if key not in self._kinds:
            self._kinds[key] = choose_kind(
                lambda pooling: self.features(train, cut, pooling),
                self._images.class_indices[train],
                self._groups[train],
                seed=seed,
                classes=self._images.classes,
            )
        return self._kinds[key]

    def choose_cut(self, train: np.ndarray, seed: int = 0, cut: str | None = None) -> str:
        """The single block that cross-validation chooses; the last one with too few images.

        Args:
            train: positions of the images to choose by.
            seed: of the folds.
            cut: the last block that may be chosen; None is the last of all.
        """
        table = self.cross_validate(train, seed, cut)
        return choose_block(table) if len(table) else cut or self._pooled[PLAIN].blocks[-1]

    def fit(self, train: np.ndarray, seed: int, cut: str | None = None) -> ChosenProbe:
        """Choose blocks inside the images at positions `train`, and fit probes on all of them.

        Args:
            train: positions of the training images.
            seed: of the folds.
            cut: the last block that may be read; None is the last of all.
        """
        labels, groups = self._images.class_indices[train], self._groups[train]
        chosen = self.choose(train, seed, cut)
        if chosen is None:
            taken = self._candidates.plainest
            name, values = list(self.features(train, cut, taken.pooling).items())[-1]
            probe = fit_probe(values, labels, self._images.classes, taken.penalty)
            return ChosenProbe((name,), probe, len(train), taken)
        taken, weights = chosen.representation, average_weights(chosen.found.table)
        own = self.features(train, cut, taken.pooling)
        probes = [
            fit_probe(own[block], labels, self._images.classes, taken.penalty) for block in weights
        ]
        return ChosenProbe(
            tuple(weights),
            LinearProbe.average(probes, list(weights.values())),
            len(train),
            taken,
            chosen.found.table,
            chosen.folds.of_all(
                chosen.found, own, labels, groups, penalty=taken.penalty, seed=seed
            ),
        )

    def refit(
        self,
        rows: np.ndarray,
        seed: int,
        weights: Mapping[str, float],
        representation: Representation,
    ) -> tuple[LinearProbe, np.ndarray | None]:
        """Fit an average of blocks that was chosen before on other images.

        Args:
            rows: positions of the images.
            seed: of the folds.
            weights: of the average, by block from input to output.
            representation: what is read of each, and how hard the probes are held.

        Returns:
            The probe; and log-probabilities of every image by a probe that was fitted without it,
            float32 (repeats, images, classes), None where the images are too few for folds.
        """
        labels, groups = self._images.class_indices[rows], self._groups[rows]
        classes, penalty = self._images.classes, representation.penalty
        features = self.features(rows, list(weights)[-1], representation.pooling)
        probes = [fit_probe(features[block], labels, classes, penalty) for block in weights]
        folds = Folds.of(labels, groups, seed=seed, classes=classes)
        held_out = None
        if folds is not None:
            held_out = folds.average_of_all(
                weights, features, labels, groups, penalty=penalty, seed=seed
            )
        return LinearProbe.average(probes, list(weights.values())), held_out

    def _of(self, pooling: Pooling) -> PooledBlocks:
        if pooling not in self._pooled:
            # a training may have changed the weights since the last one was read
            self._bank.backbone.restore_source()
            self._pooled[pooling] = self._bank.pooled(self._rows, pooling)
        return self._pooled[pooling]

    def _key(self, train: np.ndarray, seed: int, cut: str | None) -> tuple[object, ...]:
        return train.tobytes(), seed, cut or self._pooled[PLAIN].blocks[-1]

    def probabilities(self, fitted: ChosenProbe, rows: np.ndarray) -> np.ndarray:
        """Class probabilities of the images at these positions, float32 (k, classes)."""
        features = self.features(rows, fitted.blocks[-1], fitted.representation.pooling)
        return fitted.probe.probabilities(
            np.concatenate([features[block] for block in fitted.blocks], axis=1)
        )


def probe_classifier(
    backbone: Backbone,
    blocks: Sequence[str],
    classes: int,
    head_weights: Sequence[np.ndarray] = (),
    pooling: Pooling = PLAIN,
) -> keras.Model:
    """Images, 0..255 (batch, size, size, 3), to probabilities, through the source up to a block.

    Args:
        backbone: its source weights are put back.
        blocks: whose pooled outputs the head reads, from input to output; what lies above the
            last of them is left out.
        classes: of the head.
        head_weights: kernel and bias of a probe; zeros where they are left out.
        pooling: what the probe reads of each block.
    """
    backbone.restore_source()
    channels = [block.output.shape[-1] for block in backbone.blocks if block.name in blocks]
    width = sum(map(pooling.width, channels))
    head = build_head(width, classes, hidden_units=(), dropout=0.0)
    if head_weights:
        head.set_weights(list(head_weights))
    return backbone.reading(blocks, head, pooling)
