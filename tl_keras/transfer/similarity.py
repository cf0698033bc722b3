"""How far the images are from the source's, block by block, in its BatchNorm statistics.

Every BatchNorm layer keeps the mean and variance that its inputs had on the source's images. The
same two numbers on other images tell how far those are from what the layers above were trained on.
"""

import keras
import numpy as np

from tl_keras.data.rows import spread
from tl_keras.transfer.features import FeatureBank, SideBySide
from tl_keras.transfer.passes import batch_norms

# Statistics over positions and images settle quickly.
MOST_IMAGES = 256


def input_moments(bank: FeatureBank, rows: np.ndarray) -> SideBySide | None:
    """What `block_distances` is drawn from.

    Args:
        bank: of a backbone with the source weights.
        rows: positions of the images to look at, of which up to `MOST_IMAGES` are used.

    Returns:
        By layer means and variances, (k, 2 * channels); None for a backbone without BatchNorm.
    """
    if not any(batch_norms(bank.backbone).values()):
        return None
    return bank.batch_norm_inputs(spread(rows, MOST_IMAGES))


def block_distances(bank: FeatureBank, rows: np.ndarray) -> dict[str, float] | None:
    """Distance of images from the source's, by block with BatchNorm, from input to output.

    It is the Kullback-Leibler divergence, in nats, of a normal distribution with the images' mean
    and variance from one with the source's, mean over the channels of the block's BatchNorm layers:
    0 where they agree, 0.5 where the means lie one standard deviation apart.

    Args:
        bank: of a backbone with the source weights.
        rows: positions of the images to look at, of which up to `MOST_IMAGES` are used.

    Returns:
        None for a backbone without BatchNorm, where this cannot be said.
    """
    seen = input_moments(bank, rows)
    if seen is None:
        return None
    moments = seen.read()
    return {
        block: float(np.mean(np.concatenate([_divergence(x, moments[x.name]) for x in layers])))
        for block, layers in batch_norms(bank.backbone).items()
        if layers
    }


def _divergence(layer: keras.layers.BatchNormalization, moments: np.ndarray) -> np.ndarray:
    """Per channel; the layer's own epsilon keeps channels that never move from deciding."""
    means, variances = np.split(moments.astype(np.float64), 2, axis=1)
    mean = means.mean(axis=0)
    # All images have as many positions.
    variance = variances.mean(axis=0) + means.var(axis=0) + layer.epsilon
    source_mean, source_variance = (
        np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance)
    )
    source_variance = source_variance + layer.epsilon
    ratio = variance / source_variance
    return 0.5 * (ratio + (mean - source_mean) ** 2 / source_variance - 1 - np.log(ratio))
