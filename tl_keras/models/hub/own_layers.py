"""Networks whose layers another library wrote, in layers of Keras's own."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tl_keras.errors import WeightsError
from tl_keras.models.keras_internals import called_again, layers_inside


def in_own_layers(model: Any, image_size: int, scaling: keras.Layer | None) -> keras.Model:
    """The same network, whose layers of others are replaced by what they consist of.

    A layer's `call`, given symbolic inputs, is a graph of the layers inside it. What is saved of
    such a network is loaded where there is nothing but Keras. The layers are shared with the model
    that is given; those inside others take the name of the outer one before their own.

    Args:
        model: functional, with one input and one output.
        image_size: height and width of the images that it is to take, pixels.
        scaling: what is to come before; None is nothing.

    Raises:
        WeightsError: a layer of others has weights that are in no layer inside it.
        ValueError: a layer does not take what comes of such images.
    """
    images = keras.Input((image_size, image_size, 3))
    opened = _once(model, images, images if scaling is None else scaling(images))
    while any(map(_is_foreign, opened.operations)):
        images = keras.Input((image_size, image_size, 3))
        opened = _once(opened, images, images)
    return opened


def call_opened(operation: Any, *inputs: Any, **options: Any) -> Any:
    """What an operation makes of symbolic inputs; of a layer of others, what is inside it."""
    if isinstance(operation, keras.layers.Identity):
        # Keras cannot write one that was given a policy of numbers
        return inputs[0]
    if not _is_foreign(operation):
        return operation(*inputs, **options)
    if instead := _INSTEAD.get(type(operation).__name__):
        return instead(operation, *inputs)
    _check_open(operation)
    for layer in layers_inside(operation):
        if not layer.name.startswith(operation.name):
            layer.name = f"{operation.name}_{layer.name}"
    options.pop("training", None)
    return operation.call(*inputs, **options)


def _once(model: Any, images: Any, inputs: Any) -> keras.Model:
    outputs = called_again(keras.Model(model.inputs, model.outputs), inputs, call_opened)
    return keras.Model(images, outputs[0], name=model.name)


def _is_foreign(operation: Any) -> bool:
    return type(operation).__module__.split(".")[0] != "keras"


def _check_open(layer: Any) -> None:
    inside = layers_inside(layer, nested=True)
    known = {id(weight) for each in inside for weight in each.weights}
    if any(id(weight) not in known for weight in layer.weights):
        raise WeightsError(
            f"the layer {layer.name} ({type(layer).__name__}) has weights of its own, and is none "
            "of Keras, so that exports could not be loaded. Choose another preset."
        )


def _layer_scale(layer: Any, tokens: Any) -> Any:
    """Each channel by a factor of its own."""
    scale = keras.layers.DepthwiseConv1D(1, use_bias=False, name=layer.name)
    outputs = scale(tokens)
    scale.set_weights([np.asarray(layer.lambda1)[None, :, None]])
    return outputs


# Layers with weights of their own that Keras says in other words.
_INSTEAD: Mapping[str, Callable[[Any, Any], Any]] = {"DINOV2LayerScale": _layer_scale}
