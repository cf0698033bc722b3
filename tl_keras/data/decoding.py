"""Encoded pictures to pixels, as graph operations shared by training and the served model.

Because both use these functions, a picture has the same pixels in `tf.data` and in a SavedModel.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import tensorflow as tf

from tl_keras.config.schema import ResizeMode
from tl_keras.data.bmp import decode_bmp
from tl_keras.data.image_formats import FORMATS, served_in_words
from tl_keras.data.picture_headers import (
    bmp_pixels,
    gif_pixels,
    jpeg_header,
    png_orientation,
    png_pixels,
)
from tl_keras.data.picture_reading import PictureReading

_PNG_BIT_DEPTH_OFFSET = 24
# Of rows of the result by columns of the picture, or the other way round: 200 MB while resizing.
_MOST_CELLS = 2**24
# Orientations for which rows become columns, and those that are mirrored up to down, left to right,
# once that is done.
_TURNED, _UPSIDE_DOWN, _MIRRORED = 5, (3, 4, 7, 8), (2, 3, 6, 7)


def load_pixels(encoded: tf.Tensor, size: int, reading: PictureReading) -> tf.Tensor:
    """Decode a picture and bring it to the input size of a network.

    Args:
        encoded: string, shape (): the bytes of a JPEG, PNG, BMP or GIF file.
        size: Side of the result in pixels.
        reading: How.

    Returns:
        uint8, (size, size, 3), RGB.
    """
    return resize_image(decode_image(encoded, reading), size, reading.resize)


def decode_image(encoded: tf.Tensor, reading: PictureReading) -> tf.Tensor:
    """Decode a JPEG, PNG, BMP or GIF file to 8-bit RGB.

    Gray is repeated over the channels, alpha is dropped, of an animation the first frame is taken.
    Pixels that a GIF marks as transparent are black.

    Args:
        encoded: string, shape (): the bytes of the file.
        reading: How; all but its `resize`.

    Returns:
        uint8, (height, width, 3).

    Raises:
        tf.errors.InvalidArgumentError: when run on anything else, on a file that is cut short, on
            one with more pixels than `reading` allows, which is not decoded, or on a BMP that
            `tl_keras.data.bmp.decode_bmp` refuses.
    """
    image = tf.case(
        [
            (_starts_with(encoded, FORMATS[name].first_bytes), _decoding(decode, encoded, reading))
            for name, decode in _DECODERS.items()
        ],
        default=lambda: _decode_unknown(encoded),
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
        resized = interpolate(image, size, size)
    elif mode == "pad":
        resized = _fit_between_borders(image, size)
    elif mode == "crop":
        resized = interpolate(_central_square(image), size, size)
    else:
        raise ValueError(f"mode must be 'stretch', 'pad' or 'crop', got {mode!r}.")
    whole = tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(whole, (*image.shape[:-3], size, size, 3))


def interpolate(image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Resize by antialiased bilinear interpolation, in memory that no shape makes large.

    TensorFlow brings the height to its new size first and the width after it. Of a picture that is
    far wider than high that would be many times its own size, so that it is laid on its side.

    Args:
        image: (height, width, 3) or (batch, height, width, 3).
        height: Of the result.
        width: Of the result.

    Returns:
        float32, of the same rank.
    """
    image = tf.convert_to_tensor(image)
    high, wide = (tf.cast(side, tf.int64) for side in _height_and_width(image))
    usual, other = tf.cast(height, tf.int64) * wide, tf.cast(width, tf.int64) * high

    def lying() -> tf.Tensor:
        return _swapped(_resized(_swapped(image), width, height))

    return tf.cond(
        usual <= tf.maximum(other, _MOST_CELLS), lambda: _resized(image, height, width), lying
    )


