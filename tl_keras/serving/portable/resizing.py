"""Pictures to the input size of a network: antialiased bilinear, bit for bit as TensorFlow.

Two products with small matrices, whose rows have few entries. The entries and their sums are
computed in the order and precision of TensorFlow's ScaleAndTranslate, so that even the pixels that
lie halfway between two whole numbers are rounded to the same one.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of rows of the result by columns of the picture: the rule of training for very long pictures.
_MOST_CELLS = 2**24
# Numbers that are summed at once: they stay in the processor's cache.
_AT_ONCE = 2**16
# Lengths of sides whose matrices are kept: most photos have the size of the one before.
_KEPT = 64
_HALF, _ONE = np.float32(0.5), np.float32(1)


def resize(image: NDArray[np.uint8], size: int, mode: str) -> NDArray[np.uint8]:
    """A picture at the input size, rounded to whole numbers.

    Args:
        image: (height, width, channels), 0..255.
        size: Side of the result in pixels.
        mode: "stretch", "pad" or "crop".

    Returns:
        (size, size, channels).
    """
    height, width, channels = image.shape
    if mode == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    if mode != "pad":
        return _rounded(interpolate(image, size, size))
    longest = max(height, width)
    high, wide = (max((2 * size * side + longest) // (2 * longest), 1) for side in (height, width))
    top, left = (size - high) // 2, (size - wide) // 2
    whole = np.zeros((size, size, channels), np.uint8)
    whole[top : top + high, left : left + wide] = _rounded(interpolate(image, high, wide))
    return whole


def interpolate(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """A picture at another size, float32; its height first, that of a very long one last."""
    high, wide = image.shape[:2]
    if height * wide > max(width * high, _MOST_CELLS):
        return _swapped(_both(_swapped(image), width, height))
    return _both(image, height, width)


@lru_cache(_KEPT)
def spans(given: int, wanted: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The matrix that brings a side to another length, without its zeros.

    Args:
        given: Length of the side, pixels.
        wanted: Its length in the result.

    Returns:
        (wanted,), where the entries of each row begin; and (wanted, entries), which sum to 1.
    """
    inverse = _ONE / (np.float32(wanted) / np.float32(given))
    radius = max(inverse, _ONE)
    middles = (np.arange(wanted, dtype=np.float32) + _HALF) * inverse
    first = np.clip(np.ceil(middles - radius - _HALF).astype(np.int64), 0, given - 1)
    last = np.clip(np.floor(middles + radius - _HALF).astype(np.int64), 0, given - 1)
    sources = first[:, None] + np.arange(int((last - first).max()) + 1)
    away = np.abs((sources.astype(np.float32) + _HALF - middles[:, None]) * (_ONE / radius))
    weights = np.where((sources <= last[:, None]) & (away < 1), _ONE - away, np.float32(0))
    # a cumulative sum adds one after the other, where a plain one adds in pairs
    weights *= _ONE / np.cumsum(weights, axis=1)[:, -1:]
    return first, weights


def _both(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    _, wide, channels = image.shape
    high = _rows(image, height).reshape(height, wide, channels)
    return _swapped(_rows(_swapped(high), width).reshape(width, height, channels))


def _rows(image: NDArray[Any], wanted: int) -> NDArray[np.float32]:
    """The first axis brought to another length, (wanted, the others in one)."""
    flat = image.reshape(len(image), -1)
    first, weights = spans(len(flat), wanted)
    result = np.empty((wanted, flat.shape[1]), np.float32)
    step = max(_AT_ONCE // flat.shape[1], 1)
    for start in range(0, wanted, step):
        rows = slice(start, start + step)
        _add_up(flat, first[rows], weights[rows], result[rows])
    return result


def _add_up(
    flat: NDArray[Any],
    first: NDArray[np.int64],
    weights: NDArray[np.float32],
    result: NDArray[np.float32],
) -> None:
    """Set rows of the result to sums of weighted rows, one entry of the matrix after the other."""
    begin, entries = int(first[0]), weights.shape[1]
    source = flat[begin : int(first[-1]) + entries].astype(np.float32, copy=False)
    places, taken = first - begin, result
    for entry in range(entries):
        # beyond the last row, where the weight is 0, the last row again
        source.take(places + entry, 0, taken, "clip")
        taken *= weights[:, entry, None]
        if entry:
            result += taken
        else:
            taken = np.empty_like(result)


def _swapped(image: NDArray[Any]) -> NDArray[Any]:
    return image.transpose(1, 0, 2)


def _rounded(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    # means of pixels: none lies far enough outside of 0..255 to be rounded to another number
    return np.rint(image).astype(np.uint8)
