"""Decoding as graphs that are traced once in a process, whoever decodes.

The branches for all formats take longer to trace, and to make ready to run, than hundreds of small
pictures to decode.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import tensorflow as tf

from tl_keras.config.schema import ResizeMode
from tl_keras.data.decoding import decode_image, resize_image
from tl_keras.data.picture_reading import DEFAULTS, PictureReading


def loading(size: int, reading: PictureReading) -> Callable[[Any], Any]:
    """`load_pixels`, from string () to uint8 (size, size, 3), within other graphs and outside.

    Args:
        size: side of the result in pixels.
        reading: how files become pixels.
    """
    decode, resize = decoding(reading), resizing(size, reading.resize)
    return lambda encoded: resize(decode(encoded))


def decoding(reading: PictureReading) -> Any:
    """`decode_image` as one function, from string () to uint8 (height, width, 3)."""
    return _decoding(replace(reading, resize=DEFAULTS.resize))


@cache
def _decoding(reading: PictureReading) -> Any:
    return traced(lambda encoded: decode_image(encoded, reading), tf.TensorSpec((), tf.string))


@cache
def resizing(size: int, mode: ResizeMode) -> Any:
    """`resize_image` as one function of a picture, uint8 (height, width, 3)."""
    picture = tf.TensorSpec((None, None, 3), tf.uint8)
    return traced(lambda image: resize_image(image, size, mode), picture)


def traced(function: Callable[[Any], Any], spec: tf.TensorSpec) -> Any:
    """A function as one graph, which belongs to nothing that is traced at the moment.

    It runs on the processor, where the decoders are: its answers are the same with a GPU.
    """

    def on_processor(value: Any) -> Any:
        with tf.device("CPU:0"):
            return function(value)

    with tf.init_scope(), tf.device(None):
        whole = tf.function(on_processor, input_signature=[spec], autograph=False)
        return whole.get_concrete_function()
