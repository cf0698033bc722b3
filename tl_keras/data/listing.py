"""What a source of images lists, before it becomes an `ImageTable`."""

from collections.abc import Iterable
from dataclasses import dataclass

FORMAT_OF_SUFFIX = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
}
SPLIT_OF_NAME = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}

_FORMAT_OF_FIRST_BYTES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
}


@dataclass(frozen=True)
class ListedImage:
    """One picture: its id, absolute path and label, and what the source says beyond that."""

    image_id: str
    path: str
    label: str
    group: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class IgnoredFile:
    """A file or folder of the source that is not used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """All that a source holds. `notice` is to be shown wherever figures of it are."""

    images: tuple[ListedImage, ...]
    ignored: tuple[IgnoredFile, ...] = ()
    notice: str | None = None


def format_of(encoded: bytes) -> str | None:
    """Name the format that a file's first bytes announce: BMP, GIF, JPEG, PNG or None."""
    return next(
        (name for magic, name in _FORMAT_OF_FIRST_BYTES.items() if encoded.startswith(magic)), None
    )


def why_undecodable(encoded: bytes) -> str:
    """Say of a file that TensorFlow cannot decode what it looks like."""
    if not encoded:
        return "empty file"
    known = format_of(encoded)
    return f"damaged or cut short {known}" if known else "no JPEG, PNG, BMP or GIF content"


def some_of(names: Iterable[str], limit: int = 10) -> str:
    """Join the first names for a message and say how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
