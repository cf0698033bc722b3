"""What is wrong with the images, found before anything is trained on them.

A picture counts as readable when `tl_keras.data.decoding` decodes it, so that what passes here is
what training and serving can read. Headers are read by Pillow.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from threading import Lock

import pandas as pd

from tl_keras.data.duplicate_groups import duplicate_table
from tl_keras.data.file_facts import FileFacts, look_inside, look_outside
from tl_keras.data.findings import Finding, find_all
from tl_keras.data.fingerprints import Fingerprint
from tl_keras.data.listing import some_of
from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.data.sources import ImageTable
from tl_keras.errors import DataError
from tl_keras.invocation import again
from tl_keras.progress import counted

# What the pictures that are decoded side by side take together; larger ones come one by one.
_MEMORY_BYTES = 2**31
_WHOLE = (
    "bytes",
    "width",
    "height",
    "exif_orientation",
    "bit_depth",
    "gray_levels",
    "darkest",
    "brightest",
    "contrast",
)
_YES_OR_NO = ("has_alpha", "several_pictures", "cmyk_unmarked", "gray")


@dataclass(frozen=True)
class Audit:
    """The facts about each image and what they mean.

    Attributes:
        images: One row per image of the table that was given, in its order: image_id, bytes (of
            the file), format (as Pillow names it), mode (Pillow's), width, height (pixels as
            stored), exif_orientation (1 is upright), bit_depth, has_alpha, several_pictures
            (pages or frames), cmyk_unmarked (a JPEG that does not say whether its CMYK is
            inverted), gray (as decoded), gray_levels (different values once decoded, of any
            channel), darkest and brightest (of any channel at 64 x 64 pixels, 0..255), contrast
            (how far these are apart in one channel), sha256, error (None where the image can be
            decoded). What the header does not say is missing.
        findings: Warnings, the graver ones first.
        table: The images that can be used.
        left_out: Number of unreadable images that `table` lacks.
        duplicates: The images that have a copy, as `duplicate_table` gives them.
        reading: How files became pixels.
    """

    images: pd.DataFrame
    findings: tuple[Finding, ...]
    table: ImageTable
    left_out: int
    duplicates: pd.DataFrame
    reading: PictureReading = DEFAULTS


def audit(
    table: ImageTable,
    *,
    image_size: int,
    skip_unreadable: bool,
    reading: PictureReading = DEFAULTS,
) -> Audit:
    """Read and decode every image once, and stop where that cannot be gone on with.

    Args:
        table: The images.
        image_size: Side of the network's input, pixels.
        skip_unreadable: Leave unreadable images out instead of stopping.
        reading: How files become pixels.

    Raises:
        DataError: if images are unreadable and are not to be skipped, or none of a class is left.
    """
    checked = examine(table, image_size=image_size, reading=reading)
    if checked.left_out and not skip_unreadable:
        raise DataError(_unreadable(checked.images[checked.images["error"].notna()]))
    _check_classes_left(table, checked.table)
    return checked


def examine(
    table: ImageTable,
    *,
    image_size: int,
    reading: PictureReading = DEFAULTS,
) -> Audit:
    """Read and decode every image once, whatever is found.

    Args:
        table: The images.
        image_size: Side of the network's input, pixels.
        reading: How files become pixels.
    """
    images, fingerprints = _facts(table, reading)
    broken = images["error"].notna().to_numpy(bool)
    readable = replace(table, frame=table.frame[~broken].reset_index(drop=True))
    duplicates = duplicate_table(readable.frame, fingerprints)
    findings = find_all(images, readable, duplicates, image_size, reading)
    return Audit(images, findings, readable, int(broken.sum()), duplicates, reading)


def _facts(table: ImageTable, reading: PictureReading) -> tuple[pd.DataFrame, list[Fingerprint]]:
    """Facts on every image, and the fingerprints of those that can be decoded."""
    read = _look(table.paths, reading)
    images = pd.DataFrame([asdict(facts) for facts, _ in read])
    images = images.astype(dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_YES_OR_NO, "boolean"))
    images.insert(0, "image_id", table.frame["image_id"].to_numpy())
    return images, [found for _, found in read if found is not None]


def _look(paths: list[str], reading: PictureReading) -> list[tuple[FileFacts, Fingerprint | None]]:
    """Look at all files, several at a time as long as they fit into the memory together."""
    threads = min(8, os.cpu_count() or 1)
    each, alone = _MEMORY_BYTES // threads, Lock()

    def look(path: str) -> tuple[FileFacts, Fingerprint | None]:
        facts, file = look_outside(path, reading.max_megapixels, most=each)
        if facts.error is not None:
            return facts, None
        with alone if facts.memory > each else nullcontext():
            return look_inside(file, facts, reading)

    # Decoding and hashing release Python's lock.
    with ThreadPoolExecutor(threads) as together:
        return list(counted(together.map(look, paths), len(paths), "photos"))


def _unreadable(broken: pd.DataFrame) -> str:
    names = (f"{row.image_id} ({row.error})" for row in broken.itertuples())
    images, them = ("images", "them") if len(broken) > 1 else ("image", "it")
    return (
        f"{len(broken)} {images} cannot be read: {some_of(names)}. Replace or remove {them}, or "
        f"leave {them} out: {again({'data.skip_unreadable': True})}"
    )


def _check_classes_left(before: ImageTable, after: ImageTable) -> None:
    lost = sorted(set(before.frame["label"]) - set(after.frame["label"]))
    if lost:
        raise DataError(
            f"every class needs readable images; all images of {some_of(lost)} are unreadable. "
            "Replace them or remove the class."
        )
