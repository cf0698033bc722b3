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

    def estimate(self, pixels: np.ndarray, max_images: int = MAX_IMAGES) -> None:
        """Set the statistics to those of `pixels`, (n, size, size, 3), 0..255.

        Args:
            pixels: the images; of more than `max_images` every so many-th is taken.
            max_images: at least 1.
        """
        if not self._layers:
            return
        means: list[list[np.ndarray]] = []
        variances: list[list[np.ndarray]] = []
        for rows in _chunks(len(pixels), max_images):
            self._forward(tf.cast(pixels[rows], tf.float32))
            means.append([layer.moving_mean.numpy() for layer in self._layers])
            variances.append([layer.moving_variance.numpy() for layer in self._layers])
        for layer, mean, variance in zip(
            self._layers, zip(*means, strict=True), zip(*variances, strict=True), strict=True
        ):
            layer.moving_mean.assign(np.mean(mean, axis=0))
            layer.moving_variance.assign(np.mean(variance, axis=0) + np.var(mean, axis=0))


def _chunks(images: int, most: int) -> list[np.ndarray]:
    """Positions in batches, each with images from all over the set, which may be sorted by class.

    Images of one class alone would be normalised with statistics that no training batch has.
    """
    used = np.linspace(0, images - 1, min(images, most)).round().astype(int)
    count = -(-len(used) // BATCH)
    return [used[start::count] for start in range(count)]
