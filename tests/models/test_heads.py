"""Heads: their shapes, their layers and their dropout."""

import keras
import numpy as np

from tl_keras.models.heads import build_head


def layers_of(head: keras.Model, kind: type[keras.layers.Layer]) -> list[keras.layers.Layer]:
    return [layer for layer in head.layers if isinstance(layer, kind)]


def test_head_maps_pooled_features_to_logits() -> None:
    head = build_head(7, 3, hidden_units=(), dropout=0.2)
    assert head.input_shape == (None, 7)
    assert head.output_shape == (None, 3)
    assert [weight.shape for weight in head.weights] == [(7, 3), (3,)]


def test_training_begins_with_equal_probabilities() -> None:
    head = build_head(7, 3, hidden_units=(5,), dropout=0.0)
    np.testing.assert_array_equal(head(np.full((2, 7), 9.0)), np.zeros((2, 3)))


def test_logits_are_not_probabilities() -> None:
    head = build_head(2, 2, hidden_units=(), dropout=0.0)
    head.set_weights([np.array([[10.0, 0.0], [0.0, -10.0]]), np.array([1.0, 2.0])])
    np.testing.assert_allclose(head(np.ones((1, 2))), [[11.0, -8.0]])


def test_each_hidden_layer_has_its_units() -> None:
    head = build_head(7, 3, hidden_units=(5, 4), dropout=0.2)
    assert [layer.units for layer in layers_of(head, keras.layers.Dense)] == [5, 4, 3]


def test_hidden_layers_are_rectified() -> None:
    head = build_head(1, 1, hidden_units=(1,), dropout=0.0)
    head.set_weights([np.array([[1.0]]), np.zeros(1), np.array([[1.0]]), np.zeros(1)])
    np.testing.assert_array_equal(head(np.array([[-2.0], [3.0]])), [[0.0], [3.0]])


def test_dropout_stands_before_each_dense_layer() -> None:
    head = build_head(7, 3, hidden_units=(5,), dropout=0.3)
    kinds = [type(layer).__name__ for layer in head.layers]
    assert kinds == ["InputLayer", "Dropout", "Dense", "Dropout", "Dense"]
    assert {layer.rate for layer in layers_of(head, keras.layers.Dropout)} == {0.3}


def test_dropout_acts_in_training_only() -> None:
    head = build_head(50, 3, hidden_units=(), dropout=0.5)
    head.set_weights([np.ones((50, 3)), np.zeros(3)])
    features = np.arange(50, dtype=np.float32)[None]
    np.testing.assert_array_equal(head(features, training=False), head(features, training=False))
    assert not np.array_equal(head(features, training=True), head(features, training=True))
