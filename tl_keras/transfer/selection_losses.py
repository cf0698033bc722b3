"""What early stopping owes to chance: the loss of validation images that did not choose the epoch.

The best of many epochs looks better on the images that chose it than on any others, and the more
so the more freely a strategy fits; a linear probe, which has no epochs, gains nothing that way.
Strategies can be compared on validation images only after that is taken out.
"""

import numpy as np
import pandas as pd

HALVINGS = 20


def cross_fitted_losses(
    epoch_losses: np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """The loss of each image at the epoch that images of other groups would choose.

    The groups are halved at random, each half is read at the epoch with the least mean loss on the
    other half, and that is averaged over `HALVINGS` halvings (cross-fitting, as in Chernozhukov et
    al. 2018, "Double/debiased machine learning"). A half chooses with more noise than all images
    do, so the losses are, if anything, a little high.

    Args:
        epoch_losses: (epochs, images), the loss of every validation image after every epoch.
        groups: (images,), the group of each (crops of one picture), which lies in one half whole;
            None where each is its own.
        seed: of the halvings.

    Returns:
        float64 (images,). With a single group, which has no others, the losses at its best epoch.
    """
    losses = np.nan_to_num(epoch_losses.astype(np.float64), nan=np.inf)
    members = _members(np.arange(losses.shape[1]) if groups is None else groups)
    if len(members) == 1:
        return np.asarray(losses[losses.mean(axis=1).argmin()])
    rng, total = np.random.default_rng(seed), np.zeros(losses.shape[1])
    middle = len(members) // 2
    for _ in range(HALVINGS):
        order = rng.permutation(len(members))
        halves = [
            np.concatenate([members[group] for group in half])
            for half in (order[:middle], order[middle:])
        ]
        for read, choosing in (halves, halves[::-1]):
            total[read] += losses[losses[:, choosing].mean(axis=1).argmin(), read]
    return total / HALVINGS


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """Positions of the images of each group, the groups in the order of their first images."""
    number = pd.factorize(groups)[0]
    by_group = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    return list(by_group)
