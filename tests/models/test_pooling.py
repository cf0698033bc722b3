"""Pooling: moments of feature maps, in networks, in exports and from what is kept of images."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tl_keras.config.schema import ProbeConfig
from tl_keras.models.pooling import FLIP, MEAN, SPREAD, TURNS, VIEWS, Pooling, View, deviation

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 8, 8, 3)).astype(np.float32)
POOLINGS = [Pooling(kind, views) for kind in (MEAN, SPREAD) for views in VIEWS]


def network() -> tuple[keras.Model, list[keras.KerasTensor]]:
    """Two maps of a small network, which sees every side with different eyes."""
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 8, 3))
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


def clockwise(images: np.ndarray, quarters: int) -> np.ndarray:
    return np.rot90(images, -quarters, axes=(1, 2))


def test_turns_are_the_eight_symmetries_of_the_square_by_their_names() -> None:
    other_axis = IMAGES.transpose(0, 2, 1, 3)
    wanted = {
        "": IMAGES,
        "mirrored": IMAGES[:, :, ::-1],
        "upside down": IMAGES[:, ::-1],
        "turned by 90 degrees": clockwise(IMAGES, 1),
        "turned by 180 degrees": clockwise(IMAGES, 2),
        "turned by 270 degrees": clockwise(IMAGES, 3),
        "transposed": other_axis,
        "transposed and turned by 180 degrees": clockwise(other_axis, 2),
    }
    assert {view.words for view in VIEWS[TURNS]} == set(wanted)
    for view in VIEWS[TURNS]:
        np.testing.assert_array_equal(view.of(IMAGES), wanted[view.words])


@pytest.mark.parametrize("view", VIEWS[TURNS])
def test_maps_of_a_view_are_put_back(view: View) -> None:
    np.testing.assert_array_equal(view.back(view.of(IMAGES)), IMAGES)
    np.testing.assert_array_equal(view.of(view.back(IMAGES)), IMAGES)


def test_sets_of_views_begin_with_the_image_itself_and_need_ever_more_passes() -> None:
    assert {views[0] for views in VIEWS.values()} == {View()}
    assert [Pooling(MEAN, name).passes for name in VIEWS] == [1, 2, 8]
    for name in VIEWS:
        assert ProbeConfig.model_validate({"views": name}).views == name


@pytest.mark.parametrize("kind", [MEAN, SPREAD])
@pytest.mark.parametrize("views", [FLIP, TURNS])
def test_an_image_in_one_of_its_views_says_the_same(kind: str, views: str) -> None:
    averaged, plain = Pooling(kind, views), Pooling(kind)
    for view in VIEWS[views][1:]:
        seen = np.asarray(view.of(IMAGES))
        np.testing.assert_allclose(features(averaged, IMAGES), features(averaged, seen), atol=2e-5)
        assert np.abs(features(plain, IMAGES) - features(plain, seen)).max() > 0.01
    if kind == MEAN:
        all_views = [features(plain, np.asarray(view.of(IMAGES))) for view in VIEWS[views]]
        np.testing.assert_allclose(
            features(averaged, IMAGES), np.mean(all_views, axis=0), atol=1e-6
        )


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_kept_of_images_gives_what_the_network_gives(pooling: Pooling) -> None:
    model, outputs = network()
    maps = keras.Model(model.input, outputs[0])
    kept = []
    for view in VIEWS[pooling.views]:
        values = np.asarray(maps(np.asarray(view.of(IMAGES))))
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
