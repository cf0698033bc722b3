"""What is wrong with the images, found before anything is trained on them.

A picture counts as readable when `tl_keras.data.decoding` decodes it, so that what passes here is
what training and serving can read. Headers are read by Pillow.
"""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image, UnidentifiedImageError

from tl_keras.data.findings import Finding, find_all
from tl_keras.data.listing import format_of, some_of
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Splits
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
            stored), exif_orientation (1 is upright), bit_depth, has_alpha, sha256, error (None
            where the image can be decoded). What the header does not say is missing.
        findings: Warnings, the graver ones first.
        table: The images that can be used.
        left_out: Number of unreadable images that `table` lacks.
    """

    images: pd.DataFrame
    findings: tuple[Finding, ...]
    table: ImageTable
    left_out: int


def audit(
    table: ImageTable,
    *,
    image_size: int,
    skip_unreadable: bool,
    resize: "ResizeMode" = "stretch",
) -> Audit:
    """Read and decode every image once.

    Args:
        table: The images.
        image_size: Side of the network's input, pixels.
        skip_unreadable: Leave unreadable images out instead of stopping.
        resize: How pictures that are not square reach the input.

    Raises:
        DataError: if images are unreadable and are not to be skipped, or none of a class is left.
    """
    images = _facts(table)
    broken = images["error"].notna().to_numpy(bool)
    if broken.any() and not skip_unreadable:
        raise DataError(_unreadable(images[broken]))
    readable = replace(table, frame=table.frame[~broken].reset_index(drop=True))
    _check_classes_left(table, readable)
    findings = find_all(images, readable, image_size, resize)
    return Audit(images, findings, readable, int(broken.sum()))


def duplicates_across_splits(checked: Audit, splits: Splits) -> Finding | None:
    """Find pictures that lie on two sides of a split, byte for byte the same.

    Args:
        checked: The audit whose `table` was split.
        splits: The splits.

    Returns:
        A finding with all copies that lie on different sides in some run, or None.
    """
    sha256 = checked.images.set_index("image_id")["sha256"]
    frame = checked.table.frame
    digests = frame["image_id"].map(sha256)
    crossing: set[int] = set()
    for (seed, _), draw in splits.draws.items():
        parts = (splits.test_of(seed), draw.train, draw.validation)
        side = pd.concat([pd.Series(number, positions) for number, positions in enumerate(parts)])
        sides = side.groupby(digests.loc[side.index]).transform("nunique")
        crossing.update(side.index[sides > 1])
    if not crossing:
        return None
    names = tuple(frame["image_id"].iloc[sorted(crossing)])
    message = (
        f"{len(names)} images have an exact copy on another side of the split, which makes the "
        f"test look easier than it is: {some_of(names, 3)}. Remove the copies."
    )
    return Finding("duplicates_across_splits", message, names)


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
    sha256: str | None = None
    error: str | None = None


def _facts(table: ImageTable) -> pd.DataFrame:
    # Decoding and hashing release Python's lock.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        facts = list(threads.map(_read, table.frame["path"]))
    images = pd.DataFrame([asdict(fact) for fact in facts])
    whole = ["bytes", "width", "height", "exif_orientation", "bit_depth"]
    images = images.astype(dict.fromkeys(whole, "Int64") | {"has_alpha": "boolean"})
    images.insert(0, "image_id", table.frame["image_id"].to_numpy())
    return images


def _read(path: str) -> _Facts:
    try:
        encoded = Path(path).read_bytes()
    except OSError as error:
        return _Facts(error=error.strerror or "cannot be opened")
    facts = replace(
        _header(encoded), bytes=len(encoded), sha256=hashlib.sha256(encoded).hexdigest()
    )
    return replace(facts, error=_decoding_error(encoded))


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
        return _Facts(format=format_of(encoded))


def _decoding_error(encoded: bytes) -> str | None:
    import tensorflow as tf

    if not encoded:
        return "empty file"
    try:
        with tf.device("CPU:0"):
            _decoder()(tf.constant(encoded))
    # TensorFlow quotes some files in its message, which then is no text that Python can read.
    except (tf.errors.OpError, UnicodeDecodeError):
        known = format_of(encoded)
        return f"damaged or cut short {known}" if known else "no JPEG, PNG, BMP or GIF content"
    return None


@cache
def _decoder() -> Any:
    import tensorflow as tf

    from tl_keras.data.decoding import decode_image

    # Traced once: step by step, the branches of small files cost more than decoding them.
    return tf.function(decode_image, input_signature=[tf.TensorSpec((), tf.string)])


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
