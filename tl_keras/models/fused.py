"""The same network with less to compute: normalisation within convolutions, or as one operation."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
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


def gains(model: keras.Model) -> dict[int, float]:
    """By how much BatchNorm multiplies what the convolution before it gives.

    Args:
        model: as `fused` gives it.

    Returns:
        Root mean square over the channels, by the `id` of each weight of the convolution.
    """
    return {
        id(variable): float(np.sqrt(np.mean(np.square(_as_line(layer.norm)[0]))))
        for layer in model.layers
        if isinstance(layer, Normalised) and layer.convolution is not None
        for variable in layer.convolution.weights
    }


class Normalised(keras.layers.Layer):
    """A BatchNorm, with the convolution before it where there is one that nothing comes after."""

    def __init__(
        self,
        norm: keras.layers.BatchNormalization,
        convolution: keras.layers.Layer | None = None,
        padding: str | None = None,
    ) -> None:
        """Take over layers that are built and keep their weights.

        Args:
            norm: of channels.
            convolution: before it.
            padding: of the convolution, "same" or "valid".
        """
        super().__init__()
        self.norm, self.convolution, self.padding = norm, convolution, padding
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training and self.norm.trainable:
            convolved = self._convolved(inputs)
            if self.convolution is not None and self.convolution.use_bias:
                convolved += self.convolution.bias
            return _normalised_by_batch(self.norm, convolved)
        factor, constant = _as_line(self.norm)
        if self.convolution is None:
            return inputs * factor + constant
        if self.convolution.use_bias:
            constant += self.convolution.bias * factor
        # not an addition: only this is joined with the convolution and the activation after it
        return tf.nn.bias_add(self._convolved(inputs, factor), constant)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        return keras.KerasTensor(self._convolved(keras.KerasTensor(inputs.shape)).shape)

    def _convolved(self, inputs: Any, factor: Any = None) -> Any:
        """Without bias, and with a factor for each channel of the outputs where there is one."""
        layer = self.convolution
        if layer is None:
            return inputs
        options = {
            "strides": layer.strides,
            "padding": self.padding,
            "dilation_rate": layer.dilation_rate,
        }
        kernel = layer.kernel
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            if factor is not None:
                kernel = kernel * tf.reshape(factor, kernel.shape[2:])
            return keras.ops.depthwise_conv(inputs, kernel, **options)
        return keras.ops.conv(inputs, kernel if factor is None else kernel * factor, **options)


def _called(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """A layer in the graph that is being built."""
    if not isinstance(layer, keras.layers.BatchNormalization) or not _is_usual(layer):
        return layer(*args, **kwargs)
    before, inputs = origin(args[0])
    if not _can_take_a_factor(before):
        return Normalised(layer)(args[0])
    zeros, unpadded = origin(inputs[0])
    if _pads_as_same(zeros, unpadded, before):
        return Normalised(layer, before, "same")(unpadded[0])
    return Normalised(layer, before, before.padding)(inputs[0])


def _is_usual(norm: keras.layers.BatchNormalization) -> bool:
    rank = norm.input_spec.ndim
    return norm.axis in (-1, rank - 1) and rank == 4 and not getattr(norm, "renorm", False)


def _can_take_a_factor(layer: Any) -> bool:
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
    )


def _pads_as_same(zeros: Any, inputs: Sequence[Any], convolution: Any) -> bool:
    """Whether a layer of zeros adds what the convolution would add by itself, padding "same"."""
    if type(zeros) is not keras.layers.ZeroPadding2D or convolution.padding != "valid":
        return False
    sizes = zip(
        inputs[0].shape[1:3],
        convolution.kernel_size,
        convolution.strides,
        convolution.dilation_rate,
        zeros.padding,
        strict=True,
    )
    return all(
        size is not None and tuple(added) == _same(size, (kernel - 1) * dilation + 1, stride)
        for size, kernel, stride, dilation, added in sizes
    )


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows of zeros before and after so many rows."""
    added = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return added // 2, added - added // 2


def _as_line(norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """Factor and constant of each channel, (channels,)."""
    factor = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        factor *= norm.gamma
    constant = -norm.moving_mean * factor
    return factor, constant + norm.beta if norm.center else constant


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
