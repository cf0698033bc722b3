"""Decoding as graphs that are traced once in a process, whoever decodes.

The branches for all formats take longer to trace than hundreds of small pictures to decode.
"""

from functools import cache
from typing import Any

import tensorflow as tf

from tl_keras.data.decoding import decode_image, resize_image
from tl_keras.data.picture_reading import PictureReading


@cache
def decoding(reading: PictureReading) -> Any:
    """`decode_image` as one function, from string () to uint8 (height, width, 3)."""
    return _traced(lambda encoded: decode_image(encoded, reading))


@cache
def loading(size: int, reading: PictureReading) -> Any:
    """`load_pixels` as one function, from string () to uint8 (size, size, 3).

    Args:
        size: side of the result in pixels.
        reading: how files become pixels.
    """
    decode = decoding(reading)
    return _traced(lambda encoded: resize_image(decode(encoded), size, reading.resize))


def _traced(function: Any) -> Any:
    """Outside of what is traced at the moment, for all devices."""
    signature = [tf.TensorSpec((), tf.string)]
    with tf.init_scope(), tf.device(None):
        whole = tf.function(function, input_signature=signature, autograph=False)
        return whole.get_concrete_function()
