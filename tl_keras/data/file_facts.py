"""What is known of one picture file: of its header by Pillow, and whether it can be decoded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from PIL import Image, TiffImagePlugin

from tl_keras.data.fingerprints import Fingerprint, fingerprint
from tl_keras.data.image_formats import format_by_content, is_served, why_undecodable
from tl_keras.data.picture_bytes import (
    MOST_BYTES,
    PictureFile,
    UnreadableError,
    in_words,
    opened,
    orientation_of,
    readable_bytes,
    refuse_larger,
    refuse_longer,
    stream_of,
    why_unreadable,
)
from tl_keras.data.picture_reading import PictureReading

# What a picture takes while it is looked at, bytes per pixel: of 8 bits, by way of Pillow, of 16.
_PLAIN, _CONVERTED, _DEEP = 8, 16, 32
_BIT_DEPTH_OF_PNG = 24
_SIZE_OF_TIFF, _BITS_PER_SAMPLE_OF_TIFF = (256, 257), 258

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FileFacts:
    """A row of `Audit.images`, without the name; None is not known."""

    bytes: int | None = None
    format: str | None = None
    mode: str | None = None
    width: int | None = None
    height: int | None = None
    exif_orientation: int | None = None
    bit_depth: int | None = None
    has_alpha: bool | None = None
    several_pictures: bool | None = None
    cmyk_unmarked: bool | None = None
    gray: bool | None = None
    gray_levels: int | None = None
    darkest: int | None = None
    brightest: int | None = None
    contrast: int | None = None
    sha256: str | None = None
    error: str | None = None

    @property
    def memory(self) -> int:
        """Bytes that looking at the picture takes; of one whose size is not known, without end."""
        if self.width is None or self.height is None or self.bytes is None:
            return MOST_BYTES
        deep = _DEEP if self.bit_depth == 16 else 0
        each = max(_PLAIN if is_served(self.format) else _CONVERTED, deep)
        return self.bytes + each * self.width * self.height


def look_outside(path: str, max_megapixels: float, most: int) -> tuple[FileFacts, PictureFile]:
    """What is known of a file before its pixels are decoded, whatever it is.

    Args:
        path: Of the file.
        max_megapixels: A larger picture is an error, like anything that cannot be a picture.
        most: Bytes of a file that is kept, so that it is read once.

    Returns:
        The facts, and what `look_inside` reads: the content, or the path of a longer file.
    """
    facts = FileFacts()
    file: PictureFile = path
    # Damaged files raise anything, and one must not keep the others from being looked at.
    try:
        size = Path(path).stat().st_size
        if not Path(path).is_file():
            raise UnreadableError("no regular file")
        facts = FileFacts(bytes=size)
        refuse_longer(size)
        if size <= most:
            file = Path(path).read_bytes()
        with stream_of(file) as stream:
            first = stream.read(_BIT_DEPTH_OF_PNG + 1)
            stream.seek(0)
            facts = replace(facts, sha256=hashlib.file_digest(stream, "sha256").hexdigest())
        name = format_by_content(first)
        if name is None:
            raise UnreadableError(why_undecodable(first))
        facts = replace(facts, format=name)
        facts = _told(lambda: _header(file, facts, first), facts)
        if facts.width is not None and facts.height is not None:
            refuse_larger((facts.width, facts.height), max_megapixels)
    except Exception as error:
        facts = replace(facts, error=in_words(error, facts.format))
    return facts, file


def look_inside(
    file: PictureFile, facts: FileFacts, reading: PictureReading
) -> tuple[FileFacts, Fingerprint | None]:
    """Decode a file, whatever it is.

    Args:
        file: As `look_outside` gave it.
        facts: What it found: no error.
        reading: How it becomes pixels.

    Returns:
        The facts, and the fingerprint, None where they hold an error.
    """
    try:
        found = fingerprint(readable_bytes(file, reading.max_megapixels), reading)
    except Exception:
        return replace(facts, error=why_unreadable(file, reading.max_megapixels)), None
    lowest, highest = found.ends.astype(int)
    return replace(
        facts,
        gray=found.gray,
        gray_levels=found.levels,
        darkest=int(lowest.min()),
        brightest=int(highest.max()),
        contrast=int((highest - lowest).max()),
    ), found


def _header(file: PictureFile, facts: FileFacts, first: bytes) -> FileFacts:
    with opened(file) as image:
        width, height = _size_as_stored(image)
        return replace(
            facts,
            mode=image.mode,
            width=width,
            height=height,
            exif_orientation=orientation_of(image),
            bit_depth=_told(lambda: _bit_depth(image, first), None),
            has_alpha=_told(lambda: bool(image.has_transparency_data), None),
            several_pictures=_told(lambda: bool(getattr(image, "is_animated", False)), None),
            cmyk_unmarked=(image.format, image.mode, "adobe" in image.info)
            == ("JPEG", "CMYK", False),
        )


def _size_as_stored(image: Image.Image) -> tuple[int, int]:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Some versions of Pillow tell the size of the upright picture.
        width, height = (int(image.tag_v2[tag]) for tag in _SIZE_OF_TIFF)
        return width, height
    return image.size


def _bit_depth(image: Image.Image, first: bytes) -> int:
    if image.format == "PNG":
        return 16 if first[_BIT_DEPTH_OF_PNG] == 16 else 8
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 16 if max(image.tag_v2.get(_BITS_PER_SAMPLE_OF_TIFF, (8,))) > 8 else 8
    return 8


def _told(ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """What a header says; damaged ones raise anything."""
    try:
        return ask()
    except Exception:
        return otherwise
