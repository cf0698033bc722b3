"""Random outlines for generated images: glyphs, polygons, wavy blobs and fractals.

A shape is a class's fixed skeleton; every drawing of it bends the skeleton a little, so that a
class is recognised by its form and not by its pixels. Coordinates of skeletons lie in [-1, 1].
Fractals are attractors of iterated function systems, as in FractalDB (Kataoka et al. 2020,
"Pre-training without Natural Images").
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

Gray = NDArray[np.float32]
Points = NDArray[np.float64]
Fill = Literal["line", "solid", "rim"]

OVERSAMPLING = 2


@dataclass(frozen=True, eq=False)
class Outline:
    """The skeleton of one shape.

    Attributes:
        kind: How `controls` become paths.
        controls: (paths, points, 2) control points; for "wave" (1, harmonics, 2) amplitudes and
            phases of the radius.
        aspect: Width over height.
        inner: Number of smaller blobs inside (0 for none) and their radius.
        fill: Drawn as a line, as a solid, or as a solid with a rim of another tone.
    """

    kind: Literal["glyph", "polygon", "wave"]
    controls: Points
    aspect: float
    inner: tuple[int, float]
    fill: Fill


@dataclass(frozen=True, eq=False)
class Pose:
    """Where and how one drawing of a shape lies: centre and radius as fractions of the side."""

    centre: tuple[float, float]
    radius: float
    angle: float
    shear: float
    width: float


def random_glyph(rng: Generator) -> Outline:
    """A few curved strokes between the nodes of a 3 by 4 lattice, like a letter of no alphabet."""
    count = int(rng.integers(1, 5))
    nodes = np.stack([rng.integers(-1, 2, (count, 4)), rng.integers(-1, 3, (count, 4)) / 1.5], -1)
    controls = nodes.astype(np.float64) - (0.0, 0.33)
    for previous, stroke in pairwise(controls):
        if rng.random() < 0.7:
            stroke[0] = previous[rng.integers(4)]
    return Outline("glyph", controls, float(rng.uniform(0.6, 1.1)), (0, 0.0), "line")


def random_polygon(rng: Generator) -> Outline:
    """A regular, starred or irregular polygon with three to ten corners."""
    corners = int(rng.integers(3, 8))
    angles = 2 * np.pi * np.arange(corners) / corners
    radii = np.ones(corners)
    style = rng.integers(3)
    if style == 1:
        corners *= 2
        angles = 2 * np.pi * np.arange(corners) / corners
        radii = np.where(np.arange(corners) % 2, rng.uniform(0.3, 0.7), 1.0)
    if style == 2:
        angles = angles + rng.uniform(-0.3, 0.3, corners)
        radii = rng.uniform(0.4, 1.0, corners)
    controls = (radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1))[None]
    return Outline("polygon", controls, float(rng.uniform(0.4, 1.0)), _inner(rng, 0.2), _fill(rng))


def random_wave(rng: Generator, inner: float = 0.4) -> Outline:
    """A blob: a circle whose radius is a sum of a few harmonics; with `inner` chance of nuclei."""
    harmonics = int(rng.integers(2, 7))
    amplitudes = rng.normal(0, 0.25, harmonics) / np.sqrt(np.arange(1, harmonics + 1))
    amplitudes *= rng.random(harmonics) < 0.6
    controls = np.stack([amplitudes, rng.uniform(0, 2 * np.pi, harmonics)], -1)[None]
    aspect = float(rng.choice([1.0, rng.uniform(0.3, 1.0)]))
    return Outline("wave", controls, aspect, _inner(rng, inner), _fill(rng))


def random_outline(rng: Generator) -> Outline:
    """One of the three kinds."""
    return (random_glyph, random_polygon, random_wave)[rng.integers(3)](rng)


def random_pose(rng: Generator, radius: tuple[float, float], tilt: float = np.pi) -> Pose:
    """A pose whose shape mostly stays inside the image; `tilt` bounds the rotation, radians."""
    size = float(rng.uniform(*radius))
    margin = min(0.8 * size, 0.5)
    x, y = rng.uniform(margin, 1 - margin, 2)
    width = float(np.exp(rng.uniform(np.log(0.05), np.log(0.24))))
    angle, shear = rng.uniform(-tilt, tilt), rng.uniform(-0.3, 0.3)
    return Pose((float(x), float(y)), size, float(angle), float(shear), width)


def draw_outlines(
    outline: Outline, poses: list[Pose], size: int, rng: Generator
) -> tuple[Gray, Gray]:
    """Draw one shape at every pose.

    Returns:
        Two (size, size) layers in [0, 1]: what the shapes cover, and their inner parts.
    """
    side = OVERSAMPLING * size
    cover, inside = Image.new("L", (side, side)), Image.new("L", (side, side))
    brush, inner_brush = ImageDraw.Draw(cover), ImageDraw.Draw(inside)
    for pose in poses:
        width = max(1, round(pose.width * pose.radius * side))
        for path in _paths(outline, rng):
            corners = _flat(_place(path, pose, outline.aspect) * side)
            if outline.fill == "line":
                _stroke(brush, corners, width, closed=outline.kind != "glyph")
                continue
            brush.polygon(corners, fill=255)
            if outline.fill == "rim":
                _stroke(inner_brush, corners, width, closed=True)
        for path in _nuclei(outline, rng):
            target = inner_brush if outline.fill == "solid" else brush
            target.polygon(_flat(_place(path, pose, outline.aspect) * side), fill=255)
    return _reduced(cover), _reduced(inside)


def random_maps(rng: Generator) -> Points:
    """Two to five contracting affine maps: (maps, 2, 3), weighted alike when iterated."""
    count = int(rng.integers(2, 6))
    maps = np.empty((count, 2, 3))
    for k in range(count):
        left, right = (_rotation(a) for a in rng.uniform(0, 2 * np.pi, 2))
        stretch = np.diag(rng.uniform((0.35, 0.15), (0.85, 0.7)))
        maps[k, :, :2] = left @ stretch @ right
        maps[k, :, 2] = rng.uniform(-1, 1, 2)
    return maps


def draw_fractal(maps: Points, pose: Pose, size: int, rng: Generator) -> Gray:
    """The attractor of `maps` as a (size, size) density in [0, 1]."""
    points = rng.uniform(-1, 1, (400, 2))
    orbit = []
    for step in range(44):
        chosen = maps[rng.integers(len(maps), size=400)]
        points = np.einsum("nij,nj->ni", chosen[:, :, :2], points) + chosen[:, :, 2]
        if step >= 8:
            orbit.append(points)
    cloud = np.concatenate(orbit)
    low, high = np.quantile(cloud, (0.02, 0.98), axis=0)
    cloud = (cloud - (low + high) / 2) / max(float((high - low).max()) / 2, 1e-6)
    pixels = (_place(cloud, pose, 1.0) * size).astype(np.int64)
    pixels = pixels[((pixels >= 0) & (pixels < size)).all(axis=1)]
    counts = np.bincount(pixels[:, 1] * size + pixels[:, 0], minlength=size * size)
    density = gaussian_filter(counts.reshape(size, size).astype(np.float32), 0.5)
    return np.asarray(1 - np.exp(-density * rng.uniform(0.4, 1.5)), np.float32)


def _fill(rng: Generator) -> Fill:
    fills: tuple[Fill, ...] = ("line", "solid", "rim")
    return fills[rng.integers(3)]


def _inner(rng: Generator, chance: float) -> tuple[int, float]:
    if rng.random() >= chance:
        return 0, 0.0
    return int(rng.integers(1, 5)), float(rng.uniform(0.15, 0.55))


def _paths(outline: Outline, rng: Generator) -> list[Points]:
    if outline.kind == "wave":
        return [_wave(outline.controls[0], rng)]
    spread = 0.09 if outline.kind == "glyph" else 0.05
    bent = outline.controls + rng.normal(0, spread, outline.controls.shape)
    return [_bezier(path) if outline.kind == "glyph" else path for path in bent]


def _wave(harmonics: Points, rng: Generator) -> Points:
    theta = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    bent = harmonics + rng.normal(0, (0.03, 0.15), harmonics.shape)
    orders = np.arange(2, len(bent) + 2)
    waves = bent[:, :1] * np.cos(orders[:, None] * theta + bent[:, 1:])
    radius = np.clip(1 + waves.sum(0), 0.25, 1.6) / 1.2
    return np.asarray(radius[:, None] * np.stack([np.cos(theta), np.sin(theta)], -1))


def _bezier(controls: Points) -> Points:
    t = np.linspace(0, 1, 14)[:, None]
    weights = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], 1)
    return np.asarray(weights @ controls)


def _nuclei(outline: Outline, rng: Generator) -> list[Points]:
    count, radius = outline.inner
    theta = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(theta), np.sin(theta)], -1)
    reach = 0.75 * (1 - radius) if count > 1 else 0.3 * (1 - radius)
    centres = rng.uniform(-reach, reach, (count, 2))
    sizes = radius * rng.uniform(0.8, 1.2, (count, 2)) / np.sqrt(max(count, 1))
    return [c + s * circle for c, s in zip(centres, sizes, strict=True)]


def _place(points: Points, pose: Pose, aspect: float) -> Points:
    turned = (points * (aspect, 1.0)) @ np.array([[1.0, 0.0], [pose.shear, 1.0]])
    return np.asarray(turned @ _rotation(pose.angle).T * pose.radius + pose.centre)


def _rotation(angle: float) -> Points:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _flat(points: Points) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]


def _stroke(
    brush: ImageDraw.ImageDraw, corners: list[tuple[float, float]], width: int, closed: bool
) -> None:
    path = [*corners, corners[0]] if closed else corners
    brush.line(path, fill=255, width=width, joint="curve")
    half = width / 2
    for x, y in (path[0], path[-1]):
        brush.ellipse((x - half, y - half, x + half, y + half), fill=255)


def _reduced(image: Image.Image) -> Gray:
    return np.asarray(np.asarray(image.reduce(OVERSAMPLING)) / np.float32(255), np.float32)
