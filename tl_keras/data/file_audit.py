"""What is wrong with the images, found before anything is trained on them.

A picture counts as readable when `tl_keras.data.decoding` decodes it, so that what passes here is
what training and serving can read. Headers are read by Pillow.
"""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image, UnidentifiedImageError

from tl_keras.data.duplicate_groups import duplicate_table
from tl_keras.data.findings import Finding, find_all
from tl_keras.data.fingerprints import Fingerprint, fingerprint
from tl_keras.data.image_formats import format_by_content, why_undecodable
from tl_keras.data.listing import some_of
from tl_keras.data.sources import ImageTable
from tl_keras.errors import DataError

if TYPE_CHECKING:
    from tl_keras.data.decoding import ResizeMode

_EXIF_ORIENTATION = 0x0112
_PNG_BIT_DEPTH_OFFSET = 24


@dataclass(frozen=True)
class Audit:
    """The facts about each image and what they mean.

    Attributes:
        images: One row per image of the table that was given, in its order: image_id, bytes (of
            the file), format (as Pillow names it), mode (Pillow's), width, height (pixels as
            stored), exif_orientation (1 is upright), bit_depth, has_alpha, gray (as decoded),
            sha256, error (None where the image can be decoded). What the header does not say is
            missing.
        findings: Warnings, the graver ones first.
        table: The images that can be used.
        left_out: Number of unreadable images that `table` lacks.
        duplicates: The images that have a copy, as `duplicate_table` gives them.
    """

    images: pd.DataFrame
    findings: tuple[Finding, ...]
    table: ImageTable
    left_out: int
    duplicates: pd.DataFrame


def audit(
    table: ImageTable,
    *,
    image_size: int,
    skip_unreadable: bool,
    resize: "ResizeMode" = "stretch",
) -> Audit:
    """Read and decode every image once, and stop where that cannot be gone on with.

    Args:
        table: The images.
        image_size: Side of the network's input, pixels.
        skip_unreadable: Leave unreadable images out instead of stopping.
        resize: How pictures that are not square reach the input.

    Raises:
        DataError: if images are unreadable and are not to be skipped, or none of a class is left.
    """
    checked = examine(table, image_size=image_size, resize=resize)
    if checked.left_out and not skip_unreadable:
        raise DataError(_unreadable(checked.images[checked.images["error"].notna()]))
    _check_classes_left(table, checked.table)
    return checked


def examine(table: ImageTable, *, image_size: int, resize: "ResizeMode" = "stretch") -> Audit:
    """Read and decode every image once, whatever is found.

    Args:
        table: The images.
        image_size: Side of the network's input, pixels.
        resize: How pictures that are not square reach the input.
    """
    images, fingerprints = _facts(table)
    broken = images["error"].notna().to_numpy(bool)
    readable = replace(table, frame=table.frame[~broken].reset_index(drop=True))
    duplicates = duplicate_table(readable.frame, fingerprints)
    findings = find_all(images, readable, duplicates, image_size, resize)
    return Audit(images, findings, readable, int(broken.sum()), duplicates)


@dataclass(frozen=True)
class _Facts:
    bytes: int | None = None
    format: str | None = None
    mode: str | None = None
    width: int | None = None
    height: int | None = None
    exif_orientation: int | None = None
    bit_depth: int | None = None
    has_alpha: bool | None = None
    gray: bool | None = None
    sha256: str | None = None
    error: str | None = None


def _facts(table: ImageTable) -> tuple[pd.DataFrame, list[Fingerprint]]:
    """Facts on every image, and the fingerprints of those that can be decoded."""
    # Decoding and hashing release Python's lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        read = list(threads.map(_read, table.paths))
    images = pd.DataFrame([asdict(facts) for facts, _ in read])
    whole = ["bytes", "width", "height", "exif_orientation", "bit_depth"]
    images = images.astype(
        dict.fromkeys(whole, "Int64") | dict.fromkeys(["has_alpha", "gray"], "boolean")
    )
    images.insert(0, "image_id", table.frame["image_id"].to_numpy())
    return images, [found for _, found in read if found is not None]


def _read(path: str) -> tuple[_Facts, Fingerprint | None]:
    try:
        encoded = Path(path).read_bytes()
    except OSError as error:
        return _Facts(error=error.strerror or "cannot be opened"), None
    facts = replace(
        _header(encoded), bytes=len(encoded), sha256=hashlib.sha256(encoded).hexdigest()
    )
    found = _decoded(encoded)
    if isinstance(found, str):
        return replace(facts, error=found), None
    return replace(facts, gray=found.gray), found


def _header(encoded: bytes) -> _Facts:
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            wide = image.format == "PNG" and encoded[_PNG_BIT_DEPTH_OFFSET] == 16
            return _Facts(
                # MPO is a JPEG file with further pictures after the first one.
                format="JPEG" if image.format == "MPO" else image.format,
                mode=image.mode,
                width=image.width,
                height=image.height,
                exif_orientation=int(image.getexif().get(_EXIF_ORIENTATION, 1)),
                bit_depth=16 if wide else 8,
                has_alpha=image.has_transparency_data,
            )
    # Damaged headers raise nearly anything; whether the image is usable is decided by decoding.
    except (UnidentifiedImageError, OSError, ValueError, TypeError, SyntaxError, KeyError):
        return _Facts(format=format_by_content(encoded))


def _decoded(encoded: bytes) -> Fingerprint | str:
    """The fingerprint, or why there is none."""
    import tensorflow as tf

    try:
        return fingerprint(encoded)
    # TensorFlow quotes some files in its message, which then is no text that Python can read.
    except (tf.errors.OpError, UnicodeDecodeError):
        return why_undecodable(encoded)


def _unreadable(broken: pd.DataFrame) -> str:
    names = (f"{row.image_id} ({row.error})" for row in broken.itertuples())
    return (
        f"{len(broken)} images cannot be read: {some_of(names)}. Replace or remove them, or set "
        "data.skip_unreadable to true to leave them out."
    )


def _check_classes_left(before: ImageTable, after: ImageTable) -> None:
    lost = sorted(set(before.frame["label"]) - set(after.frame["label"]))
    if lost:
        raise DataError(
            f"every class needs readable images; all images of {some_of(lost)} are unreadable. "
            "Replace them or remove the class."
        )
