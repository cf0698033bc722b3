"""Pooling: moments of feature maps, in networks, in exports and from what is kept of images."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tl_keras.models.pooling import MEAN, SPREAD, Pooling, deviation

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 6, 8, 3)).astype(np.float32)
POOLINGS = [Pooling(kind, turned) for kind in (MEAN, SPREAD) for turned in (False, True)]


def network() -> tuple[keras.Model, list[keras.KerasTensor]]:
    """Two maps of a small network, which sees left and right with different eyes."""
    keras.utils.set_random_seed(1)
    images = keras.Input((6, 8, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    second = keras.layers.Conv2D(5, 3, 2, padding="same")(first)
    return keras.Model(images, second), [first, second]


def features(pooling: Pooling, images: np.ndarray) -> np.ndarray:
    return np.asarray(pooling.network(*network())(images))


@pytest.mark.parametrize("kind", [MEAN, SPREAD])
def test_features_are_the_moments_of_the_maps(kind: str) -> None:
    model, outputs = network()
    maps = keras.Model(model.input, outputs)(IMAGES)
    wanted = []
    for values in map(np.asarray, maps):
        wanted.append(values.mean(axis=(1, 2)))
        if kind == SPREAD:
            wanted.append(values.std(axis=(1, 2)))
    np.testing.assert_allclose(
        features(Pooling(kind), IMAGES), np.concatenate(wanted, axis=1), atol=3e-3
    )


def test_a_deviation_is_that_of_numpy_and_has_a_slope_everywhere() -> None:
    values = RNG.normal(5, [0.1, 1, 10], (1000, 3)).astype(np.float32)
    found = np.asarray(deviation(values.mean(axis=0), (values**2).mean(axis=0)))
    # a variance of less than 1e-4 of the mean square counts as rounding
    np.testing.assert_allclose(found[1:], values.std(axis=0)[1:], rtol=2e-3)
    assert 0.09 < found[0] < 0.12
    constant = np.full(3, 7.0, np.float32)
    assert (np.asarray(deviation(constant, constant**2)) < 0.01 * 7 + 1e-3).all()


@pytest.mark.parametrize("kind", [MEAN, SPREAD])
def test_of_a_mirrored_image_mirrored_pooling_says_the_same(kind: str) -> None:
    turned, plain = Pooling(kind, mirrored=True), Pooling(kind)
    np.testing.assert_allclose(
        features(turned, IMAGES), features(turned, IMAGES[:, :, ::-1]), atol=1e-5
    )
    assert np.abs(features(plain, IMAGES) - features(plain, IMAGES[:, :, ::-1])).max() > 0.01
    if kind == MEAN:
        both = (features(plain, IMAGES) + features(plain, IMAGES[:, :, ::-1])) / 2
        np.testing.assert_allclose(features(turned, IMAGES), both, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_kept_of_images_gives_what_the_network_gives(pooling: Pooling) -> None:
    model, outputs = network()
    maps = keras.Model(model.input, outputs[0])
    views = [IMAGES, IMAGES[:, :, ::-1]][: pooling.passes]
    kept = []
    for view in views:
        values = np.asarray(maps(view))
        moments = [values.mean(axis=(1, 2)), (values**2).mean(axis=(1, 2))]
        kept.append(np.concatenate(moments, axis=1).astype(np.float32))
    found = pooling.of_moments(kept)
    assert found.shape == (4, pooling.width(4)) and found.dtype == np.float32
    wanted = np.asarray(pooling.network(model, [outputs[0]])(IMAGES))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


# Keras 3.10 loads the input of a model as a list of one, and warns of what is none
@pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning")
@pytest.mark.parametrize("pooling", POOLINGS)
def test_its_networks_are_kept_in_files_of_keras(pooling: Pooling, tmp_path: Path) -> None:
    model = pooling.network(*network())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(IMAGES)), np.asarray(model(IMAGES)))


@pytest.mark.parametrize("kind", [MEAN, SPREAD])
def test_the_layer_takes_maps_of_any_size(kind: str) -> None:
    pooling = Pooling(kind)
    layer = pooling.layer(3, name="pooling")
    assert layer.name == "pooling"
    for maps in (IMAGES, IMAGES[:, :2, :3]):
        found = np.asarray(layer(maps))
        assert found.shape == (4, pooling.width(3))
        np.testing.assert_allclose(found[:, :3], maps.mean(axis=(1, 2)), atol=1e-6)
