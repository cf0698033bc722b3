"""Picture files as pixels: the same, and the same refusals, as those that the network learned from.

Pillow's decoders unpack what is packed. All around them is done in this folder as training does it:
headers, 16 bits, inverted CMYK, palettes, alpha, GIF, BMP, the EXIF turn. TIFF and WebP are read as
`tl-keras predict` reads them.
"""

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .bmp_files import decode_bmp
from .file_headers import jpeg_header, png_orientation
from .gif_files import decode_gif
from .png_files import decode_png
from .unpacking import NoPictureError, Pixels, Reading, channels_of, check_size, unpacked

# No file of a picture is larger.
_MOST_BYTES = 2**31
_RANGES = {"full": (0, 65535), "12_bit": (0, 4095)}
_ORIENTATION, _PHOTOMETRIC = 0x0112, 262
# Orientations for which rows become columns, and those that are mirrored once that is done.
_TURNED, _UPSIDE_DOWN, _MIRRORED = 5, (3, 4, 7, 8), (2, 3, 6, 7)
_TURNED_BACK = {6: 8, 8: 6}
_END_OF_JPEG = b"\xff\xd9"
# By numbers of a pixel; inks as they are stored.
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_GRAY = ("1", "L", "LA", "La")
_FOUND_BY = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG"),
    ("BMP", rb"BM"),
    ("GIF", rb"GIF8"),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
    ("WEBP", rb"RIFF.{4}WEBP"),
)


def decode(encoded: bytes, reading: Reading) -> NDArray[np.uint8]:
    """The pixels of a file, (height, width, 3), RGB, or of a gray one (height, width, 1), 0..255.

    Args:
        encoded: The file.
        reading: How: "exif_rotation", "range_16_bit" and "max_megapixels".

    Raises:
        NoPictureError: It cannot be decoded, or is larger than is allowed.
    """
    if not encoded:
        raise NoPictureError("empty file")
    if len(encoded) > _MOST_BYTES:
        raise NoPictureError("a file of more than 2 GB")
    name = next((n for n, first in _FOUND_BY if re.match(first, encoded[:12], re.DOTALL)), None)
    if name is None:
        raise NoPictureError("no JPEG, PNG, BMP, GIF, TIFF or WEBP content")
    # Damaged files raise anything.
    try:
        image = _DECODERS[name](encoded, reading)
        if not image.size:
            raise NoPictureError(f"{name} without pixels")
        if image.dtype == np.uint16:
            image = _eight_bits(image, reading["range_16_bit"])
        return image
    except NoPictureError:
        raise
    except MemoryError as error:
        raise NoPictureError("too large for the memory") from error
    except Exception as error:
        raise NoPictureError(_why(name)) from error


def _why(name: str) -> str:
    if name in ("TIFF", "WEBP"):
        return f"damaged {name}, or of a kind that is not read: save it anew, as PNG"
    return f"damaged or cut short {name}"


def _jpeg(encoded: bytes, reading: Reading) -> Pixels:
    header = jpeg_header(encoded)
    check_size(header.pixels, reading)
    mode = _JPEG_MODES.get(header.channels)
    if mode is None or encoded.rfind(_END_OF_JPEG, header.end) < 0:
        raise NoPictureError("damaged or cut short JPEG")
    colours = unpacked(mode, header.width, header.height, encoded, "jpeg", mode, "")
    if mode == "CMYK":
        # Adobe's inks are inverted
        light = (colours if header.adobe else 255 - colours).astype(np.uint16)
        colours = (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
    return _upright(colours, header.orientation, reading)


def _png(encoded: bytes, reading: Reading) -> Pixels:
    return _upright(decode_png(encoded, reading), png_orientation(encoded), reading)


def _other(encoded: bytes, reading: Reading) -> Pixels:
    """TIFF or WebP: gray of 8 or 16 bits, or RGB of 8."""
    name = "WEBP" if encoded.startswith(b"RIFF") else "TIFF"
    Image.init()
    open_format, _ = Image.OPEN[name]
    # without Pillow's remarks on what it does without
    with warnings.catch_warnings(action="ignore"), open_format(io.BytesIO(encoded), "") as image:
        check_size(image.width * image.height, reading)
        tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
        inverted = image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0
        if image.mode in ("I", "F") or inverted:
            raise NoPictureError("32 bits, decimals or an inverted scale: save it with 8 or 16")
        orientation = _orientation_of(image)
        image.load()
        if image.mode.startswith("I;16"):
            pixels = np.asarray(image).astype(np.uint16)[..., np.newaxis]
        else:
            pixels = channels_of(image.convert("L" if image.mode in _GRAY else "RGB"))
    if name == "WEBP":
        return _upright(pixels, orientation, reading)
    # Pillow has turned it
    back = _TURNED_BACK.get(orientation, orientation)
    return pixels if reading["exif_rotation"] == "apply" else _turned(pixels, back)


def _orientation_of(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_DECODERS: dict[str, Callable[[bytes, Reading], Pixels]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "BMP": decode_bmp,
    "GIF": decode_gif,
    "TIFF": _other,
    "WEBP": _other,
}


def _eight_bits(wide: Pixels, named: Any) -> NDArray[np.uint8]:
    """Values of 16 bits from black to white as 0 to 255, rounded; what lies beyond is cut off."""
    own = (wide.min(), wide.max())
    black, white = map(
        int, {**_RANGES, "per_file": own}[named] if isinstance(named, str) else named
    )
    span = max(white - black, 1)
    above = np.clip(wide.astype(np.int32), black, white) - black
    return ((2 * 255 * above + span) // (2 * span)).astype(np.uint8)


def _upright(image: Pixels, orientation: int, reading: Reading) -> Pixels:
    return _turned(image, orientation) if reading["exif_rotation"] == "apply" else image


def _turned(image: Pixels, orientation: int) -> Pixels:
    """Turned and mirrored as an EXIF orientation, 1..8, says."""
    if orientation >= _TURNED:
        image = image.transpose(1, 0, 2)
    return image[
        :: -1 if orientation in _UPSIDE_DOWN else 1, :: -1 if orientation in _MIRRORED else 1
    ]
