"""The new layers on top of a backbone."""

from collections.abc import Sequence

import keras


def build_head(
    channels: int, classes: int, *, hidden_units: Sequence[int], dropout: float
) -> keras.Model:
    """Dense layers from pooled features to logits, each behind dropout.

    Args:
        channels: channels of the pooled features.
        classes: number of logits.
        hidden_units: units of each hidden layer (ReLU).
        dropout: share of features dropped before each Dense layer, 0..1.

    Returns:
        A model from float32 (batch, channels) to logits (batch, classes).
    """
    features = outputs = keras.Input((channels,))
    for units in hidden_units:
        outputs = keras.layers.Dropout(dropout)(outputs)
        outputs = keras.layers.Dense(units, activation="relu")(outputs)
    outputs = keras.layers.Dropout(dropout)(outputs)
    # From random weights, large pooled features make confident wrong answers, which training on a
    # few images never undoes; zeros begin with equal probabilities, as in Kolesnikov et al. 2020.
    outputs = keras.layers.Dense(classes, kernel_initializer="zeros", dtype="float32")(outputs)
    return keras.Model(features, outputs, name="head")
