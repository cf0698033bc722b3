"""What a picture file says of itself before its pixels are decoded, as graph operations.

Its size, for a file of some bytes may ask for any memory, and its EXIF orientation. Whatever a file
holds, these answer: numbers beyond its end are 0. Layouts: ITU-T T.81 (JPEG), the W3C's PNG
specification, GIF89a, the BITMAPINFOHEADER, and CIPA DC-008 (Exif, whose tables are those of TIFF).
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# A longer chain of segments, chunks or blocks is not followed to its end: only a file that was made
# to take time has one, or a GIF of more than 16 MB.
_MOST_STEPS = 2**16
_NOWHERE = -1
_ORIENTATION_TAG = 0x0112
# Types of a number in a table of Exif, whole ones of two and of four bytes, and their sizes.
_SHORT, _LONG = (3, 8), (4, 9)
_ENTRY = 12
_APP1, _LAST = 0xE1, (0xD9, 0xDA)
# C4, C8 and CC are no frames.
_FRAMES = tuple({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_BMP_HEADER_BYTES = 40
_FRAME, _EXTENSION = 0x2C, 0x21
_FRAMES_LIKE_A_PICTURE = 4

_Found = tuple[tf.Tensor, ...]


def jpeg_header(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The pixels of a JPEG file and its EXIF orientation.

    Args:
        encoded: string, shape ().

    Returns:
        int64 (), `tf.int64.max` where no frame is found; and int64 (), 1..8, 1 where none or no
        such number is given.
    """

    def step(at: tf.Tensor, pixels: tf.Tensor, exif: tf.Tensor) -> _Found:
        piece = _bytes(encoded, at, 10)
        marker, length = piece[1], _number(piece[2:4])
        size = _number(piece[5:7]) * _number(piece[7:9])
        is_exif = (marker == _APP1) & _is(piece[4:10], b"Exif\0\0") & (exif == _NOWHERE)
        # what fills, or begins no segment, is passed over byte by byte
        begins = (piece[0] == 0xFF) & (marker != 0xFF) & (marker != 0)
        after = at + 2 + tf.where(_among(marker, _WITHOUT_LENGTH), _int(0), tf.maximum(length, 2))
        after = tf.where(_among(marker, _LAST), _size(encoded), after)
        return (
            tf.where(begins, after, at + 1),
            tf.where(begins & _among(marker, _FRAMES), tf.maximum(size, pixels), pixels),
            tf.where(begins & is_exif, at + 10, exif),
        )

    _, pixels, exif = _walk(encoded, step, _int(2), (_int(0), _int(_NOWHERE)))

    def orientation() -> tf.Tensor:
        length = _number(_bytes(encoded, exif - 8, 2)) - 8
        return _orientation(tf.strings.substr(encoded, exif, tf.maximum(length, 0)))

    return (
        tf.where(pixels == 0, _int(tf.int64.max), pixels),
        tf.cond(exif == _NOWHERE, lambda: _int(1), orientation),
    )


def png_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """The pixels of a PNG file, int64 ()."""
    sides = _bytes(encoded, _int(16), 8)
    return _number(sides[:4]) * _number(sides[4:])


