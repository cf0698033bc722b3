"""Where images come from: one table of paths and labels, whatever the source."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tl_keras.config.schema import DataConfig
from tl_keras.data.corrections import Correction, corrected, fitting, read_corrections
from tl_keras.data.folder_source import list_folder
from tl_keras.data.group_names import groups_by_pattern
from tl_keras.data.label_spellings import in_words, joined, spellings
from tl_keras.data.listing import ListedImage, Listing, some_of
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.table_source import list_table
from tl_keras.data.tfds_source import list_tfds
from tl_keras.errors import DataError
from tl_keras.invocation import settings

# Listing images loads no TensorFlow.
if TYPE_CHECKING:
    from tl_keras.data.rows import MappedRows


@dataclass(frozen=True)
class ImageTable:
    """All images of an experiment.

    Attributes:
        frame: One row per image, sorted by image_id: image_id (unique, relative to the source,
            separated by /), path (absolute), label, class_index (0..classes-1), group (the
            image_id where nothing is grouped), split ("train", "validation" or "test" where the
            source says it, else None).
        classes: Labels in natural order (class 2 before class 10).
        notice: A sentence to show beside every figure of this source, or None.
        ignored: Files that are not used: path, reason.
        united: Images that share a group because they are copies of each other.
        spellings: Labels that may be one in several spellings, those that belong together.
        corrections: What a person said of some of them, and of pictures that were left out.
        gaps: Ids of those left out that belonged to no group: where they were, the draw of the test
            split has a gap, so that other pictures stay in it or out of it.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    notice: str | None
    ignored: pd.DataFrame
    united: int = 0
    spellings: tuple[tuple[str, ...], ...] = ()
    corrections: tuple[Correction, ...] = ()
    gaps: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def paths(self) -> list[str]:
        """Absolute, of every image."""
        return self.frame["path"].tolist()

    @property
    def labels(self) -> NDArray[np.int64]:
        """(images,), the class index of every image."""
        return self.frame["class_index"].to_numpy(np.int64)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(images,), the number of every image's group, from 0 in the order of the names.

        Divisions into folds follow the order of groups: it is that of the names.
        """
        return np.unique(self.frame["group"].to_numpy(str), return_inverse=True)[1].reshape(-1)

    def decode(
        self, rows: NDArray[np.intp], image_size: int, reading: PictureReading
    ) -> "NDArray[np.uint8] | MappedRows":
        """Decode and resize some of the images, as `load_pictures` does.

        Args:
            rows: Positions of those to decode, each once.
            image_size: Height and width of the result, pixels.
            reading: How files become pixels.

        Returns:
            uint8 (images, image_size, image_size, 3), RGB 0..255; what is not in `rows` is
            undefined and takes no memory.

        Raises:
            DataError: a file cannot be decoded, or the temporary folder has no room.
        """
        from tl_keras.data.pixels import load_pictures

        return load_pictures(self.paths, rows, image_size=image_size, reading=reading)


def load_images(data: DataConfig, *, to_train: bool = True) -> ImageTable:
    """List the images of the configured source; nothing is decoded.

    Args:
        data: The configuration.
        to_train: Whether a classifier is to be trained, which needs two classes with images each.
            Otherwise one is enough, class folders without images are among the ignored files, and
            labels in several spellings are kept apart.

    Raises:
        DataError: if the source is missing, empty or malformed, has too few classes, a label in
            several spellings or a class that is missing from its training images, or
            `group_pattern` or `corrections` do not fit.
    """
    found = _listed(data, to_train)
    listing, corrections = _corrected(found, data)
    images = sorted(listing.images, key=lambda image: image.image_id)
    twins = spellings(image.label for image in images)
    if twins and data.merge_labels is None and (to_train or any(i.split for i in images)):
        _refuse_spellings(images, twins)
    classes = tuple(sorted({image.label for image in images}, key=_natural_order))
    _check_classes(images, classes, 2 if to_train else 1)
    table = _table(images, classes, _groups(images, data.group_pattern), listing)
    if corrections:
        gaps = () if data.group_pattern is not None else _gaps(found.images, listing.images)
        table = replace(table, corrections=corrections, gaps=gaps)
    return table if data.merge_labels is not None else replace(table, spellings=tuple(twins))


def _listed(data: DataConfig, to_train: bool) -> Listing:
    if data.folder is not None:
        return list_folder(data.folder, class_level=data.class_level, skip_empty=not to_train)
    if data.table is not None:
        return list_table(data.table, data.root, data.columns)
    if data.tfds is not None:
        return list_tfds(data.tfds, data.data_dir)
    raise DataError("data must have one of folder, table, tfds; got none.")


def _corrected(listing: Listing, data: DataConfig) -> tuple[Listing, tuple[Correction, ...]]:
    """A source under the labels that count, and what a person said of them."""
    labels = [image.label for image in listing.images]
    names = dict(zip(labels, joined(labels) if data.merge_labels else labels, strict=True))
    images = tuple(replace(image, label=names[image.label]) for image in listing.images)
    listing = replace(listing, images=images)
    if data.corrections is None:
        return listing, ()
    corrections = fitting(read_corrections(data.corrections), images, names)
    return corrected(listing, corrections), corrections


def _gaps(before: Sequence[ListedImage], after: Sequence[ListedImage]) -> tuple[str, ...]:
    left, groups = {image.image_id for image in after}, {image.group for image in after} - {None}
    out = (image for image in before if image.image_id not in left and not image.split)
    return tuple(sorted(image.image_id for image in out if image.group not in groups))


def _table(
    images: list[ListedImage], classes: tuple[str, ...], groups: list[str], listing: Listing
) -> ImageTable:
    index = {label: number for number, label in enumerate(classes)}
    frame = pd.DataFrame(
        {
            "image_id": [image.image_id for image in images],
            "path": [image.path for image in images],
            "label": [image.label for image in images],
            "class_index": [index[image.label] for image in images],
            "group": groups,
            "split": pd.Series([image.split for image in images], dtype=object),
        }
    )
    ignored = pd.DataFrame(
        {
            "path": [file.path for file in listing.ignored],
            "reason": [file.reason for file in listing.ignored],
        }
    )
    return ImageTable(frame, classes, listing.notice, ignored)


def _refuse_spellings(images: list[ListedImage], twins: list[tuple[str, ...]]) -> None:
    of_them = {label for group in twins for label in group}
    count = Counter(image.label for image in images if image.label in of_them)
    raise DataError(
        f"Labels must each have one spelling; {in_words(twins)} differ only in what is easily "
        f"overlooked ({', '.join(str(count[label]) for group in twins for label in group)} "
        f"images). Rename them, or use {settings({'data.merge_labels': True})} to join them under "
        f"the most frequent spelling, {settings({'data.merge_labels': False})} if they are "
        "different classes."
    )


def _natural_order(label: str) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.findall(r"[0-9]+|[^0-9]+", label)
    return [(0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in parts], label


def _check_classes(images: list[ListedImage], classes: tuple[str, ...], least: int) -> None:
    if len(classes) < least:
        raise DataError(
            f"the images must belong to at least two classes; got {len(images)} images of "
            f"{len(classes)} ({some_of(classes) or 'none'}). Add the images of another class."
        )
    if any(image.split for image in images):
        trained = {image.label for image in images if image.split == "train"}
        missing = [label for label in classes if label not in trained]
        if missing:
            raise DataError(
                f"every class must have images in train; {some_of(missing)} has images in "
                "validation or test only. Add training images or remove the class."
            )


def _groups(images: list[ListedImage], pattern: str | None) -> list[str]:
    if pattern is None:
        return [image.group or image.image_id for image in images]
    if any(image.group for image in images):
        raise DataError(
            "data.group_pattern and the table's group column must not both be given. Remove one."
        )
    groups = groups_by_pattern(pattern, [image.image_id for image in images])
    others = [image.image_id for image, g in zip(images, groups, strict=True) if g is None]
    if others:
        raise DataError(
            f'data.group_pattern "{pattern}" must match every image\'s path; it does not match '
            f"{len(others)} of {len(images)}: {some_of(others)}. Widen the pattern."
        )
    return [group for group in groups if group is not None]
