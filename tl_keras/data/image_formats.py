"""The formats of images that can be read: a row per format. Imports no TensorFlow.

`tl_keras.data.decoding` decodes those that are served, inside an exported model too: one of which
TensorFlow's `decode_image` knows nothing needs a decoder there. The others are read by Pillow and
handed on as PNG, see `tl_keras.data.picture_bytes`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes:
        endings: Of file names, in lower case with their dot; new files get the first.
        first_bytes: By which its files are known, whatever their names: of a served format these
            bytes themselves, else a regular expression of them.
        served: Whether an exported model takes it as it is.
    """

    endings: tuple[str, ...]
    first_bytes: bytes
    served: bool = True


# By the name that Pillow has for it.
FORMATS: dict[str, ImageFormat] = {
    "JPEG": ImageFormat((".jpg", ".jpeg", ".jpe", ".jfif"), b"\xff\xd8\xff"),
    "PNG": ImageFormat((".png",), b"\x89PNG"),
    "BMP": ImageFormat((".bmp",), b"BM"),
    "GIF": ImageFormat((".gif",), b"GIF8"),
    "TIFF": ImageFormat((".tif", ".tiff"), rb"II[*+]\0|MM\0[*+]", served=False),
    "WEBP": ImageFormat((".webp",), rb"RIFF.{4}WEBP", served=False),
}
# A file's format is known from so many of its first bytes.
FIRST_BYTES = 12


def format_by_content(encoded: bytes) -> str | None:
    """The format that a file's first bytes announce, or None."""
    return next((name for name, row in FORMATS.items() if _begins(encoded, row)), None)


def _begins(encoded: bytes, row: ImageFormat) -> bool:
    if row.served:
        return encoded.startswith(row.first_bytes)
    return re.match(row.first_bytes, encoded[:FIRST_BYTES], re.DOTALL) is not None


def format_by_name(path: str | PurePath) -> str | None:
    """The format that a file's ending announces, in any case, or None."""
    ending = PurePath(path).suffix.lower()
    found = (name for name, row in FORMATS.items() if ending in row.endings)
    return next(found, None)


def is_served(name: str | None) -> bool:
    """Whether an exported model takes files of this format as they are; None is no format."""
    return name is not None and FORMATS[name].served


def why_undecodable(encoded: bytes, *, served: bool = False) -> str:
    """Say what a file that cannot be decoded looks like, by its first bytes.

    Args:
        encoded: The file.
        served: Whether it was sent to an exported model, which takes fewer formats.
    """
    if not encoded:
        return "empty file"
    known, takes = format_by_content(encoded), served_in_words() if served else formats_in_words()
    if known is None:
        return f"no {takes} content"
    if served and not is_served(known):
        return f"{known} content, where an exported model takes {takes}: save it as PNG"
    return f"damaged or cut short {known}"


def formats_in_words() -> str:
    """All formats, for a sentence.

    >>> formats_in_words()
    'JPEG, PNG, BMP, GIF, TIFF or WEBP'
    """
    return _listed(FORMATS)


def served_in_words() -> str:
    """Those that an exported model takes, for a sentence.

    >>> served_in_words()
    'JPEG, PNG, BMP or GIF'
    """
    return _listed(filter(is_served, FORMATS))


def endings_in_words() -> str:
    """All endings of file names, for a sentence.

    >>> endings_in_words()
    '.bmp, .gif, .jfif, .jpe, .jpeg, .jpg, .png, .tif, .tiff, .webp'
    """
    return ", ".join(sorted(ending for row in FORMATS.values() for ending in row.endings))


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"
