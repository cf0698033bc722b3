"""Fixed random variants of images: the same change for the same image, view and seed, always."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.data.augmentation import augmentation_layers

_SEED_BYTES = 8


@dataclass(frozen=True)
class View:
    """One random variant of every image.

    Attributes:
        level: of augmentation, "light" or "strong".
        seed: views of different seeds change an image differently.
        number: of the variant, from 0.
    """

    level: str
    seed: int
    number: int


def changing(level: str, image_shape: tuple[int, ...]) -> Callable[[Any, View, np.ndarray], Any]:
    """A function that changes images as a view says.

    An image's change depends on its content, not on its place in a batch or a set: the random
    layers start again for every image, from its digest.

    Args:
        level: "light" or "strong".
        image_shape: (size, size, 3).

    Returns:
        A function of pixels 0..255, float32 (batch, size, size, 3), a view of this level, and the
        images' digests, (batch,); to as many pixels.
    """
    layers = augmentation_layers(level)
    generators = [_generator(layer) for layer in layers]

    def change_one(given: tuple[Any, Any]) -> Any:
        image, seeds = given[0][None], given[1]
        for position, (layer, generator) in enumerate(zip(layers, generators, strict=True)):
            generator.state.assign(seeds[position])
            image = layer(image, training=True)
        return image[0]

    signature = [
        tf.TensorSpec((None, *image_shape), tf.float32),
        tf.TensorSpec((None, len(layers), 2), tf.uint32),
    ]

    @tf.function(input_signature=signature, autograph=False)
    def change(images: Any, seeds: Any) -> Any:
        # One after the other, because the layers' state is shared.
        return tf.map_fn(
            change_one, (images, seeds), fn_output_signature=tf.float32, parallel_iterations=1
        )

    def changed(images: Any, view: View, digests: np.ndarray) -> Any:
        return change(images, np.stack([_seeds(view, d.tobytes(), len(layers)) for d in digests]))

    return changed


def _generator(layer: keras.layers.Layer) -> keras.random.SeedGenerator:
    (generator,) = (
        value for value in vars(layer).values() if isinstance(value, keras.random.SeedGenerator)
    )
    return generator


def _seeds(view: View, image: bytes, layers: int) -> np.ndarray:
    """Of the random layers, uint32 (layers, 2)."""
    text = f"{view.level} {view.seed} {view.number} ".encode()
    digest = hashlib.blake2b(text + image, digest_size=_SEED_BYTES * layers)
    return np.frombuffer(digest.digest(), np.uint32).reshape(layers, 2)
