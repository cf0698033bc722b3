"""The formats of images that can be read: a row per format. Imports no TensorFlow.

`tl_keras.data.decoding` decodes them: a format of which TensorFlow's `decode_image` knows nothing
needs a decoder there.
"""

from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files.

    Attributes:
        endings: Of file names, in lower case with their dot; new files get the first.
        first_bytes: By which its files are known, whatever their names.
    """

    endings: tuple[str, ...]
    first_bytes: bytes


# By the name that Pillow has for it.
FORMATS: dict[str, ImageFormat] = {
    "JPEG": ImageFormat((".jpg", ".jpeg"), b"\xff\xd8\xff"),
    "PNG": ImageFormat((".png",), b"\x89PNG"),
    "BMP": ImageFormat((".bmp",), b"BM"),
    "GIF": ImageFormat((".gif",), b"GIF8"),
}


def format_by_content(encoded: bytes) -> str | None:
    """The format that a file's first bytes announce, or None."""
    return next(
        (name for name, row in FORMATS.items() if encoded.startswith(row.first_bytes)), None
    )


def format_by_name(path: str | PurePath) -> str | None:
    """The format that a file's ending announces, in any case, or None."""
    ending = PurePath(path).suffix.lower()
    found = (name for name, row in FORMATS.items() if ending in row.endings)
    return next(found, None)


def why_undecodable(encoded: bytes) -> str:
    """Say of a file that TensorFlow cannot decode what it looks like."""
    if not encoded:
        return "empty file"
    known = format_by_content(encoded)
    return f"damaged or cut short {known}" if known else f"no {formats_in_words()} content"


def formats_in_words() -> str:
    """All formats, for a sentence.

    >>> formats_in_words()
    'JPEG, PNG, BMP or GIF'
    """
    *names, last = FORMATS
    return f"{', '.join(names)} or {last}"


def endings_in_words() -> str:
    """All endings of file names, for a sentence.

    >>> endings_in_words()
    '.bmp, .gif, .jpeg, .jpg, .png'
    """
    return ", ".join(sorted(ending for row in FORMATS.values() for ending in row.endings))
