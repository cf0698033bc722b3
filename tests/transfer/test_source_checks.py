"""The conditions for transfer."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.own_networks import nested, network_for
from tl_keras.backbone_table import Scaling
from tl_keras.models.backbone import Backbone
from tl_keras.models.own_network.network_file import load_network
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.transfer.source_checks import (
    check_input,
    check_similarity,
    check_size,
    scaling_note,
    scaling_taken,
    source_notes,
)


def card(images: int | None) -> SourceCard:
    return SourceCard(
        name="faces", images=images, classes=40, image_size=96, scaling="tf", description="Faces."
    )


def test_a_source_smaller_than_the_target() -> None:
    (note,) = source_notes(card(240), 320)
    for fact in ("faces", "240 images", "fewer than the 320", "Expect little", "from scratch"):
        assert fact in note


@pytest.mark.parametrize("images", [320, 3199])
def test_a_source_that_is_not_far_larger(images: int) -> None:
    (note,) = source_notes(card(images), 320)
    for fact in ("faces", f"{images} images", "fewer than ten times the 320", "from scratch"):
        assert fact in note


@pytest.mark.parametrize("source", [card(3200), card(1_281_167), card(None), None])
def test_nothing_of_a_source_that_is_large_enough_or_not_known(source: SourceCard | None) -> None:
    assert source_notes(source, 320) == ()


@pytest.mark.parametrize(
    ("images", "finding"),
    [(3200, "fulfilled"), (3199, "doubtful"), (240, "not fulfilled"), (None, "not available")],
)
def test_the_size_of_the_source_is_checked(images: int | None, finding: str) -> None:
    assert check_size(card(images), 320).finding == finding


def test_random_weights_have_no_source() -> None:
    assert check_size(None, 320).finding == "not fulfilled"
    assert check_input(None, np.zeros((1, 8, 8, 3), np.uint8)).finding == "not available"


def colours(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, size, size, 3)).astype(np.uint8)


def test_images_like_the_sources() -> None:
    assert check_input(card(1), colours(96)).finding == "fulfilled"


def test_gray_images_and_another_scale_are_doubtful() -> None:
    gray = np.repeat(colours(20)[..., :1], 3, axis=-1)
    check = check_input(card(1), gray)

    assert check.finding == "doubtful"
    for fact in ("gray", "colour", "20 px", "96 px", "faces"):
        assert fact in check.sentence


@pytest.mark.parametrize(
    ("lower", "finding"), [(0.04, "fulfilled"), (0.15, "doubtful"), (0.4, "not fulfilled")]
)
def test_the_lower_half_of_the_blocks_tells_similarity(lower: float, finding: str) -> None:
    distances = {"a": lower, "b": lower, "c": 9.0, "d": 9.0}

    assert check_similarity(distances).finding == finding


def test_similarity_cannot_be_told_without_batch_norm() -> None:
    assert check_similarity(None).finding == "not available"


def test_of_an_unknown_source_no_colours_are_told() -> None:
    gray = np.repeat(colours(96)[..., :1], 3, axis=-1)
    check = check_input(card(None), gray)
    assert check.finding == "doubtful"
    assert "in colour" not in check.sentence


def test_pixels_that_are_scaled_twice_are_told(tmp_path: Path) -> None:
    path = tmp_path / "own.keras"
    images = keras.Input((64, 64, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(images)
    keras.Model(images, keras.layers.Conv2D(4, 3, name="block1_conv")(scaled)).save(path)

    def told(scaling: Scaling | None) -> str | None:
        model, spec = load_network(path, image_size=64, scaling=scaling, trust_code=False)
        return scaling_note(Backbone.wrap(spec, None, model), colours(64))

    assert told(None) is None
    assert told("none") is None
    assert "tf" in (told("tf") or "")


def test_how_pixels_are_scaled_is_told_with_its_reason(tmp_path: Path) -> None:
    def told(scaling: Scaling | None) -> str:
        path = tmp_path / "own.keras"
        model, spec = load_network(path, image_size=64, scaling=scaling, trust_code=False)
        return scaling_taken(Backbone.wrap(spec, None, model))

    network_for("tf").save(tmp_path / "own.keras")
    assert "-1 to 1" in told(None) and "BatchNorm" in told(None)
    assert "0 to 255" in told("none") and "BatchNorm" not in told("none")
    assert told(None) in check_input(card(1), colours(96), taken=told(None)).sentence
    nested(64).save(tmp_path / "own.keras")
    assert "itself" in told(None)
