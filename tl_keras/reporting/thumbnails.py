"""Small pictures inside a page, so that it needs no other file."""

import io
import os

from PIL import Image, ImageOps

from tl_keras.data.picture_bytes import MAX_MEGAPIXELS, opened, refuse_larger
from tl_keras.reporting.pages import jpeg_uri

_QUALITY = 75


def thumbnail(
    path: str | os.PathLike[str], side: int, max_megapixels: float = MAX_MEGAPIXELS
) -> str | None:
    """A picture as a data URI of a JPEG file, upright as its EXIF orientation says.

    Args:
        path: of an image file.
        side: pixels of the longer side, at most.
        max_megapixels: of the picture.

    Returns:
        None where the file cannot be read.
    """
    try:
        with opened(path) as image:
            refuse_larger(image.size, max_megapixels)
            image.draft("RGB", (side, side))
            small = _eight_bits(image)
            small.thumbnail((side, side))
            buffer = io.BytesIO()
            small.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
    # Damaged files raise anything; the page shows their names all the same.
    except Exception:
        return None
    return jpeg_uri(buffer.getvalue())


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow cuts 16-bit gray off at 255; here 65535 becomes 255, as in training."""
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return ImageOps.exif_transpose(image)
