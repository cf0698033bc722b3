"""The test split, and the images that are left to draw training and validation images from."""

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tl_keras.config.schema import DataConfig
from tl_keras.data.group_choice import Counts, Wish, choose_groups, random_order
from tl_keras.data.listing import some_of
from tl_keras.data.sources import ImageTable
from tl_keras.errors import DataError, TooFewImagesError
from tl_keras.invocation import settings

Positions = NDArray[np.intp]
Numbers = NDArray[np.int64]

# First words of the seeds, so that no two choices share their random numbers. The draws of
# `tl_keras.data.splits` begin with larger ones.
_TEST_GROUPS, _TEST_IMAGES = 0, 1


@dataclass(frozen=True)
class Pools:
    """Images of an experiment by what they may be used for, as ascending row positions.

    Attributes:
        test: The test split.
        train: Images to draw from.
        validation: Images to draw validation images from; None where they come out of `train`.
        class_of: (images,), class index of every row.
        group_of: (images,), number of the group of every row.
        labels: Class names.
        united: Images that share a group because they are copies of each other.
        gaps: Positions before which an image was left out.
    """

    test: Positions
    train: Positions
    validation: Positions | None
    class_of: Numbers
    group_of: Numbers
    labels: tuple[str, ...]
    united: int = 0
    gaps: tuple[int, ...] = ()

    def count(self, positions: Positions) -> Counts:
        """Count images per class, (classes,)."""
        return np.bincount(self.class_of[positions], minlength=len(self.labels))

    @property
    def about_copies(self) -> str:
        """What to add to a message on too few groups."""
        if not self.united:
            return ""
        return (
            f" {self.united} images are kept together because they are copies of each other; "
            f"remove the copies, or use {settings({'data.keep_duplicates_together': False})}."
        )

    def groups_at(self, positions: Positions) -> tuple[Numbers, Counts]:
        """Number the groups of some images anew, (images,), and count (groups, classes)."""
        _, number = np.unique(self.group_of[positions], return_inverse=True)
        counts = np.zeros((number.max(initial=-1) + 1, len(self.labels)), np.int64)
        np.add.at(counts, (number, self.class_of[positions]), 1)
        return number, counts

    def first_per_class(self, positions: Positions, most: Counts | None, *seeds: int) -> Positions:
        """Take up to `most` images of each class, in a random order that `most` does not change."""
        if most is None:
            return positions
        shuffled = positions[random_order(len(positions), *seeds)]
        classes = self.class_of[shuffled]
        taken = [shuffled[classes == c][: most[c]] for c in range(len(most))]
        return np.sort(np.concatenate(taken))


def make_pools(table: ImageTable, data: DataConfig) -> Pools:
    """Set the test split aside. It depends on the images and `split_seed`, not on sizes.

    Raises:
        DataError: if a class has no test image or too few groups, or a group lies in several of
            the splits that the source gives.
    """
    pools = pools_of_source(table)
    test, train = (pools.test, pools.train) if len(pools.test) else _split_off_test(pools, data)
    if data.max_test_per_class is not None:
        most = np.full(len(table.classes), data.max_test_per_class)
        test = pools.first_per_class(test, most, _TEST_IMAGES, data.split_seed)
    without = pools.count(test) == 0
    if np.any(without):
        raise TooFewImagesError(
            "every class needs at least one test image; the test split has none of "
            f"{some_of(np.array(table.classes)[without])}. Add test images or remove the class."
        )
    return replace(pools, test=test, train=train)


def pools_of_source(table: ImageTable) -> Pools:
    """The splits that the source gives; without any, all images are there to draw from.

    Raises:
        DataError: if a group lies in several of them.
    """
    frame = table.frame
    part = frame["split"].fillna("").to_numpy()
    given = bool(np.any(part != ""))
    if given:
        _check_source_groups(frame)
    validation = np.flatnonzero(part == "validation")
    return Pools(
        test=np.flatnonzero(part == "test"),
        train=np.flatnonzero(part == "train") if given else np.arange(len(table)),
        validation=validation if len(validation) else None,
        class_of=table.labels,
        # Numbered as they appear in the sorted rows: groups are drawn in this order.
        group_of=pd.factorize(table.groups)[0].astype(np.int64),
        labels=table.classes,
        united=table.united,
        gaps=() if given else tuple(bisect_left(frame["image_id"].tolist(), i) for i in table.gaps),
    )


def _check_source_groups(frame: pd.DataFrame) -> None:
    parts = frame.groupby("group", sort=True)["split"].nunique()
    crossing = parts.index[parts > 1]
    if len(crossing):
        raise DataError(
            "images of one group must lie in one split; the source has the images of "
            f"{len(crossing)} groups in several: {some_of(crossing)}. Correct the source's "
            "splits, leave them out, or change the groups."
        )


def _split_off_test(pools: Pools, data: DataConfig) -> tuple[Positions, Positions]:
    available = pools.count(pools.train)
    wanted = np.floor(data.test_fraction * available + 0.5).astype(np.int64)
    if data.max_test_per_class is not None:
        wanted = np.minimum(wanted, data.max_test_per_class)
    number, counts = pools.groups_at(pools.train)
    ones = np.ones_like(wanted)
    left = 1 if pools.validation is not None else 2
    _check_group_number(pools, counts, 1 + left)
    wish = Wish(np.maximum(wanted, 1), ones, left * ones, left)
    # an empty group in the place of each: the order of the others is as it was
    gaps = [number[:row].max(initial=-1) + 1 for row in pools.gaps]
    with_gaps = np.insert(counts, gaps, 0, axis=0)
    there = np.insert(np.ones(len(counts), bool), gaps, False)
    chosen = choose_groups(with_gaps, wish, _TEST_GROUPS, data.split_seed)[there][number]
    return pools.train[chosen], pools.train[~chosen]


def _check_group_number(pools: Pools, counts: Counts, least: int) -> None:
    groups = np.count_nonzero(counts, axis=0)
    few = (groups < least) & (groups < counts.sum(axis=0))
    if np.any(few):
        named = (f"{pools.labels[c]} ({groups[c]})" for c in np.flatnonzero(few))
        raise TooFewImagesError(
            f"every class must lie in at least {least} groups, which are kept whole, so that "
            f"each part of the split gets one; too few groups: {some_of(named)}. Add images of "
            f"other groups, or group less.{pools.about_copies}"
        )
