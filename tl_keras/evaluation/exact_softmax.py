"""Calibrated probabilities that come out the same, to the last bit, wherever they are computed.

A decision is made at a border, and a photo may lie on it: a threshold for a recall is the score of
one. Two libraries differ in the last bits of their exponentials and logarithms, and only some
formats have 64-bit numbers. So these are made of operations on 32-bit numbers that IEEE 754 rounds
in one way (sum, difference, product, quotient, largest, comparison), in a fixed order; NumPy,
TensorFlow, LiteRT and ONNX Runtime then agree on every photo. No constant is added to a sum or a
difference, and none but powers of 2 meets another in a product: optimizers of graphs reorder these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.metrics import SMALLEST_PROBABILITY

# Powers of 2 from below the smallest probability to 1/2, and for what lies between them the factor
# that makes it 0.5 to 1 and the logarithm of that.
_BORDERS = np.float32(0.5) ** np.arange(24, 0, -1, dtype=np.float32)
_DOUBLINGS = np.arange(24, -1, -1, dtype=np.float32)
_POWERS = np.float32(2) ** _DOUBLINGS
# Beside the most probable class no other matters at 2 to the power of this; what is much less some
# processors take for 0.
_LEAST = -80
_FRACTIONS = np.float32(0.5) ** np.arange(-_LEAST + 1, dtype=np.float32)
# Of 2^x in powers of x, and of log2((1 + s) / (1 - s)) / s in powers of s squared: both series end
# where a further term is less than the last bit, for x in 0..1 and s in -1/3..0.
_EXPONENTIAL = [float(np.log(2) ** k / np.prod(np.arange(1, k + 1))) for k in range(11)]
_LOGARITHM = [2 / ((2 * k + 1) * float(np.log(2))) for k in range(8)]


@dataclass(frozen=True)
class Arithmetic:
    """The operations of a library, on its arrays or tensors of 32-bit numbers.

    Attributes:
        where: elements of the second where the first is true, else of the third.
        floor: the next whole number below or at each.
        whole: as 32-bit integers.
        places: how many of the second, which rise and are a few, are at most each of the first.
        take: rows of the first by integers.
        largest: along the last axis, which stays.
        first_largest: the place of the largest, the first of several, along the last axis; int32.
    """

    where: Callable[..., Any]
    floor: Callable[..., Any]
    whole: Callable[..., Any]
    places: Callable[..., Any]
    take: Callable[..., Any]
    largest: Callable[..., Any]
    first_largest: Callable[..., Any]


NUMPY = Arithmetic(
    where=np.where,
    floor=np.floor,
    whole=lambda values: values.astype(np.int32),
    places=lambda values, borders: np.searchsorted(borders, values, side="right"),
    take=np.take,
    largest=lambda values: values.max(axis=-1, keepdims=True),
    first_largest=lambda values: values.argmax(axis=-1).astype(np.int32),
)


def exact_calibrated(
    probabilities: Any,
    temperature: float,
    class_factors: NDArray[np.float64],
    library: Arithmetic = NUMPY,
) -> Any:
    """As `tl_keras.evaluation.calibration.calibrate`, within a few units of the last bit.

    Args:
        probabilities: float32 (n, classes), 0..1. Numbers that are none give every class the same.
        temperature: as of `calibrate`.
        class_factors: as of `calibrate`.
        library: of the arrays.

    Returns:
        float32 (n, classes); rows sum to 1.
    """
    smallest = np.float32(SMALLEST_PROBABILITY)
    clipped = library.where(probabilities > smallest, probabilities, smallest)
    logits = _log2(clipped, library) * np.float32(1 / temperature)
    weights = _power_of_2(logits - library.largest(logits), library)
    weights = weights * (class_factors / class_factors.max()).astype(np.float32)
    return weights / exact_sum(weights)[:, None]


def exact_sum(columns: Any) -> Any:
    """Sums over classes of (n, classes), (n,), in an order that no library chooses: by halves."""
    count = int(columns.shape[-1])
    if count == 1:
        return columns[:, 0]
    half = count // 2
    sums = exact_sum(columns[:, :half] + columns[:, half : 2 * half])
    return sums + columns[:, -1] if count % 2 else sums


def _log2(values: Any, library: Arithmetic) -> Any:
    """Of values from the smallest probability to 1."""
    places = library.places(values, _BORDERS)
    mantissas = values * library.take(_POWERS, places)
    ratios = (mantissas - 1.0) / (mantissas + 1.0)
    return ratios * _polynomial(ratios * ratios, _LOGARITHM) - library.take(_DOUBLINGS, places)


def _power_of_2(values: Any, library: Arithmetic) -> Any:
    """Of values up to 0; those below the least, and what is no number, count as the least."""
    values = library.where(values > _LEAST, values, np.float32(_LEAST))
    below = library.floor(values)
    return _polynomial(values - below, _EXPONENTIAL) * library.take(
        _FRACTIONS, library.whole(-below)
    )


def _polynomial(values: Any, coefficients: list[float]) -> Any:
    """With coefficients that rise with the power (Horner's rule)."""
    *lower, result = (np.float32(each) for each in coefficients)
    for coefficient in reversed(lower):
        result = result * values + coefficient
    return result
