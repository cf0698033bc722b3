"""BatchNorm statistics of a network that is trained from scratch."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from tl_keras.data.rows import Rows, spread
from tl_keras.models.backbone import Backbone
from tl_keras.models.blocks import leaves
from tl_keras.models.fused import fused
from tl_keras.models.networks import scaling_layer

BATCH = 64
# Enough for means and variances; a pass over more images per epoch would cost without telling.
MAX_IMAGES = 1024


class BatchNormStatistics:
    """Sets the moving statistics of a backbone to those of given images.

    Keras keeps moving averages with a momentum of up to 0.999: after the few hundred steps that
    small data allow, they are still near their initial values and a network trained from scratch
    answers with one class. Here they are computed for the weights as they are, in one pass.
    """

    def __init__(self, backbone: Backbone) -> None:
        """Take over the statistics of `backbone`.

        Its BatchNorm layers get a momentum of 0, so that each forward pass in training mode
        leaves the statistics of its own batch.
        """
        self._layers = [
            layer
            for layer in leaves(backbone.model.layers)
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        for layer in self._layers:
            layer.momentum = 0.0
        scaling, network = scaling_layer(backbone.spec.scaling), fused(backbone.model)
        self._forward = tf.function(
            lambda images: network(scaling(images), training=True),
            input_signature=[tf.TensorSpec(backbone.model.input.shape, tf.float32)],
            autograph=False,
        )

    def estimate(self, pixels: Rows, rows: np.ndarray | None = None) -> None:
        """Set the statistics to those of some images.

        Args:
            pixels: (n, size, size, 3), 0..255; may be mapped from a file.
            rows: positions of the images to use; without them up to `MAX_IMAGES` from all over.
        """
        if not self._layers:
            return
        means: list[list[np.ndarray]] = []
        variances: list[list[np.ndarray]] = []
        used = spread(np.arange(len(pixels)), MAX_IMAGES) if rows is None else rows
        with _thawed(self._layers):
            for chunk in _chunks(used):
                self._forward(tf.cast(pixels[chunk], tf.float32))
                means.append([layer.moving_mean.numpy() for layer in self._layers])
                variances.append([layer.moving_variance.numpy() for layer in self._layers])
        for layer, mean, variance in zip(
            self._layers, zip(*means, strict=True), zip(*variances, strict=True), strict=True
        ):
            layer.moving_mean.assign(np.mean(mean, axis=0))
            layer.moving_variance.assign(np.mean(variance, axis=0) + np.var(mean, axis=0))


@contextmanager
def _thawed(layers: list[keras.layers.BatchNormalization]) -> Iterator[None]:
    """Frozen BatchNorm keeps its statistics, in training mode too: for once none is frozen."""
    frozen = [layer for layer in layers if not layer.trainable]
    for layer in frozen:
        layer.trainable = True
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = False


def _chunks(used: np.ndarray) -> list[np.ndarray]:
    """Positions in batches, each with images from all over the set, which may be sorted by class.

    Images of one class alone would be normalised with statistics that no training batch has.
    """
    count = -(-len(used) // BATCH)
    return [used[start::count] for start in range(count)]
