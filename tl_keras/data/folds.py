"""Dividing labelled images into folds for cross-validation."""

import numpy as np

from tl_keras.data.splits import Draw

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
    # half a second, which most experiments do not need
    from sklearn.model_selection import StratifiedGroupKFold

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


def fold_draws(
    draw: Draw, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> tuple[Draw, ...]:
    """Divide the labelled images of a draw anew, each held out once.

    Args:
        draw: whose training and validation images are divided.
        labels: int, of all images that the draw refers to.
        groups: of the same images.
        folds: at most, as of `stratified_folds`.
        seed: of the division.

    Returns:
        A draw per fold; the draw itself for a single fold, or where two cannot be made.
    """
    rows = np.sort(np.concatenate([draw.train, draw.validation]))
    divided = stratified_folds(labels[rows], groups[rows], folds, seed)
    return tuple(Draw(rows[train], rows[held_out]) for train, held_out in divided) or (draw,)
