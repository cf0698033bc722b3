"""Warnings about images that can be used but may not be what they seem."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tl_keras.data.listing import FORMAT_OF_SUFFIX, some_of
from tl_keras.data.sources import ImageTable

if TYPE_CHECKING:
    from tl_keras.data.decoding import ResizeMode

_LARGE, _LONG, _UNEQUAL = 4.0, 2.0, 3.0
_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One warning: a word for its kind, a message for people, and the images it is about."""

    kind: str
    message: str
    image_ids: tuple[str, ...]


def find_all(
    images: pd.DataFrame, table: ImageTable, image_size: int, resize: "ResizeMode"
) -> tuple[Finding, ...]:
    """Collect all findings on single images, the graver ones first.

    Args:
        images: The facts as in `Audit.images`, unreadable ones included.
        table: The readable images.
        image_size: Side of the network's input, pixels.
        resize: How pictures that are not square reach the input.
    """
    facts = images[images["error"].isna()].reset_index(drop=True)
    facts = facts.assign(label=table.frame["label"], path=table.frame["path"])
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _unreadable(images),
        lambda: _duplicates(facts),
        lambda: _imbalance(facts),
        lambda: _large(facts, image_size),
        lambda: _long(facts, resize),
        lambda: _rotated(facts),
        lambda: _converted(facts),
        lambda: _misnamed(facts),
        lambda: _other_files(table),
    )
    return tuple(finding for check in checks for finding in check())


def _finding(kind: str, chosen: pd.DataFrame, message: str) -> Iterator[Finding]:
    """Yield a finding where there are images; `{n}` is their number."""
    if len(chosen):
        names = tuple(chosen["image_id"])
        text = message.format(n=len(names))
        yield Finding(kind, f"{text}: {some_of(names, _EXAMPLES)}.", names)


def _unreadable(images: pd.DataFrame) -> Iterator[Finding]:
    broken = images[images["error"].notna()]
    yield from _finding("unreadable", broken, "{n} unreadable images are left out")


def _duplicates(facts: pd.DataFrame) -> Iterator[Finding]:
    copies = facts[facts.duplicated("sha256", keep=False)].sort_values(["sha256", "image_id"])
    across = copies.groupby("sha256")["label"].transform("nunique") > 1
    yield from _finding(
        "duplicates_across_classes",
        copies[across],
        "{n} images are exact copies with different labels, so some labels are probably wrong",
    )
    yield from _finding(
        "duplicates_within_class", copies[~across], "{n} images are exact copies in one class"
    )


def _imbalance(facts: pd.DataFrame) -> Iterator[Finding]:
    counts = facts["label"].value_counts()
    ratio = counts.max() / counts.min()
    if ratio > _UNEQUAL:
        text = (
            f"Classes are unequal, {ratio:.1f} to 1: {counts.idxmax()} has {counts.max()} images, "
            f"{counts.idxmin()} has {counts.min()}."
        )
        yield Finding("class_imbalance", text, ())


def _large(facts: pd.DataFrame, image_size: int) -> Iterator[Finding]:
    sides = facts[["width", "height"]].min(axis=1)
    factor = sides.median() / image_size
    if pd.notna(factor) and factor > _LARGE:
        yield from _finding(
            "large_pictures",
            facts[sides > _LARGE * image_size],
            f"Pictures shrink by a factor of {factor:.1f} (median) to {image_size} px, so small "
            "defects may vanish; cut out the part that matters or raise backbone.image_size. "
            "{n} large images",
        )


def _long(facts: pd.DataFrame, resize: "ResizeMode") -> Iterator[Finding]:
    outcome = {
        "stretch": "are stretched to a square",
        "crop": "lose their ends",
        "pad": "get wide black borders",
    }[resize]
    sides = facts[["width", "height"]].astype("Float64")
    ratio = sides.max(axis=1) / sides.min(axis=1)
    long = ratio.fillna(1.0) > _LONG
    yield from _finding(
        "aspect_ratio",
        facts[long],
        f"{{n}} images are up to {ratio.max():.1f} times as long as wide and {outcome} "
        f"(data.resize {resize})",
    )


def _rotated(facts: pd.DataFrame) -> Iterator[Finding]:
    yield from _finding(
        "exif_rotation",
        facts[facts["exif_orientation"].fillna(1) > 1],
        "{n} images carry an EXIF rotation, which training and serving ignore alike",
    )


def _converted(facts: pd.DataFrame) -> Iterator[Finding]:
    yield from _finding(
        "alpha", facts[facts["has_alpha"].fillna(False)], "{n} images lose their transparency"
    )
    yield from _finding(
        "sixteen_bit",
        facts[facts["bit_depth"].fillna(8) == 16],
        "{n} images of 16 bits are reduced to 8 bits (65535 becomes 255)",
    )
    gray = facts["mode"].isin(["1", "L", "LA", "I", "I;16", "I;16B"])
    if not gray.all():
        # Gray pictures among coloured ones may give a class away.
        yield from _finding("gray", facts[gray], "{n} images are gray, the others are not")


def _misnamed(facts: pd.DataFrame) -> Iterator[Finding]:
    named = facts["path"].map(lambda path: FORMAT_OF_SUFFIX["." + path.rsplit(".")[-1].lower()])
    wrong = facts["format"].notna() & (facts["format"] != named)
    yield from _finding(
        "wrong_extension", facts[wrong], "{n} images are of another format than their names say"
    )


def _other_files(table: ImageTable) -> Iterator[Finding]:
    ignored = table.ignored
    if len(ignored):
        listed = [f"{row.path} ({row.reason})" for row in ignored.itertuples()]
        text = f"{len(ignored)} other files are not used: {some_of(listed, _EXAMPLES)}."
        yield Finding("other_files", text, ())
