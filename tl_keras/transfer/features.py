"""Activations of the frozen part of a backbone, computed once per image."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.data.pixels import allocate
from tl_keras.models.blocks import count_unfrozen
from tl_keras.models.classifier import Backbone, Depth

BATCH = 64


@dataclass
class FeatureBank:
    """What the unfrozen blocks take as input, per depth, for one backbone and set of images.

    Frozen layers do not change, so their activations are the same in every epoch, phase, trial
    and run: each is computed when it is first asked for. The backbone's frozen part must hold the
    source weights at that moment.

    Attributes:
        backbone: whose frozen part is applied.
        pixels: uint8 (n, size, size, 3), 0..255.
    """

    backbone: Backbone
    pixels: np.ndarray
    _stores: dict[int, "_Store"] = field(default_factory=dict, init=False, repr=False)

    def features(self, positions: np.ndarray, unfrozen_blocks: Depth) -> np.ndarray:
        """Inputs of the unfrozen blocks.

        Args:
            positions: k rows of `pixels`.
            unfrozen_blocks: blocks that train, counted from the head.

        Returns:
            float32 (k, ...) activations; with every block unfrozen uint8 pixels.
        """
        depth = count_unfrozen(self.backbone.blocks, unfrozen_blocks)
        if depth not in self._stores:
            part = self.backbone.frozen_part(depth)
            if part is None:
                return self.pixels[positions]
            self._stores[depth] = _Store.of(part, len(self.pixels))
        return self._stores[depth].rows(positions, self.pixels)


@dataclass
class _Store:
    forward: Any
    values: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, part: keras.Model, images: int) -> "_Store":
        forward = tf.function(
            lambda batch: part(batch, training=False),
            input_signature=[tf.TensorSpec((None, *part.input.shape[1:]), tf.float32)],
        )
        values = allocate((images, *part.output.shape[1:]), np.float32)
        return cls(forward, values, np.zeros(images, bool))

    def rows(self, positions: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        missing = np.unique(positions[~self.known[positions]])
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            self.values[batch] = self.forward(tf.cast(pixels[batch], tf.float32)).numpy()
        self.known[missing] = True
        return self.values[positions]
