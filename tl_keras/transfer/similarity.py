"""How far the images are from the source's, block by block, in its BatchNorm statistics.

Every BatchNorm layer keeps the mean and variance that its inputs had on the source's images. The
same two numbers on other images tell how far those are from what the layers above were trained on.
"""

import keras
import numpy as np

from tl_keras.data.rows import Rows, spread
from tl_keras.models.backbone import Backbone
from tl_keras.models.block_statistics import channel_totals, scaled_batches
from tl_keras.models.blocks import Block

# Statistics over positions and images settle quickly.
MOST_IMAGES = 256


def block_distances(backbone: Backbone, pixels: Rows, rows: np.ndarray) -> dict[str, float] | None:
    """Distance of images from the source's, by block with BatchNorm, from input to output.

    It is the Kullback-Leibler divergence, in nats, of a normal distribution with the images' mean
    and variance from one with the source's, mean over the channels of the block's BatchNorm layers:
    0 where they agree, 0.5 where the means lie one standard deviation apart.

    Args:
        backbone: with the source weights.
        pixels: uint8 (n, size, size, 3), 0..255.
        rows: positions of the images to look at, of which up to `MOST_IMAGES` are used.

    Returns:
        None for a backbone without BatchNorm, where this cannot be said.
    """
    layers = {block.name: _batch_norms(block) for block in backbone.blocks}
    flat = [layer for found in layers.values() for layer in found]
    if not flat:
        return None
    batches = scaled_batches(backbone.spec, pixels, spread(rows, MOST_IMAGES))
    totals = channel_totals(backbone.model, [layer.input for layer in flat], batches)
    divergence = {
        layer.name: _divergence(layer, total) for layer, total in zip(flat, totals, strict=True)
    }
    return {
        name: float(np.mean(np.concatenate([divergence[layer.name] for layer in found])))
        for name, found in layers.items()
        if found
    }


def _batch_norms(block: Block) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in block.layers if isinstance(layer, keras.layers.BatchNormalization)]


def _divergence(layer: keras.layers.BatchNormalization, total: np.ndarray) -> np.ndarray:
    """Per channel; the layer's own epsilon keeps channels that never move from deciding."""
    count, sums, squares = total
    mean = sums / count
    variance = np.maximum(squares / count - mean**2, 0) + layer.epsilon
    source_mean, source_variance = (
        np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance)
    )
    source_variance = source_variance + layer.epsilon
    ratio = variance / source_variance
    return 0.5 * (ratio + (mean - source_mean) ** 2 / source_variance - 1 - np.log(ratio))
