"""LogME: how well features would predict labels, without training anything on them.

You et al. 2021, "LogME: Practical assessment of pre-trained models for transfer learning": the
logarithm of the evidence that a Bayesian linear model on the features gives to the labels, at the
prior and noise that give most, per image and mean over classes.
"""

import numpy as np

from tl_keras.transfer.one_thread import one_thread

# The fixed point is reached in a few steps; a guard against one that swings.
MOST_STEPS = 100
TOLERANCE = 1e-4
# Keeps precisions finite where features explain every label, as they do with few images.
TINY = 1e-5


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """The score; larger is better, and only differences mean something.

    Args:
        features: (n, features).
        labels: int (n,).
    """
    with one_thread():
        left, strengths, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    kept = strengths > 1e-6 * strengths.max(initial=0)
    left, squares = left[:, kept], strengths[kept] ** 2
    one_hot = labels[:, None] == np.unique(labels)
    scores = [
        _log_evidence(left.T @ target, squares, float(target @ target), features.shape)
        for target in one_hot.T.astype(np.float64)
    ]
    return float(np.mean(scores))


def _log_evidence(
    projections: np.ndarray, squares: np.ndarray, length: float, shape: tuple[int, ...]
) -> float:
    """Per image, of one target.

    Args:
        projections: of the target on the left singular vectors of the features.
        squares: of their singular values.
        length: squared, of the target.
        shape: of the features.
    """
    count, dimensions = shape
    outside = max(length - float(projections @ projections), 0.0)
    prior = noise = 1.0
    for _ in range(MOST_STEPS):
        ratio = prior / noise
        used = float((squares / (squares + ratio)).sum())
        weights = float((squares * projections**2 / (squares + ratio) ** 2).sum())
        errors = float(((ratio * projections / (squares + ratio)) ** 2).sum()) + outside
        prior, noise = used / (weights + TINY), (count - used) / (errors + TINY)
        if abs(prior / noise - ratio) <= TOLERANCE * ratio:
            break
    determinant = np.log(prior + noise * squares).sum()
    determinant += (dimensions - len(squares)) * np.log(prior)
    evidence = dimensions * np.log(prior) + count * np.log(noise / (2 * np.pi))
    return float(evidence - determinant - noise * errors - prior * weights) / (2 * count)