def png_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a PNG file, int64 (), 1..8, 1 where none or no such number is given.

    It may stand behind the pixels, in whatever number of pieces these come.
    """

    def step(at: tf.Tensor, exif: tf.Tensor) -> _Found:
        piece = _bytes(encoded, at, 8)
        is_exif = _is(piece[4:], b"eXIf") & (exif == _NOWHERE)
        return at + 12 + _number(piece[:4]), tf.where(is_exif, at + 8, exif)

    _, exif = _walk(encoded, step, _int(8), (_int(_NOWHERE),))

    def orientation() -> tf.Tensor:
        length = _number(_bytes(encoded, exif - 8, 4))
        return _orientation(tf.strings.substr(encoded, exif, length))

    return tf.cond(exif == _NOWHERE, lambda: _int(1), orientation)


def bmp_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """The pixels of a BMP file, int64 (); the height is negative where the top row comes first."""
    head = _bytes(encoded, _int(14), 12)
    width, height = _number(head[7:3:-1]), _number(head[11:7:-1])
    # as unsigned ones: a negative height and its opposite make 2**32
    pixels = width * tf.minimum(height, 2**32 - height)
    # a shorter header, which `decode_bmp` refuses, has other fields there
    return tf.where(_number(head[3::-1]) < _BMP_HEADER_BYTES, _int(0), pixels)


def gif_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """The pixels of a GIF file, int64 (): of the screen or a frame, whichever is larger.

    The decoder holds all frames, a byte per pixel, where a picture takes several: four frames count
    as one. `tf.int64.max` where the end of the file is not found.
    """
    head = _bytes(encoded, _int(0), 13)
    begin = 13 + _bytes_of_palette(head[10])

    def step(
        at: tf.Tensor, inside: tf.Tensor, width: tf.Tensor, height: tf.Tensor, every: tf.Tensor
    ) -> _Found:
        piece = _bytes(encoded, at, 10)
        first = piece[0]
        is_frame = (inside == 0) & (first == _FRAME)
        is_extension = (inside == 0) & (first == _EXTENSION)
        wide, high = _number(piece[6:4:-1]), _number(piece[8:6:-1])
        after = tf.where(is_frame, at + 11 + _bytes_of_palette(piece[9]), at + 2)
        after = tf.where(is_frame | is_extension, after, _size(encoded))
        after = tf.where(inside == 0, after, at + 1 + first)
        goes_on = tf.where(inside == 0, is_frame | is_extension, first != 0)
        return (
            after,
            tf.cast(goes_on, tf.int64),
            tf.where(is_frame, tf.maximum(width, wide), width),
            tf.where(is_frame, tf.maximum(height, high), height),
            tf.where(is_frame, every + wide * high, every),
        )

    at, _, width, height, every = _walk(encoded, step, begin, (_int(0),) * 4)
    screen = _number(head[7:5:-1]) * _number(head[9:7:-1])
    pixels = tf.maximum(tf.maximum(screen, width * height), every // _FRAMES_LIKE_A_PICTURE)
    return tf.where(at < _size(encoded), _int(tf.int64.max), pixels)


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """The orientation that a block of Exif gives, or 1."""
    named = _is(_bytes(exif, _int(0), 6), b"Exif\0\0")
    exif = tf.strings.substr(exif, tf.where(named, _int(6), _int(0)), _size(exif))
    head = _bytes(exif, _int(0), 8)
    little = _is(head[:4], b"II*\0")
    table = _number(head[4:8], little)
    count = _number(_bytes(exif, table, 2), little)
    entries = tf.io.decode_raw(_part(exif, table + 2, _ENTRY * count), tf.uint8)
    entries = tf.reshape(entries[: tf.size(entries) // _ENTRY * _ENTRY], (-1, _ENTRY))
    # one more, so that there is one
    entries = tf.pad(tf.cast(entries, tf.int64), [[0, 1], [0, 0]])
    is_it = _number(entries[:, :2], little) == _ORIENTATION_TAG
    entry = entries[tf.argmax(tf.cast(is_it, tf.int32))]
    kind, numbers = _number(entry[2:4], little), _number(entry[4:8], little)
    short, long = _number(entry[8:10], little), _number(entry[8:12], little)
    value = tf.where(_among(kind, _SHORT), short, tf.where(_among(kind, _LONG), long, _int(0)))
    is_table = little | _is(head[:4], b"MM\0*")
    sound = is_table & tf.reduce_any(is_it) & (numbers == 1) & (value >= 1) & (value <= 8)
    return tf.where(sound, value, _int(1))


def _walk(
    encoded: tf.Tensor, step: Callable[..., _Found], start: tf.Tensor, found: _Found
) -> _Found:
    """Follow a chain of pieces to the end of a file.

    Args:
        encoded: The file.
        step: From the place of a piece and what was found to the next place, and the same.
        start: The first place.
        found: Before that, int64 () each.

    Returns:
        The last place, short of the end only where there are too many pieces; and what was found.
    """
    end = _size(encoded)
    _, *rest = tf.while_loop(
        lambda steps, at, *_: (at < end) & (steps < _MOST_STEPS),
        lambda steps, at, *found: (steps + 1, *step(at, *found)),
        (tf.constant(0), start, *found),
    )
    return tuple(rest)


def _int(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _size(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(text), tf.int64)


def _part(text: tf.Tensor, at: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(text, tf.minimum(at, _size(text)), count)


def _bytes(text: tf.Tensor, at: tf.Tensor, count: int) -> tf.Tensor:
    """Int64 (count,); 0 beyond the end."""
    piece = _part(text, at, _int(count))
    return tf.cast(tf.io.decode_raw(piece, tf.uint8, fixed_length=count), tf.int64)


def _number(values: tf.Tensor, little: tf.Tensor | None = None) -> tf.Tensor:
    """Bytes (..., n) as unsigned numbers (...), the highest first unless `little`."""
    weights = 256 ** np.arange(values.shape[-1], dtype=np.int64)[::-1]
    if little is not None:
        return tf.reduce_sum(values * tf.where(little, weights[::-1], weights), axis=-1)
    return tf.reduce_sum(values * weights, axis=-1)


def _is(values: tf.Tensor, text: bytes) -> tf.Tensor:
    return tf.reduce_all(values == tf.constant(list(text), tf.int64))


def _among(value: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(values, tf.int64))


def _bytes_of_palette(flags: tf.Tensor) -> tf.Tensor:
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(_int(2), flags % 8), _int(0))
