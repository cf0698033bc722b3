"""Small pictures inside a page, so that it needs no other file."""

import io
import os
from typing import cast

from PIL import Image, ImageOps

from tl_keras.data.picture_bytes import opened, readable_bytes, refuse_larger
from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.reporting.pages import jpeg_uri

_QUALITY = 75


def thumbnail(
    path: str | os.PathLike[str], side: int, reading: PictureReading = DEFAULTS
) -> str | None:
    """A picture as a data URI of a JPEG file, as the network sees it.

    Args:
        path: of an image file.
        side: pixels of the longer side, at most.
        reading: how files become pixels.

    Returns:
        None where the file cannot be read.
    """
    try:
        with opened(readable_bytes(path, reading.max_megapixels)) as image:
            refuse_larger(image.size, reading.max_megapixels)
            image.draft("RGB", (side, side))
            small = _eight_bits(image, reading)
            small.thumbnail((side, side))
            buffer = io.BytesIO()
            small.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
    # Damaged files raise anything; the page shows their names all the same.
    except Exception:
        return None
    return jpeg_uri(buffer.getvalue())


def _eight_bits(image: Image.Image, reading: PictureReading) -> Image.Image:
    if image.mode.startswith("I"):
        image = _from_16_bits(image, reading)
    return ImageOps.exif_transpose(image) if reading.turns else image


def _from_16_bits(image: Image.Image, reading: PictureReading) -> Image.Image:
    """Pillow cuts 16-bit gray off at 255."""
    wide = image.convert("I")
    black, white = cast(tuple[int, int], reading.black_and_white or wide.getextrema())
    scale = 255 / max(white - black, 1)
    return wide.point(lambda value: value * scale - black * scale).convert("L")
