"""Augmentation levels: when they act, what they keep, what they never do."""

import keras
import numpy as np
import pytest

from tl_keras.augmentation_table import AUGMENTATIONS
from tl_keras.config.schema import SearchConfig, TrainingConfig
from tl_keras.data.augmentation import augmentation_layers

RANDOM_LEVELS = pytest.mark.parametrize("level", [name for name in AUGMENTATIONS if name != "none"])


def changed(level: str, images: np.ndarray, *, training: bool = True) -> np.ndarray:
    keras.utils.set_random_seed(5)
    outputs = images
    for layer in augmentation_layers(level):
        outputs = layer(outputs, training=training)
    return np.asarray(outputs)


def noise(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 16, 16, 3)).astype("float32")


def ramp(count: int) -> np.ndarray:
    """Images that grow brighter from left to right."""
    row = np.linspace(40, 200, 16, dtype=np.float32)
    return np.broadcast_to(row[None, None, :, None], (count, 16, 16, 3)).copy()


def slopes(images: np.ndarray) -> np.ndarray:
    """Right half less left half of each image, grey levels."""
    return images[:, :, 8:].mean(axis=(1, 2, 3)) - images[:, :, :8].mean(axis=(1, 2, 3))


def test_none_has_no_layers() -> None:
    assert augmentation_layers("none") == []


def test_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="none, light, strong; got 'heavy'"):
        augmentation_layers("heavy")


def test_a_new_row_is_a_new_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        AUGMENTATIONS, "upside down", {"RandomFlip": {"mode": "vertical", "seed": 3}}
    )
    (layer,) = augmentation_layers("upside down")
    assert isinstance(layer, keras.layers.RandomFlip)
    assert layer.get_config()["seed"] == 3
    assert TrainingConfig(augmentation="upside down").augmentation == "upside down"


def test_an_experiment_may_name_every_level() -> None:
    properties = TrainingConfig.model_json_schema()["properties"]
    assert properties["augmentation"]["enum"] == [*AUGMENTATIONS, "search"]
    assert SearchConfig(augmentations=tuple(AUGMENTATIONS))


@RANDOM_LEVELS
def test_nothing_changes_in_inference(level: str) -> None:
    np.testing.assert_array_equal(changed(level, noise(), training=False), noise())


@RANDOM_LEVELS
def test_no_layer_has_weights(level: str) -> None:
    assert all(not layer.weights for layer in augmentation_layers(level))


@RANDOM_LEVELS
def test_each_epoch_changes_images_differently(level: str) -> None:
    layers = augmentation_layers(level)
    first, second = (keras.Sequential(layers)(noise(), training=True) for _ in range(2))
    assert not np.allclose(first, second)


@RANDOM_LEVELS
def test_each_image_of_a_batch_is_changed_differently(level: str) -> None:
    same = np.repeat(noise(1), 4, axis=0)
    first, *others = changed(level, same)
    assert all(not np.allclose(first, other) for other in others)


@RANDOM_LEVELS
def test_each_layer_changes_the_images(level: str) -> None:
    for layer in augmentation_layers(level):
        assert not np.allclose(layer(noise(16), training=True), noise(16)), layer.name


@RANDOM_LEVELS
@pytest.mark.parametrize("pixel", [0.0, 255.0])
def test_pixels_stay_in_range(level: str, pixel: float) -> None:
    images = np.where(noise(16) > 127, pixel, noise(16)).astype("float32")
    outputs = changed(level, images)
    assert outputs.min() >= 0
    assert outputs.max() <= 255


@RANDOM_LEVELS
def test_augmentation_works_on_pixels_and_not_on_fractions(level: str) -> None:
    assert changed(level, noise(16)).max() > 200


@RANDOM_LEVELS
def test_shape_stays(level: str) -> None:
    assert changed(level, noise()).shape == (4, 16, 16, 3)


def test_light_never_mirrors() -> None:
    assert slopes(changed("light", ramp(200))).min() > 0


def test_strong_mirrors() -> None:
    mirrored = slopes(changed("strong", ramp(200))) < 0
    assert 0.25 < mirrored.mean() < 0.75
