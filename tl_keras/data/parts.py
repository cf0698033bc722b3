"""Parts of a draw: fewer training images, for a learning curve."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tl_keras.data.group_choice import random_order
from tl_keras.data.splits import Draw
from tl_keras.data.test_split import Positions

# Of the training images of every class, beside all of them.
SHARES = (0.125, 0.25, 0.5)
# Cross-validation needs two images of every class.
LEAST_PER_CLASS = 2
# First word of the seeds; smaller ones belong to the splits and folds.
_PARTS = 6


def parts_of(
    draw: Draw, labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> dict[int, Draw]:
    """The draw with an eighth, a quarter and a half of its images of every class.

    They are parts of the training images and of the validation images, as of somebody who has as
    many fewer labels. Smaller parts lie inside larger ones, and groups are kept together as far as
    the numbers allow. A part in which a class has fewer than two training images is left out; one
    validation image of a class is left at least.

    Args:
        draw: to take parts of.
        labels: `(n,)`, class index of every image of the table.
        groups: `(n,)`, number of the group of every image of the table.
        seed: of the choice.

    Returns:
        By training images per class, the mean over classes rounded to a whole number.
    """
    train, validation = (_by_class(rows, labels, groups, seed) for rows in vars(draw).values())
    parts = {}
    for share in SHARES:
        if min(_count(rows, share) for rows in train) >= LEAST_PER_CLASS:
            part = Draw(_part(train, share), _part(validation, share))
            parts[round(len(part.train) / len(train))] = part
    return parts


def _by_class(
    rows: Positions, labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> list[Positions]:
    """Positions of each class, groups together, in a random order."""
    if not len(rows):
        return []
    _, number = np.unique(groups[rows], return_inverse=True)
    rank = np.argsort(random_order(number.max() + 1, _PARTS, seed))
    ordered = rows[np.argsort(rank[number], kind="stable")]
    return [ordered[labels[ordered] == index] for index in np.unique(labels[ordered])]


def _part(classes: Sequence[Positions], share: float) -> Positions:
    chosen = [rows[: max(1, _count(rows, share))] for rows in classes]
    return np.sort(np.concatenate([np.array([], np.intp), *chosen]))


def _count(rows: Positions, share: float) -> int:
    return int(share * len(rows) + 0.5)
