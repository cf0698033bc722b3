"""Dividing labelled images into folds for cross-validation."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

# Divisions to try for one that leaves every class on the training side.
ATTEMPTS = 20


def stratified_folds(
    labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds that keep groups whole and classes in proportion.

    Args:
        labels: int (n,).
        groups: (n,); images of one group are never on both sides.
        folds: at most; never more than the groups of the class with the fewest.
        seed: of the division.

    Returns:
        Per fold the positions of its training and its held-out images, in ascending order; none
        where groups are too few for two folds whose training sides have every class.
    """
    classes = np.unique(labels)
    rarest = min(len(np.unique(groups[labels == label])) for label in classes)
    if (count := min(folds, rarest)) < 2:
        return []
    for attempt in range(ATTEMPTS):
        division = StratifiedGroupKFold(count, shuffle=True, random_state=seed + 1000 * attempt)
        found = list(division.split(labels, labels, groups))
        # Groups with images of several classes may leave a class to one side.
        if all(len(np.unique(labels[train])) == len(classes) for train, _ in found):
            return found
    return []
