"""Small networks of one's own, as people have them, for the tests of networks from files."""

from typing import Any

import keras
import numpy as np

from tl_keras.backbone_table import Scaling
from tl_keras.models.networks import scaling_layer


def convolved(inputs: Any, filters: int, name: str = "", **options: Any) -> Any:
    """A convolution with BatchNorm and ReLU; without a name, Keras counts them."""
    names = [f"{name}_{kind}" if name else None for kind in ("conv", "bn", "relu")]
    convolution = keras.layers.Conv2D(
        filters, options.pop("size", 3), padding="same", use_bias=False, name=names[0], **options
    )
    outputs = keras.layers.BatchNormalization(name=names[1])(convolution(inputs))
    return keras.layers.ReLU(name=names[2])(outputs)


def residual(side: int | None = 32, *, named: bool = False) -> keras.Model:
    """A stem and three residual blocks."""
    images = keras.Input((side, side, 3))
    outputs = convolved(images, 4, "stem" if named else "", strides=2)
    for number in (1, 2, 3):
        name = f"block{number}" if named else ""
        branch = convolved(outputs, 4, name)
        add = keras.layers.Add(name=f"{name}_add" if named else None)
        outputs = add([outputs, branch])
    return keras.Model(images, outputs)


def separable(side: int | None = 32) -> keras.Model:
    """A stem and blocks that widen, convolve by channel and narrow, without names."""
    images = keras.Input((side, side, 3))
    outputs = convolved(images, 4, strides=2)
    for strides in (1, 2):
        outputs = convolved(outputs, 8, size=1)
        outputs = keras.layers.DepthwiseConv2D(3, strides=strides, padding="same")(outputs)
        outputs = keras.layers.BatchNormalization()(outputs)
        outputs = keras.layers.ReLU()(outputs)
        outputs = keras.layers.Conv2D(4, 1, use_bias=False)(outputs)
        outputs = keras.layers.BatchNormalization()(outputs)
    return keras.Model(images, outputs)


def with_classifier(side: int | None = 32, below: keras.Model | None = None) -> keras.Model:
    """A network with pooling, a Dropout and a Dense layer on top."""
    below = below or residual(side)
    outputs = keras.layers.GlobalAveragePooling2D()(below.output)
    outputs = keras.layers.Dropout(0.2)(outputs)
    return keras.Model(below.input, keras.layers.Dense(5, activation="softmax")(outputs))


def nested(side: int = 32) -> keras.Model:
    """As the guide of Keras builds a classifier: scaling, then a frozen network as one layer."""
    inside = residual(side)
    inside.trainable = False
    images = keras.Input((side, side, 3))
    outputs = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(images)
    outputs = keras.layers.GlobalAveragePooling2D()(inside(outputs, training=False))
    return keras.Model(images, keras.layers.Dense(5)(outputs))


def trained(network: keras.Model, seed: int = 0) -> keras.Model:
    """The network with weights, BatchNorm statistics included, that are none of a new layer's."""
    rng = np.random.default_rng(seed)
    network.set_weights(
        [
            rng.uniform(0.5, 1.5, weight.shape)
            if "variance" in weight.path
            else rng.normal(0, 0.3, weight.shape)
            for weight in network.weights
        ]
    )
    return network


def shades() -> np.ndarray:
    """Pictures with shades and edges, not those that the check of a scaling draws, 0..255."""
    rng = np.random.default_rng(3)
    squares = rng.uniform(0, 255, (16, 4, 4, 3)).repeat(16, axis=1).repeat(16, axis=2)
    return np.asarray(0.6 * squares + 0.4 * rng.uniform(0, 255, (16, 1, 1, 1)))


def network_for(scaling: Scaling, pictures: np.ndarray | None = None) -> keras.Model:
    """With kernels at random and the statistics that photos in a scaling give them."""
    seen = shades() if pictures is None else pictures
    images = keras.Input((64, 64, 3))
    network = keras.Model(images, convolved(images, 16, strides=2))
    convolution, norm = network.layers[1:3]
    convolution.set_weights([np.random.default_rng(0).normal(0, 0.2, (3, 3, 3, 16))])
    values = np.asarray(convolution(scaling_layer(scaling)(seen.astype("float32"))))
    norm.moving_mean.assign(values.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(values.var(axis=(0, 1, 2)))
    return network
