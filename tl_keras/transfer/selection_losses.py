"""What early stopping owes to chance: the loss of validation images that did not choose the epoch.

The best of many epochs looks better on the images that chose it than on any others, and the more
so the more freely a strategy fits; a linear probe, which has no epochs, gains nothing that way.
Strategies can be compared on validation images only after that is taken out.
"""

import numpy as np

HALVINGS = 20


def cross_fitted_losses(epoch_losses: np.ndarray, seed: int = 0) -> np.ndarray:
    """The loss of each image at the epoch that other images would choose.

    The images are halved at random, each half is read at the epoch with the least mean loss on the
    other half, and that is averaged over `HALVINGS` halvings (cross-fitting, as in Chernozhukov et
    al. 2018, "Double/debiased machine learning"). A half chooses with more noise than all images
    do, so the losses are, if anything, a little high.

    Args:
        epoch_losses: (epochs, images), the loss of every validation image after every epoch.
        seed: of the halvings.

    Returns:
        float64 (images,). With a single image, which has no others, its least loss.
    """
    images = epoch_losses.shape[1]
    losses = np.nan_to_num(epoch_losses.astype(np.float64), nan=np.inf)
    if images == 1:
        return np.asarray(losses.min(axis=0))
    rng, total = np.random.default_rng(seed), np.zeros(images)
    for _ in range(HALVINGS):
        order = rng.permutation(images)
        halves = order[: images // 2], order[images // 2 :]
        for read, choosing in (halves, halves[::-1]):
            total[read] += losses[losses[:, choosing].mean(axis=1).argmin(), read]
    return total / HALVINGS
