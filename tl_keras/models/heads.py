"""The new layers on top of a backbone."""

from collections.abc import Sequence

import keras


def build_head(
    features: int, classes: int, *, hidden_units: Sequence[int], dropout: float
) -> keras.Model:
    """Dense layers from pooled features to logits, each behind dropout.

    Args:
        features: that it reads, pooled from feature maps.
        classes: number of logits.
        hidden_units: units of each hidden layer (ReLU).
        dropout: share of features dropped before each Dense layer, 0..1.

    Returns:
        A model from float32 (batch, features) to logits (batch, classes).
    """
    inputs = outputs = keras.Input((features,))
    for units in hidden_units:
        outputs = keras.layers.Dropout(dropout)(outputs)
        outputs = keras.layers.Dense(units, activation="relu")(outputs)
    outputs = keras.layers.Dropout(dropout)(outputs)
    # From random weights, large pooled features make confident wrong answers, which training on a
    # few images never undoes; zeros begin with equal probabilities, as in Kolesnikov et al. 2020.
    outputs = keras.layers.Dense(classes, kernel_initializer="zeros", dtype="float32")(outputs)
    return keras.Model(inputs, outputs, name="head")
