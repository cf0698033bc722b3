"""What is kept of a decoded picture: a digest and a small one to find copies by, its grays."""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.quiet import no_standard_error

THUMBNAIL = 64
# ITU-R BT.601, as JPEG files and Pillow have it.
_LUMA = (0.299, 0.587, 0.114)
# In smaller pictures a single hot pixel is still to be seen in the thumbnail. It tells something of
# those only of which eight tenths are no further apart: the others are not empty without it.
_HOT_PIXELS, _ALIKE = (4 * THUMBNAIL) ** 2, 40
# Of larger pictures the gray levels are those of pixels in a grid, so many at least.
_LEAST_SAMPLE = 2**18


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Of one picture.

    Attributes:
        digest: SHA-256 of its decoded pixels and their shape.
        thumbnail: uint8 (64, 64), gray, stretched.
        gray: Whether the three channels are the same, however the file stores them.
        levels: Different values of its pixels, in any channel, 1..256.
        ends: uint8 (2, 3), the lowest and the highest of each channel at 64 x 64 pixels; where most
            is much the same, without hot pixels.
    """

    digest: bytes
    thumbnail: np.ndarray
    gray: bool
    levels: int
    ends: np.ndarray


def fingerprint(encoded: bytes, reading: PictureReading = DEFAULTS) -> Fingerprint:
    """Decode a file as training does, once, and keep what copies are found by.

    Args:
        encoded: The file.
        reading: How it becomes pixels; its `resize` does not matter.

    Raises:
        tf.errors.OpError: if the file cannot be decoded.
    """
    import tensorflow as tf

    from tl_keras.data.decoding_graphs import decoding

    # what libraries of formats say of damaged ones, without their names
    with no_standard_error():
        image = decoding(reading)(tf.constant(encoded))
    pixels, (thumbnail, ends) = image.numpy(), _made_small()(image)
    small = pixels.shape[0] * pixels.shape[1] <= _HOT_PIXELS
    if small and _mostly_alike(thumbnail.numpy()):
        ends = _made_small()(tf.constant(_without_hot_pixels(pixels)))[1]
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    # here: in the graph this would take nearly as long as decoding
    gray = np.array_equal(red, green) and np.array_equal(green, blue)
    return Fingerprint(digest.digest(), thumbnail.numpy(), gray, _levels(pixels), ends.numpy())


def _levels(pixels: np.ndarray) -> int:
    height, width, _ = pixels.shape
    step = max(1, math.isqrt(height * width // _LEAST_SAMPLE))
    return int(np.count_nonzero(np.bincount(pixels[::step, ::step].reshape(-1), minlength=256)))


def _mostly_alike(thumbnail: np.ndarray) -> bool:
    tenth = thumbnail.size // 10
    between = np.partition(thumbnail, (tenth, -tenth), axis=None)[tenth:-tenth]
    return int(np.ptp(between)) <= _ALIKE


def _without_hot_pixels(pixels: np.ndarray) -> np.ndarray:
    """Each pixel between the lowest and the highest of its eight neighbours, channel by channel."""
    height, width, _ = pixels.shape
    framed = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), "reflect")
    around = [
        framed[row : row + height, column : column + width]
        for row, column in np.ndindex(3, 3)
        if (row, column) != (1, 1)
    ]
    return np.clip(pixels, np.minimum.reduce(around), np.maximum.reduce(around))


@cache
def _made_small() -> Any:
    """A function from a picture, uint8 (height, width, 3), to its thumbnail and its ends."""
    import tensorflow as tf

    from tl_keras.data.decoding import interpolate
    from tl_keras.data.decoding_graphs import traced

    def whole(values: Any) -> Any:
        return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8)

    def made_small(image: Any) -> Any:
        small = interpolate(image, THUMBNAIL, THUMBNAIL)
        ends = tf.stack([tf.reduce_min(small, (0, 1)), tf.reduce_max(small, (0, 1))])
        return whole(tf.tensordot(small, tf.constant(_LUMA), 1)), whole(ends)

    return traced(made_small, tf.TensorSpec((None, None, 3), tf.uint8))
