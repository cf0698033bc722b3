"""BatchNorm statistics of a network that is trained from scratch."""

import keras
import numpy as np
import tensorflow as tf

from tl_keras.models.backbones import scaling_layer
from tl_keras.models.classifier import Backbone

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
            for layer in backbone.model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        for layer in self._layers:
            layer.momentum = 0.0
        scaling = scaling_layer(backbone.spec)
        self._forward = tf.function(
            lambda images: backbone.model(scaling(images), training=True),
            input_signature=[tf.TensorSpec(backbone.model.input.shape, tf.float32)],
        )

    def estimate(self, pixels: np.ndarray) -> None:
        """Set the statistics to those of `pixels`, (n, size, size, 3), 0..255."""
        if not self._layers:
            return
        pixels = pixels[:MAX_IMAGES]
        means: list[list[np.ndarray]] = []
        squares: list[list[np.ndarray]] = []
        for chunk in np.array_split(pixels, -(-len(pixels) // BATCH)):
            self._forward(tf.cast(chunk, tf.float32))
            mean = [layer.moving_mean.numpy() for layer in self._layers]
            variance = [layer.moving_variance.numpy() for layer in self._layers]
            means.append(mean)
            squares.append([v + m**2 for m, v in zip(mean, variance, strict=True)])
        averages = zip(self._layers, _average(means), _average(squares), strict=True)
        for layer, average, square in averages:
            layer.moving_mean.assign(average)
            layer.moving_variance.assign(square - average**2)


def _average(per_chunk: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.mean(values, axis=0) for values in zip(*per_chunk, strict=True)]
