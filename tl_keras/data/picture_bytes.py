"""The bytes of a picture file as the decoding graph takes them, and why a file has none.

JPEG, PNG, BMP and GIF are handed on as they are; the other formats become PNG, without loss, by
Pillow. Imports no TensorFlow.
"""

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from tl_keras.config.schema import MAX_MEGAPIXELS
from tl_keras.data.image_formats import (
    FIRST_BYTES,
    format_by_content,
    is_served,
    why_undecodable,
)
from tl_keras.errors import DataError
from tl_keras.quiet import no_standard_error
from tl_keras.shared_block import SharedBlock

# No file of a picture is larger; it would fill the memory.
MOST_BYTES = 2**31
_ORIENTATION = 0x0112
_PHOTOMETRIC = 262
_GRAY = ("1", "L", "LA", "La")
# Pillow turns a TIFF upright while it loads it; this turns it back.
_AS_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


PictureFile = str | os.PathLike[str] | bytes


class UnreadableError(DataError):
    """One file that cannot be read; the message is the reason, for brackets behind its name."""


def readable_bytes(file: PictureFile, max_megapixels: float = MAX_MEGAPIXELS) -> bytes:
    """The bytes of a file that `decode_image` takes.

    Of a TIFF or WebP file, those of a PNG with the first page or frame: gray of 8 or 16 bits, or
    RGB of 8; palettes, CMYK, YCbCr and LAB become RGB, alpha is dropped. Its orientation is that of
    the file, in an eXIf chunk right after the header. Anything else is handed on as it is, whether
    it can be decoded or not.

    Args:
        file: Path, or the bytes of the file.
        max_megapixels: No larger picture is made PNG.

    Raises:
        OSError: The file cannot be opened.
        UnreadableError: It is a TIFF or WebP that cannot be read, or too large for any picture.
    """
    encoded = _content(file)
    name = format_by_content(encoded)
    if name is None or is_served(name):
        return encoded
    # Damaged files raise anything.
    try:
        with opened(encoded) as image:
            refuse_larger(image.size, max_megapixels)
            return _as_png(image)
    except Exception as error:
        raise UnreadableError(in_words(error, name)) from error


def why_unreadable(file: PictureFile, max_megapixels: float = MAX_MEGAPIXELS) -> str:
    """Say why a file cannot be decoded, for brackets behind its name."""
    name = None
    try:
        encoded = _content(file)
        name = format_by_content(encoded)
        if name is None:
            return why_undecodable(encoded)
        with opened(encoded) as image:
            refuse_larger(image.size, max_megapixels)
            image.load()
        readable_bytes(encoded, max_megapixels)
    except Exception as error:
        return in_words(error, name)
    return _not_read(name)


def stream_of(file: PictureFile) -> io.BytesIO | io.BufferedReader:
    """To be read, and closed, from its first byte."""
    return io.BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb")


@contextmanager
def opened(file: PictureFile) -> Iterator[Image.Image]:
    """A picture of a known format as Pillow opens it: its header is read, its pixels are not.

    The format is that of its first bytes. Pillow's own limit of pixels does not apply, and its
    remarks are kept from the user. Raises anything where the file is damaged.
    """
    with _SILENCE, stream_of(file) as stream:
        first = stream.read(FIRST_BYTES)
        name = format_by_content(first)
        if name is None:
            raise UnreadableError(why_undecodable(first))
        stream.seek(0)
        Image.init()
        open_format, _ = Image.OPEN[name]
        # `Image.open` would do the same, and warn of or refuse large ones, for all threads alike
        with open_format(stream, "") as image:
            yield image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1, upright, also where none or no such number is given."""
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def refuse_larger(size: tuple[int, int], max_megapixels: float) -> None:
    """Refuse a picture by its width and height in pixels, before it fills the memory.

    Raises:
        UnreadableError: It has more megapixels.
    """
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise UnreadableError(
            f"{width:,} x {height:,} pixels, more than data.max_megapixels "
            f"({max_megapixels:g} million)"
        )


def refuse_longer(size: int) -> None:
    """Refuse a file by its length in bytes.

    Raises:
        UnreadableError: It is longer than any picture.
    """
    if size > MOST_BYTES:
        raise UnreadableError("a file of more than 2 GB")


def _content(file: PictureFile) -> bytes:
    if isinstance(file, bytes):
        return file
    refuse_longer(Path(file).stat().st_size)
    return Path(file).read_bytes()


def _as_png(image: Image.Image) -> bytes:
    _refuse_numbers(image)
    orientation = orientation_of(image)
    image.load()
    plain = _plain(image)
    if image.format == "TIFF" and orientation in _AS_STORED:
        plain = plain.transpose(_AS_STORED[orientation])
    # Profiles and colours that are clear say nothing here, and some would stop the writing.
    plain.info = {}
    buffer = io.BytesIO()
    # It is read at once: packing it well would be no gain.
    exif = _exif(orientation) if orientation > 1 else b""
    plain.save(buffer, "PNG", compress_level=1, exif=exif)
    return buffer.getvalue()


def _refuse_numbers(image: Image.Image) -> None:
    """Refuse pixels of which it is not said, or not by Pillow, what is black and what is white."""
    if image.mode in ("I", "F"):
        raise UnreadableError("32-bit, signed or decimal numbers: save it with 8 or 16 bits")
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    # Pillow turns it round with 8 bits only.
    if image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0:
        raise UnreadableError("16 bits whose 0 is white: save it with 0 for black")


def _plain(image: Image.Image) -> Image.Image:
    """Gray of 8 or 16 bits, or RGB."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    mode = "L" if image.mode in _GRAY else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _exif(orientation: int) -> bytes:
    """EXIF data that says nothing else: one entry, a 16-bit number, in a big-endian table."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def in_words(error: Exception, name: str | None) -> str:
    """Why a file of a format, None where it is not known, cannot be read."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, Image.DecompressionBombError):
        return f"{name} with more pixels than Pillow reads"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be opened: {error.strerror}"
    if name is None:
        return "cannot be read"
    return f"damaged or cut short {name}" if is_served(name) else _not_read(name)


def _not_read(name: str) -> str:
    return f"damaged {name}, or of a kind that is not read: save it anew, as PNG"


@contextmanager
def _without_remarks() -> Iterator[None]:
    with warnings.catch_warnings(), no_standard_error():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


# Pillow's warnings, and what its libraries of formats write, are kept from the user while any
# thread is inside.
_SILENCE = SharedBlock(_without_remarks)
