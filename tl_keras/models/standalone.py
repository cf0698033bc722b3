"""A model with layers and weights of its own, copied from one that shares them."""

from typing import Any

import keras

from tl_keras.models.backbone import Frozen


def standalone(model: keras.Model) -> keras.Model:
    """A copy that can be saved and does not change when anything else is trained.

    Args:
        model: of functional models, layers of Keras, and `Frozen` ones, which become plain.
    """

    def copied(layer: Any) -> Any:
        inner = layer.model if isinstance(layer, Frozen) else layer
        if isinstance(inner, keras.Model):
            return standalone(inner)
        return inner.__class__.from_config(inner.get_config())

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy
