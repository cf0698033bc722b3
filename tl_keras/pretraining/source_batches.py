"""Batches of the source task: random crops, and what the network has to say about them.

Imports TensorFlow.
"""

import functools

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tl_keras.pretraining.source_config import SourceConfig
from tl_keras.pretraining.source_images import SourceImages

CLASSES, PICTURE = "classes", "picture"
THUMBNAIL = 8
# Rings of frequencies, in cycles per picture, and directions in each of them.
_RINGS = 2 * 1.9 ** np.arange(5)
_DIRECTIONS = np.pi / 4 * np.arange(4)
PICTURE_NUMBERS = THUMBNAIL**2 + 3 + len(_RINGS) * len(_DIRECTIONS)


def round_batches(
    images: SourceImages, config: SourceConfig, index: int, side: int
) -> tf.data.Dataset:
    """Shuffled and changed batches of one round; all follow from the seed and the round.

    Args:
        images: The source task.
        config: The changes and the size of a batch.
        index: The round, from 0; the rounds of an epoch see every image once,
            but for what does not fill a batch at the end of a round.
        side: Side of the crops, pixels.

    Returns:
        Batches `(pictures, targets)`: float32 (batch, side, side, 3), 0..255, and a dict of what
        `targets` names: one-hot classes (batch, classes), descriptions (batch, PICTURE_NUMBERS).
    """
    order = _round_order(images, config, index)
    steps = len(order) // config.batch_size
    rows = order[: steps * config.batch_size].reshape(steps, config.batch_size)
    shape = (config.batch_size, *images.pixels.shape[1:])

    def read(chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        return images.pixels[chosen]

    def batch(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        stored = tf.ensure_shape(tf.numpy_function(read, [chosen], tf.uint8), shape)
        seed = tf.stack([tf.cast(config.seed, tf.int64), index * 1_000_003 + step])
        pictures = changed(stored, config, side, seed)
        labels = tf.one_hot(tf.gather(images.labels, chosen), len(images.classes))
        return pictures, targets(pictures, labels, config)

    numbered = tf.data.Dataset.from_tensor_slices((np.arange(steps), np.sort(rows, axis=1)))
    return numbered.map(batch, num_parallel_calls=1, deterministic=True).prefetch(4)


def targets(pictures: tf.Tensor, labels: tf.Tensor, config: SourceConfig) -> dict[str, tf.Tensor]:
    """What each output of the network should answer, by its name."""
    wanted = dict.fromkeys(class_outputs(config), labels)
    if config.picture_weight:
        wanted[PICTURE] = describe_pictures(pictures)
    return wanted


def class_outputs(config: SourceConfig) -> tuple[str, ...]:
    """Names of the outputs that tell the class: at the end, then at each auxiliary block."""
    return (CLASSES, *(f"{CLASSES}_{name}" for name in config.auxiliary_blocks))


def changed(pixels: tf.Tensor, config: SourceConfig, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Randomly cropped, mirrored and brightened copies.

    Args:
        pixels: uint8 (batch, size, size, 3).
        config: How much changes.
        side: Side of the result, pixels.
        seed: int64 (2,); the same seed gives the same changes.

    Returns:
        float32 (batch, side, side, 3), 0..255.
    """
    count = pixels.shape[0]
    draws = tf.random.stateless_uniform((8, count), seed)

    def between(row: int, low: float, high: float) -> tf.Tensor:
        return low + (high - low) * draws[row]

    root = tf.sqrt(between(0, *config.crop_area))
    stretch = tf.exp(between(1, -0.15, 0.15)) if config.crop_area[0] < 1 else tf.ones(count)
    height, width = tf.minimum(root * stretch, 1.0), tf.minimum(root / stretch, 1.0)
    top, left = draws[2] * (1 - height), draws[3] * (1 - width)
    mirrored = draws[4] < (0.5 if config.flip else 0.0)
    begin = tf.where(mirrored, left + width, left)
    end = tf.where(mirrored, left, left + width)
    boxes = tf.stack([top, begin, top + height, end], axis=1)
    cropped = tf.image.crop_and_resize(
        tf.cast(pixels, tf.float32), boxes, tf.range(count), (side, side)
    )
    gain = 1 + between(5, -config.contrast, config.contrast)[:, None, None, None]
    offset = 255 * between(6, -config.brightness, config.brightness)[:, None, None, None]
    return tf.clip_by_value((cropped - 127.5) * gain + 127.5 + offset, 0.0, 255.0)


def describe_pictures(pictures: tf.Tensor) -> tf.Tensor:
    """Numbers of about unit size that a picture is described with: (batch, PICTURE_NUMBERS).

    A gray thumbnail, the mean colour, and the logarithm of the energy in each ring and direction
    of the spectrum.

    Args:
        pictures: float32 (batch, side, side, 3), 0..255.
    """
    scaled = pictures / 127.5 - 1
    gray = tf.reduce_mean(scaled, axis=-1, keepdims=True)
    thumbnail = tf.image.resize(gray, (THUMBNAIL, THUMBNAIL), method="area")
    colour = 4 * tf.reduce_mean(scaled - gray, axis=(1, 2))
    side = pictures.shape[1]
    centred = (gray - tf.reduce_mean(gray, axis=(1, 2), keepdims=True))[..., 0]
    spectrum = tf.abs(tf.signal.fft2d(tf.cast(centred, tf.complex64))) ** 2 / side**4
    energy = tf.einsum("nhw,hwb->nb", spectrum, tf.constant(_bands(side)))
    parts = [
        tf.reshape(thumbnail, (-1, THUMBNAIL**2)),
        colour,
        tf.math.log(energy + 1e-5) / 3 + 1.5,
    ]
    return tf.concat(parts, axis=1)


@functools.cache
def _bands(side: int) -> NDArray[np.float32]:
    """Weight of every frequency of a discrete Fourier transform in every band."""
    frequencies = np.fft.fftfreq(side, 1 / side)
    x, y = np.meshgrid(frequencies, frequencies)
    octaves = np.log2(np.maximum(np.hypot(x, y), 1e-3)[..., None] / _RINGS)
    rings = np.exp(-0.5 * (octaves / 0.5) ** 2)
    directions = np.cos(np.arctan2(y, x)[..., None] - _DIRECTIONS) ** 4
    bands = rings[..., :, None] * directions[..., None, :]
    return bands.reshape(side, side, -1).astype(np.float32)


def _round_order(images: SourceImages, config: SourceConfig, index: int) -> NDArray[np.int64]:
    epoch, part = divmod(index, config.rounds_per_epoch)
    order = np.random.default_rng([config.seed, epoch]).permutation(images.training)
    return np.array_split(order, config.rounds_per_epoch)[part]
