"""The same network with less to compute: normalisation within convolutions, or as one operation."""

from typing import Any

import keras
import tensorflow as tf

from tl_keras.models.keras_internals import origin


def fused(model: keras.Model) -> keras.Model:
    """What `model` computes, from the same layers, in less time.

    Keras takes BatchNorm apart into operations that each read and write all activations. Where its
    statistics stand still it is a factor and a constant for each channel, which the convolution
    before it takes over (Jacob et al. 2018, arXiv:1712.05877, section 3.2); in training one
    operation does for it. Values and gradients differ in the last digits.

    Args:
        model: a functional one; it stays as it is.
    """
    return keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=_called
    )


class Normalised(keras.layers.Layer):
    """A BatchNorm, with the convolution before it where there is one that nothing comes after."""

    def __init__(
        self, norm: keras.layers.BatchNormalization, convolution: keras.layers.Layer | None = None
    ) -> None:
        """Take over layers that are built and keep their weights."""
        super().__init__()
        self.norm, self.convolution = norm, convolution
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training and self.norm.trainable:
            convolved = inputs if self.convolution is None else self.convolution(inputs)
            return _normalised_by_batch(self.norm, convolved)
        factor, constant = _as_line(self.norm)
        if self.convolution is None:
            return inputs * factor + constant
        if self.convolution.use_bias:
            constant += self.convolution.bias * factor
        # not an addition: only this is joined with the convolution and the activation after it
        return tf.nn.bias_add(_convolved(self.convolution, inputs, factor), constant)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        if self.convolution is None:
            return keras.KerasTensor(inputs.shape)
        return self.convolution.compute_output_spec(inputs)


def _called(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """A layer in the graph that is being built."""
    if not isinstance(layer, keras.layers.BatchNormalization) or not _is_usual(layer):
        return layer(*args, **kwargs)
    before, inputs = origin(args[0])
    if _can_take_a_factor(before):
        return Normalised(layer, before)(inputs[0])
    return Normalised(layer)(args[0])


def _is_usual(norm: keras.layers.BatchNormalization) -> bool:
    rank = norm.input_spec.ndim
    return norm.axis in (-1, rank - 1) and rank == 4 and not getattr(norm, "renorm", False)


def _can_take_a_factor(layer: Any) -> bool:
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
    )


def _as_line(norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """Factor and constant of each channel, (channels,)."""
    factor = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        factor *= norm.gamma
    constant = -norm.moving_mean * factor
    return factor, constant + norm.beta if norm.center else constant


def _convolved(layer: keras.layers.Layer, inputs: Any, factor: Any) -> Any:
    """The convolution of inputs, with a factor for each channel of its outputs."""
    options = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation_rate,
    }
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = layer.kernel * tf.reshape(factor, layer.kernel.shape[2:])
        return keras.ops.depthwise_conv(inputs, kernel, **options)
    return keras.ops.conv(inputs, layer.kernel * factor, **options)


def _normalised_by_batch(norm: keras.layers.BatchNormalization, inputs: Any) -> Any:
    """In training mode: by statistics of the batch, which also move those of the layer."""
    channels = inputs.shape[-1]
    normal = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.convert_to_tensor(norm.gamma) if norm.scale else tf.ones(channels),
        offset=tf.convert_to_tensor(norm.beta) if norm.center else tf.zeros(channels),
        mean=[],
        variance=[],
        epsilon=norm.epsilon,
        is_training=True,
    )
    # The operation gives the variance of a sample; Keras keeps that of the batch itself.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance = normal.batch_variance * (count - 1) / count
    for average, found in (
        (norm.moving_mean, normal.batch_mean),
        (norm.moving_variance, variance),
    ):
        average.assign(average * norm.momentum + found * (1 - norm.momentum))
    return normal.y
