"""The generated source task: many classes of textures, shapes and scenes, drawn from formulas.

A class is a recipe that follows from its index and the seed alone; an image is a random drawing
of the recipe with its own position, scale, rotation, colours, lighting, blur and noise. Half of
the classes share one of a few palettes and the others take any colours, so colour alone never
tells a class. In the spirit of FractalDB (Kataoka et al. 2020, "Pre-training without Natural
Images").

The images are a source of features only; figures measured on them say nothing about photos.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tl_keras.atomic_files import reserve
from tl_keras.child_processes import starting
from tl_keras.drawn.procedural_fields import SMOOTH, Texture, random_field, random_texture
from tl_keras.drawn.procedural_shapes import (
    Gray,
    Outline,
    Points,
    draw_fractal,
    draw_outlines,
    random_glyph,
    random_maps,
    random_outline,
    random_polygon,
    random_pose,
    random_wave,
)
from tl_keras.errors import DataError

Family = Literal["texture", "mixture", "glyph", "shape", "fractal", "scene"]
Image = NDArray[np.uint8]

# A class's family is its index's place in this cycle, so adding classes changes none before them.
CYCLE: tuple[Family, ...] = (
    *("texture", "glyph", "shape", "fractal", "texture", "glyph", "mixture", "scene"),
    *("texture", "glyph", "shape", "scene", "texture", "fractal", "texture", "shape"),
)
PALETTES = 12


@dataclass(frozen=True, eq=False)
class TextureRecipe:
    """What the images of one class have in common.

    Attributes:
        family: Which of the fields below are used.
        textures: Two textures: the ground and a second one inside shapes or in a mixture.
        outlines: Shapes that appear in it.
        maps: The fractal's affine maps.
        count: Fewest and most copies of the first shape in a scene.
        radius: Smallest and largest radius of a shape, as fractions of the side.
        tilt: Largest rotation of shapes, radians.
        palette: One of the shared palettes, or None for any colours.
        polarity: 1 shapes brighter than the ground, -1 darker, 0 either.
    """

    family: Family
    textures: tuple[Texture, Texture]
    outlines: tuple[Outline, ...]
    maps: Points
    count: tuple[int, int]
    radius: tuple[float, float]
    tilt: float
    palette: int | None
    polarity: int


@lru_cache(maxsize=1024)
def recipe(class_index: int, seed: int) -> TextureRecipe:
    """The recipe of one class; the same for every number of classes."""
    rng = np.random.default_rng([seed, class_index])
    family = CYCLE[class_index % len(CYCLE)]
    upright = family == "glyph" and rng.random() < 0.6
    least = int(rng.choice([2, 4, 8]))
    small = family == "scene"
    return TextureRecipe(
        family=family,
        textures=(random_texture(rng), random_texture(rng)),
        outlines=_outlines(family, rng),
        maps=random_maps(rng),
        count=(least, 2 * least),
        radius=(0.07, 0.16) if small else (0.2, 0.42),
        tilt=0.35 if upright else float(np.pi),
        palette=int(rng.integers(PALETTES)) if rng.random() < 0.5 else None,
        polarity=int(rng.choice([-1, 0, 0, 1])),
    )


def draw(class_index: int, image_index: int, size: int, seed: int) -> Image:
    """One image of a class: (size, size, 3), 0..255; the same arguments give the same image."""
    plan = recipe(class_index, seed)
    rng = np.random.default_rng([seed, class_index, image_index + 1])
    ground, cover, inside = LAYERS[plan.family](plan, size, rng)
    return _developed(_coloured(plan, ground, cover, inside, rng), rng)


def generate(
    path: Path, classes: int, per_class: int, size: int, seed: int, processes: int = 2
) -> Iterator[int]:
    """Write all images of `classes` classes to a NumPy file, class after class.

    Args:
        path: The `.npy` file: (classes * per_class, size, size, 3) uint8, row `i` is image
            `i % per_class` of class `i // per_class`.
        classes: How many, at least 1.
        per_class: Images per class, at least 1.
        size: Side in pixels, at least 16.
        seed: Seed of recipes and drawings.
        processes: Working processes.

    Yields:
        The number of images written so far.

    Raises:
        DataError: If a number is out of range.
    """
    for name, value, least in (("classes", classes, 1), ("per_class", per_class, 1)):
        if value < least:
            raise DataError(f"{name} must be {least} or more, got {value}.")
    if size < 16:
        raise DataError(f"size must be 16 pixels or more, got {size}.")
    images = open_memmap(path, "w+", np.uint8, (classes * per_class, size, size, 3))
    reserve(path)
    tasks = [(index, per_class, size, seed) for index in range(classes)]
    # Forking a process that holds TensorFlow's threads can hang.
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_stop_with_the_parent
    )
    with starting("Then run the command again."):
        rows = pool.map(_draw_class, tasks, chunksize=2)
    try:
        for index, drawn in enumerate(rows):
            images[index * per_class : (index + 1) * per_class] = drawn
            yield (index + 1) * per_class
    finally:
        pool.shutdown(cancel_futures=True)
    images.flush()


def _stop_with_the_parent() -> None:
    """Leave Ctrl-C, which the terminal sends to every process, to the one that says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def contact_sheet(classes: int, per_class: int, size: int, seed: int) -> Image:
    """A table of images, one row of `per_class` images for each of the first `classes` classes."""
    rows = [_draw_class((index, per_class, size, seed)) for index in range(classes)]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def _draw_class(task: tuple[int, int, int, int]) -> Image:
    class_index, per_class, size, seed = task
    return np.stack([draw(class_index, k, size, seed) for k in range(per_class)])


