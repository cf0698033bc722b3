"""The quicker form of a network: its values, gradients and statistics are those of Keras's."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.models.fused import Normalised, fused, gains

layers = keras.layers
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 8, 8, 3)).astype("float32")


def network(*parts: keras.Layer, trainable: bool = False) -> keras.Model:
    """The layers one after the other, with random weights; BatchNorm is trainable or frozen."""
    images = outputs = keras.Input((8, 8, 3))
    for part in parts:
        outputs = part(outputs)
    model = keras.Model(images, outputs)
    model.set_weights([RNG.uniform(0.2, 1.5, w.shape) for w in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = trainable
    return model


def replaced(model: keras.Model) -> list[Normalised]:
    return [layer for layer in model.layers if isinstance(layer, Normalised)]


CONVOLUTIONS = {
    "plain": lambda: layers.Conv2D(4, 3, use_bias=False),
    "with bias, strides and padding": lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
    "dilated": lambda: layers.Conv2D(4, 3, dilation_rate=2, use_bias=False),
    "depthwise": lambda: layers.DepthwiseConv2D(3, use_bias=False),
    "depthwise, multiplied": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2),
}
NORMS: dict[str, dict[str, Any]] = {
    "whole": {},
    "no scale": {"scale": False},
    "no centre": {"center": False},
    "bare": {"scale": False, "center": False, "epsilon": 0.1},
}


@pytest.mark.parametrize("norm", list(NORMS))
@pytest.mark.parametrize("convolution", list(CONVOLUTIONS))
def test_a_frozen_norm_goes_into_the_convolution(convolution: str, norm: str) -> None:
    plain = network(
        CONVOLUTIONS[convolution](), layers.BatchNormalization(**NORMS[norm]), layers.ReLU(6.0)
    )
    quick = fused(plain)
    (joined,) = replaced(quick)
    assert joined.convolution is plain.layers[1]
    for training in (False, True):
        np.testing.assert_allclose(
            quick(IMAGES, training=training), plain(IMAGES, training=training), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("side", [8, 7])
@pytest.mark.parametrize("convolution", [layers.Conv2D, layers.DepthwiseConv2D])
def test_zeros_as_of_the_same_padding_are_left_to_the_convolution(
    convolution: Any, side: int, trainable: bool
) -> None:
    zeros = ((0, 1), (0, 1)) if side == 8 else 1
    filters = {"filters": 4} if convolution is layers.Conv2D else {}
    strided = convolution(kernel_size=3, strides=2, use_bias=False, **filters)
    plain = network(
        layers.Resizing(side, side),
        layers.ZeroPadding2D(zeros),
        strided,
        layers.BatchNormalization(),
        trainable=trainable,
    )
    quick = fused(plain)
    (joined,) = replaced(quick)
    assert joined.input.shape == (None, side, side, 3)
    for training in (False, True):
        np.testing.assert_allclose(
            quick(IMAGES, training=training), plain(IMAGES, training=training), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    "parts",
    [
        [layers.ZeroPadding2D(1), layers.Conv2D(4, 3, strides=2)],
        [layers.ZeroPadding2D(((1, 0), (1, 0))), layers.Conv2D(4, 3, strides=2)],
        [layers.ZeroPadding2D(((0, 1), (0, 1))), layers.Conv2D(4, 3, strides=2, padding="same")],
    ],
    ids=["both sides", "the other side", "more than the same padding"],
)
def test_other_zeros_stay(parts: Sequence[keras.Layer]) -> None:
    plain = network(*parts, layers.BatchNormalization())
    quick = fused(plain)
    assert parts[0] in quick.layers
    np.testing.assert_allclose(quick(IMAGES), plain(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "parts",
    [
        [layers.BatchNormalization()],
        [layers.ReLU(), layers.BatchNormalization()],
        [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()],
        [layers.SeparableConv2D(4, 3, use_bias=False), layers.BatchNormalization()],
    ],
)
def test_a_norm_after_anything_else_stays_by_itself(parts: Sequence[keras.Layer]) -> None:
    plain = network(*parts)
    (alone,) = replaced(fused(plain))
    assert alone.convolution is None
    np.testing.assert_allclose(fused(plain)(IMAGES), plain(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "parts",
    [
        [layers.BatchNormalization(axis=1)],
        [layers.GlobalAveragePooling2D(), layers.BatchNormalization()],
        [layers.LayerNormalization()],
    ],
)
def test_other_norms_are_those_of_keras(parts: Sequence[keras.Layer]) -> None:
    plain = network(*parts)
    assert not replaced(fused(plain))
    np.testing.assert_array_equal(fused(plain)(IMAGES), plain(IMAGES))


def gradients(model: keras.Model, *, training: bool) -> dict[str, np.ndarray]:
    """Of a loss that depends on every output, by the path of the variable."""
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(model(IMAGES, training=training)))
    found = tape.gradient(loss, [variable.value for variable in variables])
    return {v.path: g.numpy() for v, g in zip(variables, found, strict=True)}


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("kind", ["plain", "depthwise", "with bias, strides and padding"])
def test_gradients_are_those_of_the_plain_network(kind: str, trainable: bool) -> None:
    plain = network(
        CONVOLUTIONS[kind](), layers.BatchNormalization(), layers.ReLU(6.0), trainable=trainable
    )
    quick = fused(plain)
    expected, found = (gradients(model, training=True) for model in (plain, quick))
    assert found.keys() == expected.keys()
    for path in expected:
        np.testing.assert_allclose(found[path], expected[path], rtol=1e-3, atol=1e-3, err_msg=path)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("options", list(NORMS.values()))
def test_training_normalises_by_the_batch_and_moves_the_averages(
    options: dict[str, Any], momentum: float
) -> None:
    norm = layers.BatchNormalization(momentum=momentum, **options)
    plain = network(layers.Conv2D(4, 3), norm, trainable=True)
    start = plain.get_weights()
    expected = np.asarray(plain(IMAGES, training=True))
    averages = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    plain.set_weights(start)
    np.testing.assert_allclose(fused(plain)(IMAGES, training=True), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(norm.moving_mean, averages[0], rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, averages[1], rtol=1e-5)


def test_layers_and_weights_are_shared_and_the_model_stays() -> None:
    plain = network(layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Dropout(0.5))
    before, weights = list(plain.layers), plain.get_weights()
    quick = fused(plain)
    assert {id(variable) for variable in quick.weights} == {id(v) for v in plain.weights}
    assert quick.layers[-1] is before[-1]
    assert plain.layers == before
    for one, other in zip(plain.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    plain.layers[1].kernel.assign(2 * plain.layers[1].kernel)
    np.testing.assert_allclose(quick(IMAGES), plain(IMAGES), rtol=1e-4, atol=1e-5)


def test_a_convolution_that_others_read_too_is_still_there() -> None:
    images = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(3, 3, padding="same")(images)
    plain = keras.Model(
        images, [convolved, layers.Add()([convolved, layers.BatchNormalization()(convolved)])]
    )
    plain.trainable = False
    for found, expected in zip(fused(plain)(IMAGES), plain(IMAGES), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("convolution", list(CONVOLUTIONS))
def test_the_gain_is_what_a_step_of_the_convolution_is_multiplied_by(convolution: str) -> None:
    plain = network(CONVOLUTIONS[convolution](), layers.BatchNormalization(epsilon=0.0))
    _, before, norm = plain.layers
    channels = norm.gamma.shape[0]
    norm.gamma.assign([-3.0] + [1.0] * (channels - 1))
    norm.moving_variance.assign([0.25] + [4.0] * (channels - 1))
    expected = ((6.0**2 + (channels - 1) * 0.5**2) / channels) ** 0.5
    found = gains(fused(plain))
    assert found.keys() == {id(variable) for variable in before.weights}
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-6)


def test_a_norm_after_no_convolution_multiplies_no_kernel() -> None:
    assert (
        gains(fused(network(layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization()))) == {}
    )
