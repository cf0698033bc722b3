"""What is kept of a decoded picture: a digest and a small one to find copies by, its grays."""

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tl_keras.data.picture_reading import DEFAULTS, PictureReading

THUMBNAIL = 64
# ITU-R BT.601, as JPEG files and Pillow have it.
_LUMA = (0.299, 0.587, 0.114)
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
    """

    digest: bytes
    thumbnail: np.ndarray
    gray: bool
    levels: int


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

    image = decoding(reading)(tf.constant(encoded))
    pixels, thumbnail = image.numpy(), _small_gray()(image).numpy()
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    # here: in the graph this would take nearly as long as decoding
    gray = np.array_equal(red, green) and np.array_equal(green, blue)
    return Fingerprint(digest.digest(), thumbnail, gray, _levels(pixels))


def _levels(pixels: np.ndarray) -> int:
    height, width, _ = pixels.shape
    step = max(1, math.isqrt(height * width // _LEAST_SAMPLE))
    return int(np.count_nonzero(np.bincount(pixels[::step, ::step].reshape(-1), minlength=256)))


@cache
def _small_gray() -> Any:
    """A function from a picture, uint8 (height, width, 3), to its thumbnail."""
    import tensorflow as tf

    from tl_keras.data.decoding import interpolate
    from tl_keras.data.decoding_graphs import traced

    def small_gray(image: Any) -> Any:
        small = interpolate(image, THUMBNAIL, THUMBNAIL)
        gray = tf.tensordot(small, tf.constant(_LUMA), 1)
        return tf.cast(tf.clip_by_value(tf.round(gray), 0, 255), tf.uint8)

    return traced(small_gray, tf.TensorSpec((None, None, 3), tf.uint8))
