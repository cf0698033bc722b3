"""The generated source task: deterministic, varied, and not told apart by colour alone."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tl_keras.drawn import procedural_textures as textures
from tl_keras.drawn.procedural_fields import BENDS, MAKERS, Field, Texture
from tl_keras.drawn.procedural_shapes import (
    Outline,
    Pose,
    draw_fractal,
    draw_outlines,
    random_maps,
)
from tl_keras.errors import DataError

ONE_CYCLE = range(len(textures.CYCLE))


@pytest.mark.parametrize("class_index", ONE_CYCLE)
def test_an_image_follows_from_its_arguments_alone(class_index: int) -> None:
    first = textures.draw(class_index, 3, 48, seed=5)
    textures.recipe.cache_clear()
    textures.draw(class_index + 1, 0, 48, seed=5)

    assert np.array_equal(first, textures.draw(class_index, 3, 48, seed=5))


@pytest.mark.parametrize("class_index", ONE_CYCLE)
def test_images_of_a_class_differ(class_index: int) -> None:
    images = [textures.draw(class_index, k, 48, seed=5).astype(float) for k in range(3)]

    assert min(np.abs(a - b).mean() for a, b in pairwise(images)) > 2


def test_an_image_has_the_asked_size_and_eight_bits() -> None:
    image = textures.draw(0, 0, 40, seed=1)

    assert image.shape == (40, 40, 3)
    assert image.dtype == np.uint8


def test_the_seed_changes_the_recipe() -> None:
    assert not np.array_equal(textures.draw(2, 0, 32, seed=1), textures.draw(2, 0, 32, seed=2))


def test_a_cycle_holds_every_family() -> None:
    assert set(textures.CYCLE) == set(textures.LAYERS)


def test_half_of_the_classes_take_any_colours() -> None:
    free = [textures.recipe(index, 7).palette is None for index in range(200)]

    assert 0.4 < np.mean(free) < 0.6


def test_mean_colour_hardly_tells_the_class() -> None:
    """A linear model on mean and spread of the channels must stay far below certain."""
    classes, each = 24, 16
    images = [[textures.draw(c, k, 32, seed=3) for k in range(each)] for c in range(classes)]
    pixels = np.array(images).reshape(classes * each, -1, 3) / 255
    colours = np.concatenate([pixels.mean(1), pixels.std(1)], axis=1)
    labels, half = np.repeat(np.arange(classes), each), np.arange(classes * each) % 2 == 0
    model = LogisticRegression(C=100, max_iter=5000).fit(colours[half], labels[half])

    assert model.score(colours[~half], labels[~half]) < 0.3


def test_generated_file_holds_the_drawn_images(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    counts = list(textures.generate(path, classes=3, per_class=2, size=24, seed=9, processes=1))
    stored = np.load(path)

    assert counts == [2, 4, 6]
    assert np.array_equal(stored[5], textures.draw(2, 1, 24, seed=9))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": 0}, "classes must be 1 or more, got 0"),
        ({"per_class": -1}, "per_class must be 1 or more, got -1"),
        ({"size": 8}, "size must be 16 pixels or more, got 8"),
    ],
)
def test_numbers_out_of_range_are_refused(
    tmp_path: Path, changed: dict[str, int], message: str
) -> None:
    numbers = {"classes": 2, "per_class": 2, "size": 24, "seed": 0} | changed

    with pytest.raises(DataError, match=message):
        next(textures.generate(tmp_path / "images.npy", **numbers))


def test_contact_sheet_has_one_row_per_class() -> None:
    sheet = textures.contact_sheet(classes=2, per_class=3, size=20, seed=1)

    assert sheet.shape == (40, 60, 3)
    assert np.array_equal(sheet[20:, 40:], textures.draw(1, 2, 20, seed=1))


@pytest.mark.parametrize("maker", dict.fromkeys(MAKERS))
def test_every_texture_fills_the_range(maker: Callable[[np.random.Generator], Texture]) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        image = maker(rng).render(48, rng, 0.3, 1.0)

        assert image.shape == (48, 48)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.max() - image.min() > 0.2


def test_a_field_keeps_to_its_band_and_direction() -> None:
    """Most power lies at the ring of 8 cycles, along the horizontal axis."""
    field = Field(((8.0, 0.2, 8.0, 1.0),), "linear", 0.0)
    image = field.render(64, np.random.default_rng(0), 0.0, 1.0)
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    cycles = np.fft.fftfreq(64) * 64
    radius = np.hypot(cycles, cycles[:, None])

    assert power[(radius > 5) & (radius < 12)].sum() / power.sum() > 0.9
    assert power[:, np.abs(cycles) > 4].sum() / power.sum() > 0.8


def test_bends_keep_the_shape_of_their_input() -> None:
    values = np.linspace(-2, 2, 9)

    assert all(bend(values, 0.5).shape == (9,) for bend in BENDS.values())


def test_a_solid_circle_covers_its_area() -> None:
    circle = Outline("wave", np.zeros((1, 1, 2)), 1.0, (0, 0.0), "solid")
    rng = np.random.default_rng(0)
    cover, inside = draw_outlines(circle, [Pose((0.5, 0.5), 0.36, 0.0, 0.0, 0.1)], 100, rng)

    # The radius of a wave without harmonics is 1 / 1.2, bent by a few hundredths.
    assert cover.mean() == pytest.approx(np.pi * 0.3**2, rel=0.12)
    assert cover[50, 50] == 1
    assert cover[5, 5] == 0
    assert inside.max() == 0


def test_a_fractal_lies_around_its_centre() -> None:
    rng = np.random.default_rng(4)
    density = draw_fractal(random_maps(rng), Pose((0.5, 0.5), 0.3, 0.0, 0.0, 0.1), 64, rng)

    assert 0 < density.mean() < 0.5
    assert density[:3].max() < 0.5


def test_generator_needs_no_tensorflow() -> None:
    code = (
        "import sys, tl_keras.drawn.procedural_textures;"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
