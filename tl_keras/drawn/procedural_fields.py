"""Random gray textures for generated images: fields, gratings, cells, strokes, motifs, tiles.

A texture object holds what makes a class of textures (frequencies, directions, motifs); `render`
draws one image of it with a given rotation and scale. Every result is (size, size) in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from tl_keras.drawn.procedural_shapes import (
    OVERSAMPLING,
    Gray,
    Outline,
    Pose,
    draw_outlines,
    random_outline,
    random_polygon,
    random_wave,
)


class Texture(Protocol):
    """A class of textures."""

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """One (size, size) image in [0, 1], turned by `angle` radians, features `scale` as big."""


@dataclass(frozen=True)
class Field:
    """Noise of one or two frequency bands, isotropic or along a direction, then bent pointwise.

    Attributes:
        bands: Per band: centre in cycles per image, width in octaves, directionality (0 = none),
            weight.
        bend: Name in `BENDS`.
        level: Parameter of the bend.
    """

    bands: tuple[tuple[float, float, float, float], ...]
    bend: str
    level: float

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """See `Texture.render`."""
        radius, direction = _spectrum(size)
        gain = np.zeros_like(radius)
        for centre, octaves, kappa, weight in self.bands:
            ring = np.exp(-0.5 * (np.log2(radius * scale / centre) / octaves) ** 2)
            along = np.exp(kappa * (np.cos(2 * (direction - angle)) - 1))
            band = ring * along
            gain = gain + weight * band / np.sqrt((band**2).sum() + 1e-9)
        gain[0, 0] = 0
        noise = rng.standard_normal((2, *radius.shape), np.float32)
        values = np.fft.irfft2(gain * (noise[0] + 1j * noise[1]), (size, size))
        return _unit(BENDS[self.bend](values / (values.std() + 1e-9), self.level))


@dataclass(frozen=True)
class Grating:
    """One to three families of parallel lines with fixed relative angles, a little warped."""

    waves: tuple[tuple[float, float], ...]
    sharpness: float
    product: bool
    warp: float

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """See `Texture.render`."""
        x, y = _plane(size, angle, scale)
        bend = self.warp * (SMOOTH.render(size, rng, 0.0, 1.0) - 0.5) if self.warp else 0.0
        layers = []
        for frequency, turn in self.waves:
            phase = frequency * (x * np.cos(turn) + y * np.sin(turn)) + rng.random() + bend
            layers.append(np.tanh(self.sharpness * np.sin(2 * np.pi * phase)))
        return _unit(np.prod(layers, 0) if self.product else np.max(layers, 0))


@dataclass(frozen=True)
class CellField:
    """A Voronoi partition: distance to the seed, walls between cells, or a tone per cell."""

    count: int
    order: float
    stretch: float
    mode: str

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """See `Texture.render`."""
        x, y = _plane(size, angle, scale)
        side = max(2, round(np.sqrt(self.count)))
        lattice = np.stack(np.meshgrid(np.arange(-side, side), np.arange(-side, side)), -1)
        jitter = rng.uniform(-0.5, 0.5, lattice.shape) * (1.2 - self.order) + rng.random(2)
        seeds = ((lattice + jitter) / side).reshape(-1, 2)
        query = np.stack([x.ravel() * self.stretch, y.ravel()], -1)
        distance, index = map(np.asarray, cKDTree(seeds).query(query, k=2))
        wall = np.clip((distance[:, 1] - distance[:, 0]) * side * 2.0, 0, 1)
        tone = rng.random(len(seeds))[index[:, 0]]
        values = {"bump": distance[:, 0], "wall": wall, "tone": tone, "pane": tone * (wall > 0.2)}
        return _unit(values[self.mode].reshape(size, size))


@dataclass(frozen=True)
class Strokes:
    """Short curved lines scattered along a preferred direction."""

    count: int
    length: float
    width: float
    disorder: float
    curl: float

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """See `Texture.render`."""
        side = OVERSAMPLING * size
        image = Image.new("L", (side, side), 128)
        brush = ImageDraw.Draw(image)
        count = max(4, int(self.count / scale**2))
        t = np.linspace(-0.5, 0.5, 6)
        turns = angle + self.disorder * rng.uniform(-1, 1, count)[:, None]
        bows = turns + self.curl * rng.choice((-1, 1), count)[:, None] * t
        steps = self.length * scale * rng.uniform(0.6, 1.4, count)[:, None] / 5
        starts = rng.uniform(-0.15, 1.1, (2, count, 1))
        path = np.stack([np.cos(bows), np.sin(bows)]) * steps
        lines = ((starts + path.cumsum(-1)) * side).transpose(1, 2, 0)
        width = max(1, round(self.width * scale * OVERSAMPLING * size / 96))
        for line, tone in zip(lines, rng.choice((20, 235), count), strict=True):
            brush.line([(float(x), float(y)) for x, y in line], fill=int(tone), width=width)
        return np.asarray(np.asarray(image.reduce(OVERSAMPLING)) / np.float32(255), np.float32)


@dataclass(frozen=True, eq=False)
class Motifs:
    """Many small copies of one shape, strewn or near a lattice, of alike or unlike size."""

    shape: Outline
    count: int
    radius: float
    order: float
    spread: float
    aligned: bool

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """See `Texture.render`."""
        side = max(2, round(np.sqrt(self.count) / scale))
        nodes = (np.stack(np.meshgrid(*2 * [np.arange(side)]), -1).reshape(-1, 2) + 0.5) / side
        strewn = rng.random(nodes.shape)
        centres = self.order * nodes + (1 - self.order) * strewn
        sizes = self.radius * scale * np.exp(rng.normal(0, self.spread, len(nodes)))
        turns = angle + (0 if self.aligned else 1) * rng.uniform(-np.pi, np.pi, len(nodes))
        poses = [
            Pose((float(x), float(y)), float(r), float(a), 0.0, 0.3)
            for (x, y), r, a in zip(centres, sizes, turns, strict=True)
        ]
        cover, inside = draw_outlines(self.shape, poses, size, rng)
        return np.asarray(cover - 0.5 * inside * cover, np.float32)


@dataclass(frozen=True, eq=False)
class Tiles:
    """One shape repeated on a slanted lattice, like a woven or printed pattern."""

    shape: Outline
    repeats: float
    shift: float
    mirrored: bool

    def render(self, size: int, rng: Generator, angle: float, scale: float) -> Gray:
        """See `Texture.render`."""
        pose = Pose((0.5, 0.5), 0.42, 0.0, 0.0, 0.25)
        tile, inside = draw_outlines(self.shape, [pose], 32, rng)
        x, y = _plane(size, angle, scale)
        row = y * self.repeats + rng.random()
        column = x * self.repeats + self.shift * np.floor(row) + rng.random()
        i, j = ((v % 1.0 * 32).astype(np.int64) % 32 for v in (row, column))
        if self.mirrored:
            j = np.where(np.floor(column) % 2 > 0, 31 - j, j)
        return gaussian_filter((tile - 0.5 * inside * tile)[i, j], 0.5)


def random_field(rng: Generator) -> Field:
    """A band-limited random field."""
    bands = []
    for _ in range(int(rng.integers(1, 3))):
        centre = float(np.exp(rng.uniform(np.log(2), np.log(26))))
        kappa = float(rng.choice([0.0, 0.0, rng.uniform(0.5, 10)]))
        bands.append((centre, float(rng.uniform(0.15, 1.2)), kappa, float(rng.uniform(0.4, 1))))
    return Field(tuple(bands), str(rng.choice(list(BENDS))), float(rng.uniform(-1, 1)))


def random_grating(rng: Generator) -> Grating:
    """A grating, a grid or a weave."""
    first = float(np.exp(rng.uniform(np.log(3), np.log(16))))
    waves = [(first, 0.0)]
    for _ in range(int(rng.integers(0, 3))):
        waves.append((first * float(rng.uniform(0.4, 2.0)), float(rng.uniform(0.3, np.pi - 0.3))))
    warp = float(rng.choice([0.0, rng.uniform(0.3, 2.5)]))
    return Grating(tuple(waves), float(rng.uniform(0.3, 5)), bool(rng.random() < 0.5), warp)


def random_cells(rng: Generator) -> CellField:
    """A Voronoi texture."""
    count = int(np.exp(rng.uniform(np.log(6), np.log(160))))
    stretch = float(rng.choice([1.0, rng.uniform(0.25, 0.8)]))
    mode = str(rng.choice(["bump", "wall", "tone", "pane"]))
    return CellField(count, float(rng.uniform(0, 1)), stretch, mode)


def random_strokes(rng: Generator) -> Strokes:
    """Hatching, fibres or curls."""
    length = float(np.exp(rng.uniform(np.log(0.05), np.log(0.6))))
    count = int(rng.uniform(0.5, 2.0) * 14 / length**0.8)
    disorder = float(rng.choice([rng.uniform(0, 0.4), rng.uniform(0.4, np.pi)]))
    curl = float(rng.choice([0.0, rng.uniform(0.5, 5)]))
    return Strokes(min(count, 160), length, float(rng.uniform(0.7, 3.5)), disorder, curl)


def random_motifs(rng: Generator) -> Motifs:
    """Spots of some form."""
    shape = (random_polygon, random_wave, random_outline)[rng.integers(3)](rng)
    count = int(np.exp(rng.uniform(np.log(6), np.log(70))))
    radius = float(rng.uniform(0.25, 0.5) / np.sqrt(count))
    order = float(rng.choice([0.0, rng.uniform(0.3, 1.0)]))
    return Motifs(shape, count, radius, order, float(rng.uniform(0, 0.6)), bool(rng.random() < 0.5))


def random_tiles(rng: Generator) -> Tiles:
    """A periodic pattern."""
    shift = float(rng.choice([0.0, 0.5, rng.random()]))
    return Tiles(random_outline(rng), float(rng.uniform(2, 8)), shift, bool(rng.random() < 0.3))


def random_texture(rng: Generator) -> Texture:
    """Any texture; random fields are as likely as two other kinds together."""
    return MAKERS[rng.integers(len(MAKERS))](rng)


@lru_cache(maxsize=4)
def _spectrum(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    fx, fy = np.fft.rfftfreq(size) * size, np.fft.fftfreq(size)[:, None] * size
    return np.maximum(np.hypot(fx, fy), 1e-3), np.arctan2(fy, fx)


def _plane(size: int, angle: float, scale: float) -> tuple[Gray, Gray]:
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    return cos * x + sin * y, cos * y - sin * x


def _unit(values: NDArray[np.floating]) -> Gray:
    centred = (values - values.mean()) / (4 * values.std() + 1e-6)
    return np.clip(centred + 0.5, 0, 1).astype(np.float32)


BENDS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "linear": lambda v, _: v,
    "ridge": lambda v, p: -np.abs(v - 0.5 * p),
    "step": lambda v, p: np.tanh(6 * (v - p)),
    "contour": lambda v, p: np.sin((2.5 + 1.5 * p) * v),
    "spike": lambda v, p: np.sign(p) * np.maximum(v - abs(p), 0),
}
MAKERS: tuple[Callable[[Generator], Texture], ...] = (
    random_field,
    random_field,
    random_grating,
    random_cells,
    random_strokes,
    random_motifs,
    random_tiles,
)
SMOOTH = Field(((2.0, 0.6, 0.0, 1.0),), "linear", 0.0)