def _outlines(family: Family, rng: Generator) -> tuple[Outline, ...]:
    if family == "glyph":
        return (random_glyph(rng),)
    if family == "shape":
        return (random_polygon(rng) if rng.random() < 0.35 else random_wave(rng, inner=0.6),)
    return (random_outline(rng), random_outline(rng))


def _texture_layers(plan: TextureRecipe, size: int, rng: Generator) -> tuple[Gray, Gray, Gray]:
    """The texture alone."""
    turn, scale = rng.uniform(-np.pi, np.pi), float(np.exp(rng.uniform(-0.35, 0.35)))
    ground = plan.textures[0].render(size, rng, turn, scale)
    return ground, np.zeros_like(ground), np.zeros_like(ground)


def _mixture_layers(plan: TextureRecipe, size: int, rng: Generator) -> tuple[Gray, Gray, Gray]:
    """Two textures, one of them in patches with soft or hard borders."""
    ground = _texture_layers(plan, size, rng)[0]
    scale = float(np.exp(rng.uniform(-0.35, 0.35)))
    inside = plan.textures[1].render(size, rng, rng.uniform(-np.pi, np.pi), scale)
    mask = SMOOTH.render(size, rng, 0.0, rng.uniform(0.6, 1.5))
    border = np.clip((mask - 0.5) * rng.uniform(3, 25) + 0.5, 0, 1)
    return ground, border.astype(np.float32), inside


def _object_layers(plan: TextureRecipe, size: int, rng: Generator) -> tuple[Gray, Gray, Gray]:
    """One shape before a ground that changes from image to image."""
    pose = random_pose(rng, plan.radius, plan.tilt)
    cover, inside = draw_outlines(plan.outlines[0], [pose], size, rng)
    return _any_ground(size, rng), cover, inside


def _fractal_layers(plan: TextureRecipe, size: int, rng: Generator) -> tuple[Gray, Gray, Gray]:
    """One fractal before a ground that changes from image to image."""
    pose = random_pose(rng, (0.28, 0.6))
    cover = draw_fractal(plan.maps, pose, size, rng)
    return _any_ground(size, rng), cover, cover


def _scene_layers(plan: TextureRecipe, size: int, rng: Generator) -> tuple[Gray, Gray, Gray]:
    """Several copies of a shape, a few of another one, before the class's own texture."""
    ground = 0.5 + 0.6 * (_texture_layers(plan, size, rng)[0] - 0.5)
    count = int(rng.integers(plan.count[0], plan.count[1] + 1))
    poses = [random_pose(rng, plan.radius) for _ in range(count)]
    cover, inside = draw_outlines(plan.outlines[0], poses, size, rng)
    others = [random_pose(rng, plan.radius) for _ in range(int(rng.integers(0, 3)))]
    second, _ = draw_outlines(plan.outlines[1], others, size, rng)
    return ground, np.maximum(cover, second), np.maximum(inside, second * 0.5)


