"""Uncompressed BMP files as TensorFlow graph operations.

`tf.io.decode_bmp` returns the indices of a paletted file as if they were gray values and takes the
channel order of a 32-bit file for granted, both without a word. Layout of the file: the
BITMAPFILEHEADER (14 bytes) and BITMAPINFOHEADER (40 bytes or more) of the Windows documentation.
"""

import tensorflow as tf

_FILE_HEADER_BYTES = 14
_INFO_HEADER_BYTES = 40
_UNCOMPRESSED, _BIT_FIELDS = 0, 3
_BITS_PER_PIXEL = (1, 4, 8, 24, 32)


def decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decode an uncompressed BMP with 1, 4, 8 (palette), 24 or 32 bits per pixel (alpha dropped).

    Args:
        encoded: string, shape (): the bytes of the file.

    Returns:
        uint8, (height, width, 3), red first, top row first.

    Raises:
        tf.errors.InvalidArgumentError: when run on a file that is cut short, compressed (RLE), has
            16 bits per pixel, packs its channels in other than whole bytes, or has the 12-byte
            header of OS/2.
    """
    header_bytes = _field(encoded, 14, tf.int32)
    bits = _field(encoded, 28, tf.uint16)
    compression = _field(encoded, 30, tf.int32)
    with tf.control_dependencies(_refusals(header_bytes, bits, compression)):
        bits = tf.identity(bits)
    width, height = _field(encoded, 18, tf.int32), _field(encoded, 22, tf.int32)
    rows = _rows(encoded, width, tf.abs(height), bits)
    pixels = tf.cond(
        bits <= 8,
        lambda: tf.gather(_palette(encoded, header_bytes, bits), _indices(rows, width, bits)),
        lambda: _direct_colours(rows, width, bits, _channel_order(encoded, compression)),
    )
    return tf.cond(height > 0, lambda: tf.reverse(pixels, axis=[0]), lambda: pixels)


def _bytes(encoded: tf.Tensor, start: int | tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    return tf.io.decode_raw(tf.strings.substr(encoded, start, count), tf.uint8)


def _field(encoded: tf.Tensor, start: int, dtype: tf.DType) -> tf.Tensor:
    piece = tf.strings.substr(encoded, start, dtype.size)
    return tf.cast(tf.io.decode_raw(piece, dtype)[0], tf.int32)


def _refusals(header_bytes: tf.Tensor, bits: tf.Tensor, compression: tf.Tensor) -> list[tf.Tensor]:
    mend = "Save it as a 24-bit uncompressed BMP or as PNG."
    readable = tf.reduce_any(tf.equal(bits, _BITS_PER_PIXEL))
    plain = (compression == _UNCOMPRESSED) | ((compression == _BIT_FIELDS) & (bits == 32))
    checks = [
        tf.debugging.Assert(
            header_bytes >= _INFO_HEADER_BYTES,
            [f"BMP header must have {_INFO_HEADER_BYTES} bytes or more, got", header_bytes, mend],
        ),
        tf.debugging.Assert(
            readable,
            [f"BMP bits per pixel must be one of {_BITS_PER_PIXEL}, got", bits, mend],
        ),
        tf.debugging.Assert(
            plain,
            ["BMP must be uncompressed (compression 0), got compression", compression, mend],
        ),
    ]
    # Run eagerly, an assertion that holds returns None.
    return [check for check in checks if check is not None]


def _rows(encoded: tf.Tensor, width: tf.Tensor, height: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Return the stored rows, uint8 (height, bytes per row); rows are padded to four bytes."""
    row_bytes = (width * bits + 31) // 32 * 4
    data = _bytes(encoded, _field(encoded, 10, tf.int32), row_bytes * height)
    return tf.reshape(data, (height, row_bytes))


def _palette(encoded: tf.Tensor, header_bytes: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Return the colours, uint8 (colours, 3), red first; a file that counts 0 has them all."""
    counted = _field(encoded, 46, tf.int32)
    colours = tf.where(counted == 0, tf.bitwise.left_shift(1, bits), counted)
    entries = _bytes(encoded, _FILE_HEADER_BYTES + header_bytes, 4 * colours)
    return tf.reshape(entries, (-1, 4))[:, 2::-1]


def _indices(rows: tf.Tensor, width: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Unpack 1, 4 or 8 bits per pixel, highest bits first, to int32 (height, width)."""
    shifts = tf.range(8 - bits, -1, -bits)
    packed = tf.cast(rows, tf.int32)[..., tf.newaxis]
    mask = tf.bitwise.left_shift(1, bits) - 1
    unpacked = tf.bitwise.bitwise_and(tf.bitwise.right_shift(packed, shifts), mask)
    return tf.reshape(unpacked, (tf.shape(rows)[0], -1))[:, :width]


def _channel_order(encoded: tf.Tensor, compression: tf.Tensor) -> tf.Tensor:
    """Return which byte of a pixel holds red, green and blue: int32 (3,)."""

    def from_masks() -> tf.Tensor:
        masks = tf.reshape(_bytes(encoded, _FILE_HEADER_BYTES + _INFO_HEADER_BYTES, 12), (3, 4))
        whole_bytes = tf.reduce_all(tf.reduce_sum(tf.cast(masks, tf.int32), axis=1) == 255)
        one_byte = tf.reduce_all(tf.reduce_max(masks, axis=1) == 255)
        check = tf.debugging.Assert(
            whole_bytes & one_byte,
            ["BMP channels must fill one byte each, got masks", masks, "Save it as PNG."],
        )
        with tf.control_dependencies([] if check is None else [check]):
            return tf.argmax(masks, axis=1, output_type=tf.int32)

    return tf.cond(compression == _BIT_FIELDS, from_masks, lambda: tf.constant([2, 1, 0]))


def _direct_colours(
    rows: tf.Tensor, width: tf.Tensor, bits: tf.Tensor, order: tf.Tensor
) -> tf.Tensor:
    """Take red, green and blue out of 3 or 4 bytes per pixel: uint8 (height, width, 3)."""
    pixel_bytes = bits // 8
    pixels = tf.reshape(rows[:, : width * pixel_bytes], (tf.shape(rows)[0], width, pixel_bytes))
    return tf.gather(pixels, order, axis=-1)
