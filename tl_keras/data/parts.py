"""Parts of a draw: fewer training images, for a learning curve."""

import numpy as np
from numpy.typing import NDArray

from tl_keras.data.group_choice import random_order
from tl_keras.data.splits import Draw

# Of the training images of every class, beside all of them.
SHARES = (0.125, 0.25, 0.5)
# Cross-validation needs two images of every class.
LEAST_PER_CLASS = 2
# First word of the seeds; smaller ones belong to the splits and folds.
_PARTS = 6


def parts_of(
    draw: Draw, labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> dict[int, Draw]:
    """The draw with an eighth, a quarter and a half of its training images of every class.

    Smaller parts lie inside larger ones, groups are kept together as far as the numbers allow, and
    the validation images stay. A part in which a class has fewer than two images is left out.

    Args:
        draw: to take parts of.
        labels: `(n,)`, class index of every image of the table.
        groups: `(n,)`, number of the group of every image of the table.
        seed: of the choice.

    Returns:
        By training images per class, the mean over classes rounded to a whole number.
    """
    own = groups[draw.train]
    _, number = np.unique(own, return_inverse=True)
    rank = np.argsort(random_order(number.max() + 1, _PARTS, seed))
    ordered = draw.train[np.argsort(rank[number], kind="stable")]
    classes = [ordered[labels[ordered] == index] for index in np.unique(labels[ordered])]
    parts = {}
    for share in SHARES:
        counts = [int(share * len(rows) + 0.5) for rows in classes]
        if min(counts) >= LEAST_PER_CLASS:
            chosen = [rows[:count] for rows, count in zip(classes, counts, strict=True)]
            train = np.sort(np.concatenate(chosen))
            parts[round(len(train) / len(classes))] = Draw(train, draw.validation)
    return parts
