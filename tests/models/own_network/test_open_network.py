"""A network of one's own becomes one flat graph that ends with its last feature map."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.own_networks import convolved, nested, residual, separable, trained, with_classifier
from tl_keras.errors import WeightsError
from tl_keras.models.blocks import find_blocks
from tl_keras.models.own_network.graph_blocks import blocks_of_graph
from tl_keras.models.own_network.open_network import (
    UnfitError,
    copied,
    described,
    from_description,
    opened,
)


def pixels(side: int = 32) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (2, side, side, 3)).astype("float32")


def last_map(model: keras.Model) -> keras.Model:
    """What a classifier pools, by the name that Keras gives."""
    (pool,) = [x for x in model.layers if isinstance(x, keras.layers.GlobalAveragePooling2D)]
    return keras.Model(model.input, pool.input)


@pytest.mark.parametrize("build", [residual, separable])
def test_a_network_without_classifier_stays_what_it_is(build: Callable[[], keras.Model]) -> None:
    model = trained(build())
    np.testing.assert_array_equal(opened(model, 32)(pixels()), model(pixels()))


@pytest.mark.parametrize("build", [with_classifier, nested])
def test_a_classifier_is_left_out(build: Callable[[], keras.Model]) -> None:
    model = trained(build())
    network = opened(model, 32)
    np.testing.assert_array_equal(network(pixels()), last_map(model)(pixels()))
    assert not any(isinstance(layer, keras.Model) for layer in network.layers)


def test_a_sequential_model_with_dense_layers_on_all_positions() -> None:
    below = trained(residual())
    flat = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((32, 32, 3)), below, *flat])
    np.testing.assert_array_equal(opened(model, 32)(pixels()), below(pixels()))
    assert copied(opened(model, 32), 64).output.shape == (None, 32, 32, 4)


def test_a_classifier_of_convolutions_is_left_out() -> None:
    below = trained(residual())
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(below.output)
    answers = keras.layers.Flatten()(keras.layers.Conv2D(5, 1)(pooled))
    network = opened(keras.Model(below.input, keras.layers.Softmax()(answers)), 32)
    np.testing.assert_array_equal(network(pixels()), below(pixels()))


def test_scores_at_every_place_are_no_features() -> None:
    below = trained(residual())
    scores = keras.layers.ReLU()(keras.layers.Conv2D(5, 1)(below.output))
    answers = keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(scores))
    network = opened(keras.Model(below.input, answers), 32)
    np.testing.assert_array_equal(network(pixels()), below(pixels()))


def test_a_copy_is_of_another_size_and_shares_nothing() -> None:
    network = opened(trained(residual()), 32)
    larger, random = copied(network, 64), copied(network, 32, source_weights=False)
    same = trained(residual(64))
    np.testing.assert_allclose(larger(pixels(64)), same(pixels(64)), rtol=1e-5, atol=1e-5)
    assert {*map(id, network.weights)}.isdisjoint(map(id, [*larger.weights, *random.weights]))
    assert np.abs(random.get_weights()[0] - network.get_weights()[0]).max() > 0


def test_random_weights_leave_the_scaling_of_pixels_alone() -> None:
    images = keras.Input((32, 32, 3))
    normal = keras.layers.Normalization()
    outputs = convolved(normal(images), 4)
    normal.adapt(pixels())
    network = opened(keras.Model(images, outputs), 32)
    random = copied(network, 32, source_weights=False)
    again = from_description(described(network), network.get_weights())
    scaled = [keras.Model(each.input, each.layers[1].output) for each in (random, again)]
    for each in scaled:
        np.testing.assert_array_equal(each(pixels()), normal(pixels()))
    np.testing.assert_array_equal(again(pixels()), network(pixels()))


def test_an_activation_may_be_used_at_several_places() -> None:
    relu, images = keras.layers.ReLU(), keras.Input((32, 32, 3))
    outputs = relu(keras.layers.Conv2D(4, 3)(relu(keras.layers.Conv2D(4, 3)(images))))
    model = trained(keras.Model(images, outputs))
    network = opened(model, 32)
    np.testing.assert_array_equal(network(pixels()), model(pixels()))
    names, rules = blocks_of_graph(network)
    assert len(names) == 2
    assert rules


def test_arithmetic_without_layers_is_kept() -> None:
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Conv2D(4, 3)(images / 127.5 - 1.0))
    network = copied(opened(model, 32), 32)
    np.testing.assert_array_equal(network(pixels()), model(pixels()))


def test_augmentation_inside_is_dropped_and_half_precision_widened() -> None:
    images = keras.Input((32, 32, 3))
    augmentation = keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomRotation(0.1)])
    convolution = keras.layers.Conv2D(4, 3, dtype="mixed_float16")
    network = opened(keras.Model(images, convolution(augmentation(images))), 32)
    assert [type(layer).__name__ for layer in network.layers] == ["InputLayer", "Conv2D"]
    assert network(pixels(), training=True).dtype == "float32"


def test_a_layer_with_weights_at_two_places_is_refused() -> None:
    images, layer = keras.Input((32, 32, 3)), keras.layers.Conv2D(3, 3, padding="same")
    with pytest.raises(WeightsError, match="is used at several"):
        opened(keras.Model(images, layer(layer(images))), 32)


def test_a_layer_that_takes_one_size_only_is_named() -> None:
    images = keras.Input((32, 32, 3))
    outputs = keras.layers.Reshape((16, 16, 16))(keras.layers.Conv2D(4, 1, name="c")(images))
    network = opened(keras.Model(images, keras.layers.Conv2D(2, 3)(outputs)), 32)
    with pytest.raises(UnfitError, match="reshape"):
        copied(network, 64)


def test_no_feature_map_is_refused() -> None:
    images = keras.Input((32, 32, 3))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    with pytest.raises(WeightsError, match="feature maps"):
        opened(keras.Model(images, outputs), 32)


def test_a_transformer_is_refused() -> None:
    images = keras.Input((32, 32, 3))
    patches = keras.layers.Reshape((16, 8))(keras.layers.Conv2D(8, 8, strides=8)(images))
    outputs = keras.layers.MultiHeadAttention(1, 4)(patches, patches)
    with pytest.raises(WeightsError, match="transformers"):
        opened(keras.Model(images, keras.layers.Dense(2)(outputs)), 32)


def slashed() -> keras.Model:
    """With names as other frameworks have them."""
    images = outputs = keras.Input((32, 32, 3))
    for number in range(3):
        outputs = keras.layers.Conv2D(2, 3, name=f"net:stage{number}.block.0.conv")(outputs)
    return keras.Model(images, outputs)


def numbered_twice() -> keras.Model:
    """With a stage and a block of it in each name."""
    images = outputs = keras.Input((32, 32, 3))
    for stage, block in ((1, 0), (1, 1), (2, 0), (2, 1)):
        outputs = keras.layers.Conv2D(2, 3, name=f"layer{stage}.{block}.conv1")(outputs)
    return keras.Model(images, outputs)


def named_at_the_end() -> keras.Model:
    """With names for a few of its blocks."""
    images = outputs = keras.Input((32, 32, 3))
    for number in range(7):
        outputs = convolved(outputs, 2, f"block{number}" if number > 3 else "")
    return keras.Model(images, outputs)


@pytest.mark.parametrize(
    ("network", "blocks"),
    [
        (named_at_the_end, tuple(f"block_{number}" for number in range(1, 8))),
        (slashed, tuple(f"net_stage{number}.block.0" for number in range(3))),
        (numbered_twice, ("layer1.0", "layer1.1", "layer2.0", "layer2.1")),
        (lambda: residual(named=True), ("stem", "block1", "block2", "block3")),
        (residual, ("block_1", "block_2", "block_3", "block_4")),
        (separable, ("block_1", "block_2", "block_3")),
    ],
)
def test_blocks_are_named_and_hold_every_layer(
    network: Callable[[], keras.Model], blocks: tuple[str, ...]
) -> None:
    from tl_keras.backbone_table import BackboneSpec

    model = opened(network(), 32)
    names, rules = blocks_of_graph(model)
    assert names == blocks
    spec = BackboneSpec("own", "tf", 32, 32, 1.0, names, rules, file_digest="0")
    found = find_blocks(model, spec)
    assert [layer for block in found for layer in block.layers] == model.layers
    assert all(len(block.output.shape) == 4 for block in found)


def test_names_leave_room_for_layers_around() -> None:
    images = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 255, name="scaling")(images)
    branches = [convolved(scaled, 4, "block1"), convolved(scaled, 2, "beside")]
    joined = keras.layers.Concatenate(name="concatenate")(branches)
    outputs = keras.layers.Conv2D(4, 3, name="conv2d")(joined)
    found = opened(keras.Model(images, outputs + outputs), 32)
    keras.backend.clear_session()
    outputs = keras.layers.Concatenate()([found.output, found.output + found.output])
    outputs = keras.layers.Conv2D(2, 1)(outputs)
    around = keras.layers.Rescaling(1.0, name="scaling")(outputs)
    # Keras refuses a name that is there twice
    assert keras.Model(found.input, around).layers
