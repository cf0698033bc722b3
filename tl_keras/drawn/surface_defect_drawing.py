"""Drawn pictures of six kinds of steel surface defect, in the manner of the NEU set.

A picture is drawn in the frame of the plate (first axis along the rolling direction), turned,
lit, blurred, exposed and given sensor noise. Light, neutral marks, blur, exposure and noise come
from the same distributions for all classes and the roughness of the surface from distributions
that overlap widely, so that neither brightness nor contrast names the class.

The classes follow K. Song and Y. Yan, "A noise robust method based on completed local binary
patterns for hot-rolled steel strip surface defects", Applied Surface Science 285, 2013. No pixel
of that set is used.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tl_keras.drawn.surface_defect_plate import (
    REFERENCE_SIZE,
    Field,
    Plate,
    ramp,
    smooth,
    unit_spread,
)
from tl_keras.errors import DataError

GENERATED_NOTICE = (
    "Generated images: figures on them show that the package works and "
    "are no evidence that transfer works on photos."
)

CLASS_NAMES = (
    "crazing",
    "inclusion",
    "patches",
    "pitted_surface",
    "rolled_in_scale",
    "scratches",
)
SMALLEST_SIZE = 32


def _crazing(plate: Plate) -> Field:
    """Broken fine cracks, mostly across the rolling direction."""
    relief = np.zeros((plate.side, plate.side))
    for _ in range(plate.count(1, 3)):
        length = plate.uniform(2.6, 5.0)
        height = plate.noise(length, length * plate.uniform(1.3, 2.4))
        height += 0.22 * plate.noise(0.3 * length, 0.4 * length)
        slope = np.hypot(*np.gradient(height)) + 0.02
        width = plate.uniform(0.5, 0.95) * plate.unit
        crack = np.exp(-((height / (slope * width)) ** 2))
        gaps = ramp(plate.noise(4, 4) + plate.uniform(-0.9, 0.0), 0.35)
        region = ramp(plate.noise(22, 18) + plate.uniform(0.0, 1.6), 0.5)
        relief -= crack * gaps * region
    return 0.7 * relief


def _inclusion(plate: Plate) -> Field:
    """Dark spindles along the rolling direction, alone or in a few groups."""
    body = np.full((plate.side, plate.side), -9.0)
    ragged = plate.noise(7, 1.6)
    for _ in range(plate.count(2, 4)):
        top, left = plate.spot()
        for _ in range(plate.count(2, 5)):
            half_length = plate.log_uniform(6, 30)
            half_width = half_length * plate.uniform(0.09, 0.24) + 0.7
            y = (plate.along - top - plate.uniform(-22, 22)) / half_length
            x = (plate.across - left - plate.uniform(-9, 9)) / half_width
            body = np.maximum(body, 1 - y**2 - x**2 + 0.45 * ragged)
    depth = 1 + 0.25 * plate.noise(8, 2)
    return -ramp(body, plate.uniform(0.15, 0.7)) * depth


def _patches(plate: Plate) -> Field:
    """Large dark areas with a rough edge and often a darker rim."""
    body = np.full((plate.side, plate.side), -9.0)
    ragged = plate.uniform(0.25, 0.5) * plate.noise(11, 8) + 0.13 * plate.noise(2.2, 2.2)
    for _ in range(plate.count(1, 4)):
        top, left = plate.spot()
        half_width = plate.log_uniform(10, 26)
        half_length = half_width * plate.uniform(0.8, 2.4)
        y, x = (plate.along - top) / half_length, (plate.across - left) / half_width
        body = np.maximum(body, 1 - np.hypot(y, x) + ragged)
    rim = np.exp(-((body / 0.22) ** 2)) * plate.uniform(0.0, 0.5)
    mottle = 1 + 0.2 * plate.noise(2.5, 1.5)
    return -(ramp(body, plate.uniform(0.12, 0.45)) + rim) * mottle


def _pitted_surface(plate: Plate) -> Field:
    """Many small round pits, denser in some places."""
    relief = np.zeros((plate.side, plate.side))
    density = np.clip(plate.noise(26, 16) + plate.uniform(-0.2, 1.8), 0, None)
    weights = np.cumsum(density.ravel()) + 1e-9 * np.arange(1, density.size + 1)
    smallest = plate.log_uniform(0.9, 1.6)
    for growth, share in ((1.0, 0.6), (1.5, 0.3), (2.3, 0.1)):
        pits = max(1, round(share * plate.log_uniform(200, 700)))
        places = np.searchsorted(weights, plate.rng.random(pits) * weights[-1])
        marks = np.bincount(np.minimum(places, density.size - 1), minlength=density.size)
        radius = smallest * growth * plate.unit
        hills = smooth(marks.reshape(density.shape).astype(float), radius)
        relief -= ramp(hills * 2 * np.pi * radius**2 - 0.5, 0.22) - ramp(np.array(-0.5), 0.22)
    return relief + 0.35 * np.roll(np.clip(-relief, 0, 1), max(1, round(plate.unit)), axis=0)


def _rolled_in_scale(plate: Plate) -> Field:
    """Small pressed-in flakes, dark with one lit side, lying in bands."""
    length = plate.uniform(1.1, 2.0)
    flakes = plate.noise(length, length * plate.uniform(1.3, 2.2))
    band = plate.noise(30, plate.uniform(10, 18)) + 0.4 * plate.noise(7, 7)
    body = ramp(flakes - plate.uniform(1.3, 1.7) + 0.75 * np.clip(band, -1.5, 1.2), 0.22)
    step = max(1, round(plate.uniform(1.0, 2.2) * plate.unit))
    lit = np.roll(body, step if plate.chance(0.5) else -step, axis=0)
    return plate.uniform(0.35, 0.7) * lit - body


def _scratches(plate: Plate) -> Field:
    """Thin lines along the rolling direction, mostly bright, often broken."""
    relief = np.zeros((plate.side, plate.side))
    lean = plate.uniform(-0.1, 0.1)
    for _ in range(plate.count(2, 6)):
        top, left = plate.spot()
        bend = plate.uniform(-4e-4, 4e-4)
        offset = plate.across - left - (lean + plate.uniform(-0.05, 0.05)) * plate.along
        offset = offset - bend * plate.along**2
        width = plate.log_uniform(0.7, 2.4)
        half_length = plate.log_uniform(20, 120)
        ends = ramp(half_length - np.abs(plate.along - top), plate.uniform(2, 10))
        wear = ramp(plate.noise(9, 30) + plate.uniform(0.0, 1.6), 0.4)
        line = np.exp(-((offset / width) ** 2))
        shadow = 0.4 * np.exp(-(((offset - 2 * width) / width) ** 2))
        sign = 1.0 if plate.chance(0.85) else -0.8
        relief += sign * plate.uniform(0.5, 1.3) * (line - shadow) * ends * wear
    return relief


# Defects come with their habitual surface (a crazed plate is rougher than a scratched one); the
# habits overlap widely.
_USUAL_ROUGHNESS = {
    "crazing": 1.6,
    "inclusion": 0.6,
    "patches": 1.4,
    "pitted_surface": 0.8,
    "rolled_in_scale": 1.1,
    "scratches": 0.7,
}

_DEFECTS: dict[str, Callable[[Plate], Field]] = {
    "crazing": _crazing,
    "inclusion": _inclusion,
    "patches": _patches,
    "pitted_surface": _pitted_surface,
    "rolled_in_scale": _rolled_in_scale,
    "scratches": _scratches,
}


def _rolled_metal(plate: Plate) -> Field:
    """The sound surface: grain, roll lines and slow stains, standard deviation 1."""
    grain = plate.noise(plate.log_uniform(0.4, 2.2), plate.log_uniform(0.4, 0.9))
    mottle = plate.noise(plate.log_uniform(2, 12), plate.log_uniform(2, 6))
    lines = plate.noise(plate.uniform(60, 200), plate.log_uniform(0.6, 3))
    texture = grain + plate.uniform(0.05, 0.5) * mottle + plate.uniform(0.0, 0.5) * lines
    return unit_spread(texture)


def _neutral_marks(plate: Plate) -> Field:
    """Marks that any class may show: dust, faint lines, soft stains, a water edge."""
    marks = np.zeros((plate.side, plate.side))
    for _ in range(plate.count(0, 5)):
        top, left = plate.spot(0.5)
        radius = plate.log_uniform(0.8, 2.6)
        y, x = plate.along - top, (plate.across - left) * plate.uniform(0.6, 1.6)
        marks -= plate.uniform(0.3, 1.0) * np.exp(-(y**2 + x**2) / (2 * radius**2))
    for _ in range(plate.count(0, 2)):
        offset = plate.across - plate.spot(0.5)[1] - plate.uniform(-0.04, 0.04) * plate.along
        width = plate.log_uniform(0.6, 3)
        marks += plate.uniform(-0.5, 0.5) * np.exp(-((offset / width) ** 2))
    if plate.chance(0.5):
        marks += plate.uniform(-0.6, 0.6) * ramp(plate.noise(20, 20) - 0.6, 0.4)
    if plate.chance(0.2):
        offset = plate.across - plate.spot(0.5)[1] + 2.5 * plate.noise(14, 14)
        marks += plate.uniform(-0.5, 0.5) * ramp(offset, 1.2)
    return marks


def _light(plate: Plate) -> Field:
    """Uneven light as a factor around 1: a slope, a band in rolling direction, waves."""
    angle = plate.uniform(0, 2 * math.pi)
    ray = (math.sin(angle) * plate.along + math.cos(angle) * plate.across) / REFERENCE_SIZE
    band = np.exp(-(((plate.across - plate.spot(0.5)[1]) / plate.uniform(14, 50)) ** 2))
    slow = plate.noise(45, 45)
    light = (
        plate.log_uniform(0.04, 0.5) * ray
        + plate.uniform(-0.2, 0.25) * band
        + plate.uniform(0, 0.1) * slow
    )
    return np.clip(1 + light, 0.25, None)


def _expose(plate: Plate, picture: Field) -> NDArray[np.uint8]:
    """Blur, automatic exposure, sensor noise, 8 bit."""
    blurred = ndimage.gaussian_filter(picture, plate.uniform(0.25, 1.1) * plate.unit)
    level = plate.uniform(85, 170)
    contrast = plate.log_uniform(6, 12) * float(blurred.std()) ** 0.6
    noise = plate.log_uniform(1.0, 3.5) * plate.rng.standard_normal(picture.shape)
    gray = level + contrast * unit_spread(blurred) + noise
    return np.asarray(np.rint(np.clip(gray, 0, 255)), dtype=np.uint8)


def _turned_middle(plate: Plate, picture: Field, size: int) -> Field:
    """Turn the plate under the camera and keep the middle `(size, size)`."""
    usual = 7 * float(plate.rng.standard_normal())
    degrees = plate.uniform(-90, 90) if plate.chance(0.08) else usual
    turned = ndimage.rotate(picture, degrees, reshape=False, order=1, mode="reflect")
    start = (plate.side - size) // 2
    return np.asarray(turned[start : start + size, start : start + size])


def draw(
    class_index: int, image_index: int, *, size: int = REFERENCE_SIZE, seed: int = 0
) -> NDArray[np.uint8]:
    """Draw one gray picture of a surface defect.

    The same arguments give the same bytes. Another size gives another picture, not a scaled one.

    Args:
        class_index: 0 to 5, the place in `CLASS_NAMES`.
        image_index: 0 or more; every index is another picture.
        size: Side of the picture in pixels, 32 or more.
        seed: 0 or more; every seed is another data set.

    Returns:
        Gray values `(size, size)`, 0..255.

    Raises:
        DataError: An argument is out of range.
    """
    _check_range("class_index", class_index, 0, len(CLASS_NAMES) - 1)
    _check_range("image_index", image_index, 0)
    _check_range("size", size, SMALLEST_SIZE)
    _check_range("seed", seed, 0)
    sequence = np.random.SeedSequence([seed, class_index, image_index])
    rng = np.random.Generator(np.random.PCG64(sequence))
    plate = Plate(side=math.ceil(1.5 * size / 2) * 2, unit=size / REFERENCE_SIZE, rng=rng)
    strength = plate.log_uniform(5.0, 18.0)
    roughness = _USUAL_ROUGHNESS[CLASS_NAMES[class_index]] * plate.log_uniform(0.6, 1.7)
    surface = (
        roughness * _rolled_metal(plate)
        + plate.log_uniform(1.0, 4.0) * _neutral_marks(plate)
        + strength * _DEFECTS[CLASS_NAMES[class_index]](plate)
    )
    lit = (16 + surface) * _light(plate)
    return _expose(plate, _turned_middle(plate, lit, size))


def _check_range(name: str, value: int, low: int, high: int | None = None) -> None:
    if value < low or (high is not None and value > high):
        allowed = f"{low} or more" if high is None else f"from {low} to {high}"
        raise DataError(f"{name} must be {allowed}, got {value}. Choose a number in that range.")
