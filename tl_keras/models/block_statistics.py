"""Mean and variance of every channel after each block of a backbone, over a set of images."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.backbone_table import Scaling
from tl_keras.data.rows import Rows
from tl_keras.models.blocks import Block
from tl_keras.models.networks import scaling_layer

# The outputs of all blocks are in memory at once.
BATCH = 16


def block_statistics(
    model: keras.Model, blocks: Sequence[Block], batches: Iterable[np.ndarray]
) -> dict[str, dict[str, list[float]]]:
    """Mean and variance per channel of each block's output, over images and positions.

    One pass in inference mode; of each batch only sums are kept, in float64, so that memory does
    not grow with the number of images.

    Args:
        model: The backbone.
        blocks: Of the model, from `find_blocks`.
        batches: float32 (n, side, side, 3), scaled as the backbone wants them.

    Returns:
        By block's name: `mean` and `variance`, one number per channel, with 6 significant digits.

    Raises:
        ValueError: There are no images.
    """
    outputs = [block.output for block in blocks]
    sums = _sums(model, outputs)
    # Count, sum and sum of squares.
    totals = [np.zeros((3, output.shape[-1])) for output in outputs]
    for batch in batches:
        for total, added in zip(totals, sums(tf.constant(batch)), strict=True):
            total += added.numpy()
    return {block.name: _moments(total) for block, total in zip(blocks, totals, strict=True)}


def scaled_batches(scaling: Scaling, pixels: Rows, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Images as `block_statistics` takes them.

    Args:
        scaling: What the backbone wants.
        pixels: uint8 (n, side, side, 3), 0..255, which may be mapped from a file.
        rows: Positions of those to use.
    """
    layer = scaling_layer(scaling)
    for start in range(0, len(rows), BATCH):
        batch = pixels[rows[start : start + BATCH]]
        yield np.asarray(layer(batch.astype(np.float32)))


def _sums(model: keras.Model, tensors: Sequence[keras.KerasTensor]) -> Any:
    """A function from images to one float64 (3, channels) per tensor."""
    inside = keras.Model(model.input, list(tensors))

    def sums(images: tf.Tensor) -> list[tf.Tensor]:
        # a single output comes without its list
        found = keras.tree.flatten(inside(images, training=False))
        return [_channel_sums(outputs) for outputs in found]

    images = tf.TensorSpec((None, *model.input.shape[1:]), tf.float32)
    # not the function itself: TensorFlow would warn that one per call is traced too often
    return tf.function(sums, autograph=False).get_concrete_function(images)


def _channel_sums(outputs: tf.Tensor) -> tf.Tensor:
    values = tf.cast(outputs, tf.float64)
    count = tf.cast(tf.reduce_prod(tf.shape(values)[:-1]), tf.float64)
    sums = [tf.reduce_sum(measure, axis=(0, 1, 2)) for measure in (values, tf.square(values))]
    return tf.stack([tf.fill(tf.shape(sums[0]), count), *sums])


def _moments(total: np.ndarray) -> dict[str, list[float]]:
    count, sums, squares = total
    if not count.all():
        raise ValueError("batches must hold at least one image; got none.")
    mean = sums / count
    variance = np.maximum(squares / count - mean**2, 0)
    return {"mean": _rounded(mean), "variance": _rounded(variance)}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
