"""Do maps of what a classifier looks at depend on what it has learned?"""

import numpy as np
from scipy.stats import rankdata

from tl_keras.models.grad_cam import GradCam


def randomisation_check(
    cam: GradCam,
    images: np.ndarray,
    class_indices: np.ndarray,
    *,
    seed: int = 0,
    repeats: int = 5,
) -> np.ndarray:
    """How far the maps depend on what was learned (Adebayo et al. 2018, arXiv:1810.03292).

    Compares the evidence with that of the same network with shuffled weights; the classifier itself
    stays as it is. Before the negative part is cut off, as a map says nothing about its order.

    Args:
        cam: of the classifier.
        images: as of `GradCam.maps`.
        class_indices: as of `GradCam.maps`.
        seed: of the shuffled weights.
        repeats: networks with shuffled weights. The sign of what one of them reads is an accident
            that all images share, so that a single one may be far from 0 on every image.

    Returns:
        (repeats, n) Spearman correlations, -1..1. With a mean near 0 the maps show what was
        learned; near 1 they would be the same without it.
    """
    own = cam.evidence(images, class_indices)
    shuffled = (cam.shuffled_weights(seed + repeat) for repeat in range(repeats))
    return np.stack(
        [rank_correlations(own, cam.evidence(images, class_indices, ws)) for ws in shuffled]
    )


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman correlation of maps (n, height, width) with others, image by image: (n,), -1..1.

    A flat map puts the pixels in no order: its correlation with any other is 0.
    """
    # SciPy 1.18 ranks float32 in float32, whose sums of squares are rounded
    flat = [maps.reshape(len(maps), -1).astype(np.float64) for maps in (first, second)]
    ranks = [rankdata(rows, axis=1) for rows in flat]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    products = np.sum(centred[0] * centred[1], axis=1)
    scale = np.prod([np.linalg.norm(rank, axis=1) for rank in centred], axis=0)
    return np.divide(products, scale, out=np.zeros(len(first)), where=scale > 0)
