"""Encoded pictures to pixels, as graph operations shared by training and the served model.

Because both use these functions, a picture has the same pixels in `tf.data` and in a SavedModel.
"""

from functools import partial
from typing import Literal

import tensorflow as tf

from tl_keras.data.bmp import decode_bmp
from tl_keras.data.image_formats import FORMATS

ResizeMode = Literal["stretch", "pad", "crop"]

_PNG_BIT_DEPTH_OFFSET = 24


def load_pixels(encoded: tf.Tensor, size: int, mode: ResizeMode) -> tf.Tensor:
    """Decode a picture and bring it to the input size of a network.

    Args:
        encoded: string, shape (): the bytes of a JPEG, PNG, BMP or GIF file.
        size: Side of the result in pixels.
        mode: As in `resize_image`.

    Returns:
        uint8, (size, size, 3), RGB.
    """
    return resize_image(decode_image(encoded), size, mode)


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG, PNG, BMP or GIF file to 8-bit RGB.

    Gray is repeated over the channels, alpha is dropped, 16 bits are mapped linearly to 8
    (65535 to 255), of an animation the first frame is taken. The EXIF orientation is ignored.
    Pixels that a GIF marks as transparent are black.

    Args:
        encoded: string, shape (): the bytes of the file.

    Returns:
        uint8, (height, width, 3).

    Raises:
        tf.errors.InvalidArgumentError: when run on anything else, on a file that is cut short, or
            on a BMP that `tl_keras.data.bmp.decode_bmp` refuses.
    """
    image = tf.case(
        [
            (_starts_with(encoded, FORMATS[name].first_bytes), partial(decode, encoded))
            for name, decode in _DECODERS.items()
        ],
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def resize_image(image: tf.Tensor, size: int, mode: ResizeMode) -> tf.Tensor:
    """Resize by antialiased bilinear interpolation, rounded to whole numbers.

    The rounding makes pixels that were cached as bytes equal to those computed while serving.

    Args:
        image: uint8 or float32, (height, width, 3) or (batch, height, width, 3), 0..255.
        size: Side of the result in pixels.
        mode: "stretch" ignores the aspect ratio, "pad" keeps it and centres the picture between
            black borders, "crop" takes the central square.

    Returns:
        uint8, (size, size, 3) or (batch, size, size, 3).

    Raises:
        ValueError: if `mode` is none of the three.
    """
    if mode == "stretch":
        resized = _interpolate(image, size, size)
    elif mode == "pad":
        resized = _fit_between_borders(image, size)
    elif mode == "crop":
        resized = _interpolate(_central_square(image), size, size)
    else:
        raise ValueError(f"mode must be 'stretch', 'pad' or 'crop', got {mode!r}.")
    whole = tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(whole, (*image.shape[:-3], size, size, 3))


def _starts_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    # TensorFlow's default transform is up to 5 of 255 away from what other decoders answer.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    def sixteen_bits() -> tf.Tensor:
        # 65535 / 257 = 255; TensorFlow itself would cut off the lower byte, not round.
        wide = tf.cast(tf.io.decode_png(encoded, channels=3, dtype=tf.uint16), tf.int32)
        return tf.cast((wide + 128) // 257, tf.uint8)

    return tf.cond(
        tf.strings.substr(encoded, _PNG_BIT_DEPTH_OFFSET, 1) == b"\x10",
        sixteen_bits,
        lambda: tf.io.decode_png(encoded, channels=3),
    )


# Where TensorFlow's `decode_image` answers other pixels, or none.
_DECODERS = {"JPEG": _decode_jpeg, "PNG": _decode_png, "BMP": decode_bmp}


def _interpolate(image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    resized = tf.image.resize(image, (height, width), method="bilinear", antialias=True)
    return tf.cast(resized, tf.float32)


def _height_and_width(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.shape(image)
    return shape[-3], shape[-2]


def _fit_between_borders(image: tf.Tensor, size: int) -> tf.Tensor:
    height, width = _height_and_width(image)
    longest = tf.maximum(height, width)
    # Whole-number arithmetic, rounding to the nearest, at least one pixel.
    new_height = tf.maximum((2 * size * height + longest) // (2 * longest), 1)
    new_width = tf.maximum((2 * size * width + longest) // (2 * longest), 1)
    resized = _interpolate(image, new_height, new_width)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    return tf.image.pad_to_bounding_box(resized, top, left, size, size)


def _central_square(image: tf.Tensor) -> tf.Tensor:
    # Cropped before resizing: a very long picture would else be blown up to a huge one.
    height, width = _height_and_width(image)
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side, :]
