"""The plate that surface defects are drawn on: its frame, its random numbers, smooth noise."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float64]

REFERENCE_SIZE = 128


@dataclass(frozen=True)
class Plate:
    """A square piece of plate to draw on, with its own random numbers.

    Lengths are given in pixels of a picture of `REFERENCE_SIZE`; `unit` turns them into pixels.
    Only `random` and `standard_normal` of the generator are used: their streams are the same in
    all supported versions of numpy.
    """

    side: int
    unit: float
    rng: np.random.Generator

    @property
    def along(self) -> Field:
        """Position in the rolling direction, `(side, 1)`, 0 in the middle."""
        return _positions(self.side)[:, None] / self.unit

    @property
    def across(self) -> Field:
        """Position across the rolling direction, `(1, side)`, 0 in the middle."""
        return _positions(self.side)[None, :] / self.unit

    def uniform(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def log_uniform(self, low: float, high: float) -> float:
        """One number in [low, high), as many in each octave."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def count(self, low: int, high: int) -> int:
        """One whole number from low to high, both included."""
        return low + int((high - low + 1) * self.rng.random())

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def spot(self, reach: float = 0.42) -> tuple[float, float]:
        """A place (along, across) at most `reach` of a picture's side from the middle."""
        half = reach * REFERENCE_SIZE
        return self.uniform(-half, half), self.uniform(-half, half)

    def noise(self, along: float, across: float) -> Field:
        """Smooth noise `(side, side)`, mean 0, standard deviation 1, with correlation lengths."""
        rows = _waves_kept(along * self.unit, self.side)
        columns = _waves_kept(across * self.unit, self.side)
        real, imaginary = self.rng.standard_normal((2, 2 * rows, columns))
        spectrum = np.zeros((self.side, self.side // 2 + 1), dtype=np.complex128)
        spectrum[:rows, :columns] = real[:rows] + 1j * imaginary[:rows]
        spectrum[-rows:, :columns] = real[rows:] + 1j * imaginary[rows:]
        spectrum *= _blur_gain(self.side, along * self.unit, across * self.unit)
        return unit_spread(np.asarray(fft.irfft2(spectrum, s=(self.side, self.side))))


@cache
def _positions(side: int) -> Field:
    positions = np.arange(side, dtype=np.float64) - (side - 1) / 2
    positions.flags.writeable = False
    return positions


@cache
def _frequencies(side: int) -> tuple[Field, Field]:
    """Squared angular frequencies of the two axes of a real transform."""
    down = (2 * np.pi * fft.fftfreq(side)) ** 2
    right = (2 * np.pi * fft.rfftfreq(side)) ** 2
    return down[:, None], right[None, :]


def _blur_gain(side: int, along: float, across: float) -> Field:
    """What a Gaussian blur of these widths (pixels) leaves of each wave."""
    down, right = _frequencies(side)
    return np.exp(-0.5 * along**2 * down) * np.exp(-0.5 * across**2 * right)


def _waves_kept(width: float, side: int) -> int:
    """How many of the longest waves outlast a blur of `width` pixels by more than 0.1%."""
    return min(side // 2, 2 + math.ceil(3.7 * side / (2 * math.pi * width)))


def smooth(field: Field, width: float) -> Field:
    """Periodic Gaussian blur of `width` pixels."""
    gain = _blur_gain(field.shape[0], width, width)
    return np.asarray(fft.irfft2(fft.rfft2(field) * gain, s=field.shape))


def unit_spread(field: Field) -> Field:
    """The field with mean 0 and standard deviation 1."""
    return (field - field.mean()) / (field.std() + 1e-9)


def ramp(field: Field, width: float) -> Field:
    """0 where the field is far below zero, 1 where far above, a smooth step of `width` between."""
    return 0.5 + 0.5 * np.tanh(field / width)
