"""A classifier of one's own: a copy that needs Keras alone, and that nothing else changes."""

import keras

from tl_keras.models.backbone import Frozen
from tl_keras.models.blocks import leaves
from tl_keras.models.networks import settle
from tl_keras.models.own_network.open_network import rebuilt

# Of the layers that a classifier may have, which `fit` trains.
_TRAINS = {"backbone": False, "head": True}


def plain_classifier(model: keras.Model) -> keras.Model:
    """Copy a classifier into layers of Keras, with weights that it shares with no other model.

    The copy can be saved, loaded with `keras.models.load_model` where this package is not
    installed, and trained further. It answers as the original does. Its layers are `scaling`,
    `backbone`, `pooling` (not for a linear probe, whose backbone ends in averages), `head` and
    `probabilities`.

    As in Keras's guide to transfer learning, `fit` trains the head until layers of the backbone
    are made trainable. What is random in a backbone (drop-connect) is left out of the copy, as
    `fit` would run it in frozen layers too. To fine-tune, leave layers of BatchNormalization
    frozen: a few images would move their statistics.

    Args:
        model: images, 0..255 (batch, size, size, 3), to probabilities, as
            `Backbone.inference_model` and `probe_classifier` build it; stays as it is.

    Returns:
        A functional model from RGB pixels, 0..255 float32 (batch, size, size, 3), to probabilities
        (batch, classes); not compiled.
    """
    images = outputs = keras.Input(model.input.shape[1:], name="images")
    for layer in model.layers[1:]:
        outputs = _copy(layer)(outputs)
    copied = keras.Model(images, outputs, name="classifier")
    copied.set_weights(model.get_weights())
    for layer in leaves(copied.layers):
        settle(layer)
    for layer in copied.layers:
        if layer.name in _TRAINS:
            layer.trainable = _TRAINS[layer.name]
    return copied


def _copy(layer: keras.Layer) -> keras.Layer:
    """The same layer with new weights."""
    if not isinstance(layer, Frozen):
        return layer.from_config(layer.get_config())
    inner = keras.models.clone_model(
        layer.model, clone_function=_at_rest if layer.name == "backbone" else None
    )
    return keras.Model(inner.input, inner.output, name=layer.name)


def _at_rest(layer: keras.Layer) -> keras.Layer:
    at_rest = {"rate": 0.0} if isinstance(layer, keras.layers.Dropout) else {}
    return rebuilt(layer, **at_rest)