def _any_ground(size: int, rng: Generator) -> Gray:
    """A ground that tells nothing: plain, smooth or a faint texture of any kind."""
    kind = rng.integers(4)
    if kind == 0:
        return np.full((size, size), rng.random(), np.float32)
    texture = (SMOOTH, random_field(rng), random_texture(rng))[kind - 1]
    values = texture.render(size, rng, rng.uniform(-np.pi, np.pi), 1.0)
    return np.asarray(0.5 + rng.uniform(0.1, 0.8) * (values - 0.5), np.float32)


def _coloured(plan: TextureRecipe, ground: Gray, cover: Gray, inside: Gray, rng: Generator) -> Gray:
    """Map the layers to colours: (size, size, 3), about 0..1."""
    tints = _tints(plan.palette, rng)
    contrast = float(rng.uniform(0.2, 1.0))
    if plan.family in ("texture", "mixture"):
        sign = plan.polarity or int(rng.choice([-1, 1]))
        middle = float(rng.uniform(0.3, 0.7))
        shades = middle + sign * contrast * 0.5 * np.array([-1, 1, rng.uniform(-1, 1), 1])
    else:
        sign = plan.polarity or int(rng.choice([-1, 1]))
        near, far = 0.5 - sign * rng.uniform(0.05, 0.5), 0.5 + sign * rng.uniform(0.05, 0.5)
        texture = sign * contrast * 0.25
        shades = np.array([near - texture, near + texture, far, far - sign * rng.uniform(0, 0.5)])
    colours = (shades[:, None] + tints).astype(np.float32)
    base = colours[0] + ground[..., None] * (colours[1] - colours[0])
    objects = colours[2] + inside[..., None] * (colours[3] - colours[2])
    return np.asarray(base + cover[..., None] * (objects - base))


def _tints(palette: int | None, rng: Generator) -> Points:
    """Chroma of the four colours (two of the ground, two of the objects): (4, 3), rows sum to 0."""
    if rng.random() < 0.35:
        return np.zeros((4, 3))
    if palette is None:
        hues, strength = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.02, 0.3, 4)
    else:
        own = np.random.default_rng([palette, 7])
        hues = own.uniform(0, 2 * np.pi, 4) + rng.normal(0, 0.25, 4)
        strength = own.uniform(0.03, 0.3, 4) * rng.uniform(0.6, 1.3, 4)
    thirds = np.array([0, 2, 4]) * np.pi / 3
    return np.asarray(strength[:, None] * np.cos(hues[:, None] - thirds))


def _developed(image: Gray, rng: Generator) -> Image:
    """Lighting, blur and sensor noise, then 8 bits."""
    size = len(image)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    turn, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.7) * (rng.random() < 0.6)
    light = rng.uniform(0.75, 1.2) + slope * (np.cos(turn) * x + np.sin(turn) * y)
    if rng.random() < 0.3:
        light = light - rng.uniform(0, 0.8) * (x * x + y * y)
    image = image * light[..., None].astype(np.float32)
    if rng.random() < 0.35:
        deviation = rng.uniform(0.4, 1.3) * size / 96
        image = gaussian_filter(image, (deviation, deviation, 0))
    if rng.random() < 0.7:
        channels = 1 if rng.random() < 0.5 else 3
        noise = rng.standard_normal((size, size, channels), np.float32)
        image = image + min(rng.exponential(0.025), 0.1) * noise
    return np.asarray(np.clip(image * 255 + 0.5, 0, 255), np.uint8)


LAYERS: dict[Family, Callable[[TextureRecipe, int, Generator], tuple[Gray, Gray, Gray]]] = {
    "texture": _texture_layers,
    "mixture": _mixture_layers,
    "glyph": _object_layers,
    "shape": _object_layers,
    "fractal": _fractal_layers,
    "scene": _scene_layers,
}
