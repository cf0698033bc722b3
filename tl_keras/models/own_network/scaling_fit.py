"""How a network wants its pixels scaled, as its first BatchNorm layer remembers it.

That layer keeps the mean and variance that its inputs had in training. Pixels in the right scaling
give it the like again; in another one every channel is off, by its sum of weights and its
contrast. Photos at hand may be dark, gray or empty, so pictures are drawn as well that have what
most photos have in common: a spectrum that falls with the frequency (Field 1987, "Relations between
the statistics of natural images and the response properties of cortical cells"), and the mean,
contrast and faint colours of ImageNet.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from tl_keras.backbone_table import MeanAndStd, Scaling
from tl_keras.models.block_statistics import block_statistics, scaled_batches
from tl_keras.models.blocks import Block
from tl_keras.models.networks import IMAGENET_MEAN

# All that is usual; the last is 0 to 1.
USUAL: tuple[Scaling, ...] = (
    "tf",
    "torch",
    "caffe",
    "none",
    MeanAndStd((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
)
# By how much the logarithm of the distance has to differ for one to be told from another: the right
# one was nearer than any other by 0.4 or more (on what `benchmarks.scaling_check` looks at).
CLEARLY = 0.2
# Nats that are no difference.
_TINY = 0.05
# Photos that are looked at, and pictures that are drawn.
MOST_PHOTOS, _DRAWN = 64, 20


def scales_inside(network: keras.Model) -> bool:
    """Whether a network has layers of its own that scale pixels, before the first weights."""
    for operation in network.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        scaling = keras.layers.Rescaling, keras.layers.Normalization, keras.layers.Lambda
        if isinstance(operation, scaling) or not isinstance(operation, keras.Layer):
            return True
        if operation.weights:
            return False
    return False


def own_scaling(network: keras.Model) -> Scaling | None:
    """What a network from a file is given where nobody says more; None where it cannot be told."""
    return "none" if scales_inside(network) else scaling_of_source(network)


def scaling_of_source(network: keras.Model) -> Scaling | None:
    """The usual scaling that fits a network; None where none fits clearly better than others."""
    distances = scaling_distances(network, USUAL)
    if distances is None:
        return None
    best, second = sorted(distances, key=lambda scaling: distances[scaling])[:2]
    return best if distances[second] - distances[best] > CLEARLY else None


def better_scaling(network: keras.Model, scaling: Scaling, photos: np.ndarray) -> Scaling | None:
    """The usual scaling that fits a network clearly better than the one it has; None if none does.

    It learned from photos like ImageNet's or like those at hand: what counts is the nearer of both.

    Args:
        network: from scaled images.
        scaling: that it has.
        photos: uint8 (n, size, size, 3), 0..255, some of those at hand.
    """
    scalings = (scaling, *(each for each in USUAL if each != scaling))
    drawn, seen = (scaling_distances(network, scalings, given) for given in (None, photos))
    if drawn is None or seen is None:
        return None
    nearer = {each: min(drawn[each], seen[each]) for each in scalings}
    best = min(scalings, key=lambda each: nearer[each])
    return best if nearer[scaling] - nearer[best] > CLEARLY else None


def scaling_distances(
    network: keras.Model, scalings: tuple[Scaling, ...], photos: np.ndarray | None = None
) -> Mapping[Scaling, float] | None:
    """How far pictures in each scaling are from what a network was trained on.

    Args:
        network: from scaled images.
        scalings: to try.
        photos: uint8 (n, size, size, 3), 0..255; None is drawn ones.

    Returns:
        The mean over channels of the logarithm of the Kullback-Leibler divergence, as of
        `tl_keras.transfer.similarity`; None for a network without BatchNorm.
    """
    norm = _first_norm(network)
    if norm is None:
        return None
    pixels = _natural_pictures(int(network.input.shape[1])) if photos is None else photos
    below, rows = Block("below", norm.input, ()), np.arange(len(pixels))

    def distance(scaling: Scaling) -> float:
        batches = scaled_batches(scaling, pixels, rows)
        return _distance(norm, **block_statistics(network, [below], batches)["below"])

    return {scaling: distance(scaling) for scaling in scalings}


def _first_norm(network: keras.Model) -> Any:
    """The first BatchNorm layer of feature maps, channels last."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and len(layer.input.shape) == 4:
            return layer if layer.axis in (-1, 3) else None
    return None


def _distance(norm: Any, mean: Sequence[float], variance: Sequence[float]) -> float:
    source = np.asarray(norm.moving_variance, np.float64) + norm.epsilon
    off = (np.array(mean) - np.asarray(norm.moving_mean, np.float64)) ** 2 / source
    ratio = (np.array(variance) + norm.epsilon) / source
    divergence = 0.5 * (ratio + off - 1 - np.log(ratio))
    return float(np.log(divergence + _TINY).mean())


@lru_cache(maxsize=2)
def _natural_pictures(side: int) -> np.ndarray:
    """Pictures without things, float32 (n, side, side, 3), 0..255."""
    rng = np.random.default_rng(0)
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequencies[0, 0] = 1
    noise = rng.normal(size=(_DRAWN, 3, side, side))
    clouds = np.fft.ifft2(np.fft.fft2(noise) / frequencies).real
    clouds -= clouds.mean(axis=(2, 3), keepdims=True)
    clouds /= clouds.std(axis=(2, 3), keepdims=True)
    # as large as of photos: light, then yellow against blue, then green against magenta
    contrast = 0.235 * rng.uniform(0.6, 1.3, (_DRAWN, 1, 1))
    light, yellow, green = contrast * clouds[:, 0], 0.05 * clouds[:, 1], 0.02 * clouds[:, 2]
    colours = np.stack([light + yellow + green, light - 2 * green, light - yellow + green], -1)
    brightness = np.array(IMAGENET_MEAN) + rng.normal(0, 0.12, (_DRAWN, 1, 1, 1))
    return (np.clip(colours + brightness, 0, 1) * 255).astype(np.float32)
