"""BatchNorm statistics of a network tell how it wants its pixels scaled."""

import keras
import numpy as np
import pytest

from tests.own_networks import convolved, nested, network_for, residual, shades
from tl_keras.backbone_table import MeanAndStd, Scaling
from tl_keras.models.own_network.scaling_fit import (
    USUAL,
    better_scaling,
    own_scaling,
    scales_inside,
    scaling_distances,
    scaling_of_source,
)

SIDE = 64


def photos(dark: bool = False) -> np.ndarray:
    return (shades() * (0.4 if dark else 1)).astype(np.uint8)


@pytest.mark.parametrize("scaling", USUAL, ids=str)
def test_the_scaling_of_a_network_is_found(scaling: Scaling) -> None:
    network = network_for(scaling)
    assert scaling_of_source(network) == scaling
    for given in USUAL:
        expected = None if given == scaling else scaling
        assert better_scaling(network, given, photos(dark=True)) == expected


@pytest.mark.parametrize("scaling", USUAL, ids=str)
def test_photos_like_those_it_learned_from_tell_a_scaling_too(scaling: Scaling) -> None:
    # pale and nearly gray, as no others
    pale = 205 + 0.15 * shades().mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    network = network_for(scaling, pale)
    for given in USUAL:
        expected = None if given == scaling else scaling
        assert better_scaling(network, given, pale.astype(np.uint8)) == expected


def test_nearly_the_same_scaling_is_no_other() -> None:
    network = network_for("tf")
    assert better_scaling(network, MeanAndStd((127.0,) * 3, (128.0,) * 3), photos()) is None


def test_distances_are_those_of_two_normal_distributions() -> None:
    images = keras.Input((2, 2, 3))
    norm = keras.layers.BatchNormalization(epsilon=0.0)
    network = keras.Model(images, norm(images))
    norm.moving_mean.assign([1.0, 1.0, 1.0])
    norm.moving_variance.assign([4.0, 4.0, 4.0])
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[0, 0] = 4
    found = scaling_distances(network, ("none",), pixels)
    assert found is not None
    # mean 2 and variance 4 beside 1 and 4
    assert found["none"] == pytest.approx(np.log(0.5 * 0.25 + 0.05), rel=1e-5)


def test_a_network_without_batch_norm_says_nothing() -> None:
    images = keras.Input((SIDE, SIDE, 3))
    network = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    assert scaling_of_source(network) is None
    assert better_scaling(network, "tf", photos()) is None


def test_statistics_that_nothing_fits_say_nothing() -> None:
    network = network_for("tf")
    network.layers[2].moving_mean.assign(np.full(16, 1e6))
    assert scaling_of_source(network) is None


def test_layers_that_scale_are_seen() -> None:
    images = keras.Input((SIDE, SIDE, 3))
    padded = keras.layers.ZeroPadding2D()(images)
    by_hand = keras.Model(images, convolved(padded / 255.0, 4))
    without = keras.Model(images, convolved(padded, 4))
    assert [scales_inside(each) for each in (nested(), by_hand, without, residual())] == [
        True,
        True,
        False,
        False,
    ]
    assert own_scaling(by_hand) == "none"
