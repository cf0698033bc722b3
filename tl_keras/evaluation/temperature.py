"""The temperature that makes probabilities mean what they say, and how it is fitted.

Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks") divides the
logits by one number, so that it needs few images and never changes which class is the most
probable. Its logarithm has a normal prior around 0.
"""

import numpy as np
from numpy.typing import NDArray

# A temperature 1.65 times as high or low is one standard deviation away: some ten images that
# say otherwise outweigh it, and it keeps the temperature finite where every image is right.
PRIOR_DEVIATION = 0.5
# Of the logarithm.
BOUNDS = (-3.0, 3.0)

Floats = NDArray[np.float64]


def tempered_losses(
    log_probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    log_temperature: float,
    shift: Floats | float = 0.0,
) -> Floats:
    """Cross-entropies, (n,), in nats, of softmax(log p / temperature + shift).

    Args:
        log_probabilities: (n, classes), up to a number for each row.
        labels: int (n,), true class indices.
        log_temperature: above 0 makes the probabilities less certain.
        shift: (classes,).
    """
    logits = log_probabilities / np.exp(log_temperature) + shift
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(labels)), labels]
    return np.asarray(np.log(np.exp(logits).sum(axis=1)) - own)


def objective(
    log_probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    evidence: Floats,
    log_temperatures: Floats,
    shift: Floats | float = 0.0,
) -> Floats:
    """What the best temperature makes least: weighted cross-entropy, less the prior's logarithm.

    Args:
        log_probabilities: (n, classes).
        labels: int (n,).
        evidence: (..., n), from 0: how much each image counts, for one fit or several.
        log_temperatures: (k,).
        shift: as of `tempered_losses`.

    Returns:
        (..., k).
    """
    losses = [tempered_losses(log_probabilities, labels, x, shift) for x in log_temperatures]
    return np.asarray(evidence @ np.stack(losses, axis=1)) + log_temperatures**2 / (
        2 * PRIOR_DEVIATION**2
    )


def lowest(values: Floats, places: Floats) -> Floats:
    """Where a parabola through the least value and its two neighbours is lowest.

    Args:
        values: (..., k), k at least 3.
        places: (k,), rising by equal steps, where the values are.

    Returns:
        (...), within the places.
    """
    middle = np.clip(values.argmin(axis=-1), 1, len(places) - 2)[..., np.newaxis]
    left, low, right = (
        np.take_along_axis(values, middle + side, axis=-1)[..., 0] for side in (-1, 0, 1)
    )
    step = places[1] - places[0]
    # beside the first and last place the three may bend the other way: then the end is lowest
    bend = np.maximum(left - 2 * low + right, 1e-9)
    return np.asarray(places[middle[..., 0]] + step * np.clip((left - right) / (2 * bend), -1, 1))
