"""What a classifier costs."""

import keras
import pytest

from tl_keras.models.cost import cost_of


def network(filters: int) -> keras.Model:
    images = keras.Input((16, 16, 3))
    outputs = keras.layers.Conv2D(filters, 3)(images)
    outputs = keras.layers.BatchNormalization()(outputs)
    pooled = keras.layers.GlobalAveragePooling2D()(outputs)
    return keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))


def test_every_number_counts_frozen_ones_too() -> None:
    model = network(4)
    model.trainable = False
    cost = cost_of(model)

    # Convolution, scale, shift, mean and variance, Dense.
    assert cost.parameters == (27 * 4 + 4) + 4 * 4 + (4 * 2 + 2)
    assert cost.megabytes == pytest.approx(cost.parameters * 4 / 2**20)
    assert 0 < cost.milliseconds_per_image < 1000