def _resized(image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    resized = tf.image.resize(image, (height, width), method="bilinear", antialias=True)
    return tf.cast(resized, tf.float32)


def _swapped(image: tf.Tensor) -> tf.Tensor:
    """Rows as columns."""
    return tf.transpose(image, (1, 0, 2) if image.shape.rank == 3 else (0, 2, 1, 3))


def _starts_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _decoding(
    decode: Callable[[tf.Tensor, PictureReading], tf.Tensor],
    encoded: tf.Tensor,
    reading: PictureReading,
) -> Callable[[], tf.Tensor]:
    if tf.executing_eagerly():
        return lambda: decode(encoded, reading)
    # A function apart: only the formats that occur are made ready to run, half of the time of all.
    apart = tf.function(
        lambda file: decode(file, reading),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )
    return lambda: apart(encoded)


def _decode_jpeg(encoded: tf.Tensor, reading: PictureReading) -> tf.Tensor:
    pixels, orientation = jpeg_header(encoded)
    with _within_limit(pixels, reading):
        # TensorFlow's default transform is up to 5 of 255 away from what other decoders answer.
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return _upright(image, orientation) if reading.turns else image


def _decode_png(encoded: tf.Tensor, reading: PictureReading) -> tf.Tensor:
    with _within_limit(png_pixels(encoded), reading):
        image = tf.cond(
            tf.strings.substr(encoded, _PNG_BIT_DEPTH_OFFSET, 1) == b"\x10",
            lambda: _eight_bits(tf.io.decode_png(encoded, channels=3, dtype=tf.uint16), reading),
            lambda: tf.io.decode_png(encoded, channels=3),
        )
    return _upright(image, png_orientation(encoded)) if reading.turns else image


def _decode_bmp(encoded: tf.Tensor, reading: PictureReading) -> tf.Tensor:
    with _within_limit(bmp_pixels(encoded), reading):
        return decode_bmp(encoded)


def _decode_gif(encoded: tf.Tensor, reading: PictureReading) -> tf.Tensor:
    with _within_limit(gif_pixels(encoded), reading):
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)


_DECODERS = {"JPEG": _decode_jpeg, "PNG": _decode_png, "BMP": _decode_bmp, "GIF": _decode_gif}


def _decode_unknown(encoded: tf.Tensor) -> tf.Tensor:
    # `tf.io.decode_image` may know further formats, whose size nobody has asked for.
    never = tf.strings.length(encoded) < 0
    what = f"Unknown image file format; it must be {served_in_words()}"
    check = tf.debugging.Assert(never, [what])
    with tf.control_dependencies([] if check is None else [check]):
        return tf.zeros((1, 1, 3), tf.uint8)


def _within_limit(pixels: tf.Tensor, reading: PictureReading) -> AbstractContextManager[None]:
    """Where what is made runs only if a picture is no larger than is allowed."""
    check = tf.debugging.Assert(
        pixels <= reading.max_pixels,
        [f"picture must have at most {reading.max_megapixels:g} million pixels, got", pixels],
    )
    # Run eagerly, an assertion that holds returns None.
    return tf.control_dependencies([] if check is None else [check])


def _eight_bits(wide: tf.Tensor, reading: PictureReading) -> tf.Tensor:
    """Values of 16 bits from black to white as 0 to 255, rounded; what lies beyond is cut off."""
    values = tf.cast(wide, tf.int32)
    black, white = reading.black_and_white or (tf.reduce_min(values), tf.reduce_max(values))
    span = tf.maximum(white - black, 1)
    above = tf.clip_by_value(values, black, white) - black
    return tf.cast((2 * 255 * above + span) // (2 * span), tf.uint8)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn and mirror a picture as an EXIF orientation, int64 () of 1..8, says."""

    def turned() -> tf.Tensor:
        swapped = tf.cond(orientation >= _TURNED, lambda: _swapped(image), lambda: image)
        flips = [tf.reduce_any(orientation == numbers) for numbers in (_UPSIDE_DOWN, _MIRRORED)]
        return tf.reverse(swapped, tf.boolean_mask([0, 1], flips))

    return tf.cond(orientation == 1, lambda: image, turned)


def _height_and_width(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.shape(image)
    return shape[-3], shape[-2]


def _fit_between_borders(image: tf.Tensor, size: int) -> tf.Tensor:
    height, width = _height_and_width(image)
    # Whole-number arithmetic, rounding to the nearest, at least one pixel; of 64 bits for the
    # longest pictures.
    sides = tf.cast(tf.stack([height, width]), tf.int64)
    longest = tf.reduce_max(sides)
    new_sides = tf.maximum((2 * size * sides + longest) // (2 * longest), 1)
    new_height, new_width = tf.unstack(tf.cast(new_sides, tf.int32))
    resized = interpolate(image, new_height, new_width)
    top, left = (size - new_height) // 2, (size - new_width) // 2
    return tf.image.pad_to_bounding_box(resized, top, left, size, size)


def _central_square(image: tf.Tensor) -> tf.Tensor:
    # Cropped before resizing: a very long picture would else be blown up to a huge one.
    height, width = _height_and_width(image)
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side, :]
