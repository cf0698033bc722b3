"""BatchNorm statistics of a network trained from scratch, against numpy."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tl_keras.data.rows import whole
from tl_keras.models.backbone import Backbone
from tl_keras.transfer import batch_norm
from tl_keras.transfer.batch_norm import BatchNormStatistics
from tl_keras.transfer.trainer import LabelledImages


def trainable(backbone: Backbone) -> Backbone:
    backbone.model.trainable = True
    return backbone


def before(backbone: Backbone, layer: str, pixels: np.ndarray, *, training: bool) -> np.ndarray:
    """What enters `layer`, (images, height, width, channels)."""
    part = keras.Model(backbone.model.input, backbone.model.get_layer(layer).input)
    scaled = pixels.astype(np.float32) / 127.5 - 1
    return np.asarray(part(scaled, training=training), dtype=np.float64)


def assert_statistics(backbone: Backbone, layer: str, entering: np.ndarray) -> None:
    norm = backbone.model.get_layer(layer)
    np.testing.assert_allclose(norm.moving_mean, entering.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, entering.var((0, 1, 2)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("layer", ["stem_bn", "block1_bn", "block2_bn"])
def test_statistics_are_those_of_the_images(
    make_backbone: Callable[..., Backbone], images: LabelledImages, layer: str
) -> None:
    backbone = trainable(make_backbone())
    entering = before(backbone, layer, whole(images.pixels), training=True)
    BatchNormStatistics(backbone).estimate(images.pixels)
    assert_statistics(backbone, layer, entering)


def test_a_frozen_backbone_is_estimated_and_stays_frozen(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    trained = trainable(make_backbone())
    entering = before(trained, "block2_bn", whole(images.pixels), training=True)
    trained.model.trainable = False
    BatchNormStatistics(trained).estimate(images.pixels)
    assert_statistics(trained, "block2_bn", entering)
    assert not trained.model.trainable_weights


def test_chunks_are_put_together(
    make_backbone: Callable[..., Backbone],
    images: LabelledImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_norm, "BATCH", 10)
    backbone = trainable(make_backbone())
    entering = before(backbone, "stem_bn", whole(images.pixels), training=False)
    BatchNormStatistics(backbone).estimate(images.pixels)
    assert_statistics(backbone, "stem_bn", entering)


def test_images_sorted_by_class_are_mixed_in_each_chunk(
    make_backbone: Callable[..., Backbone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_norm, "BATCH", 8)
    dark_then_bright = np.repeat(np.array([20, 220], np.uint8), 8)[:, None, None, None]
    pixels = np.broadcast_to(dark_then_bright, (16, 8, 8, 3))
    backbone = trainable(make_backbone())
    entering = before(backbone, "block2_bn", pixels, training=True)
    BatchNormStatistics(backbone).estimate(pixels)
    assert_statistics(backbone, "block2_bn", entering)


def test_images_of_a_large_set_come_from_all_over_it(
    make_backbone: Callable[..., Backbone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_norm, "MAX_IMAGES", 4)
    black_then_white = np.repeat(np.array([0, 255], np.uint8), 4)[:, None, None, None]
    pixels = np.broadcast_to(black_then_white, (8, 8, 8, 3))
    backbone = trainable(make_backbone())
    entering = before(backbone, "stem_bn", pixels, training=True)
    BatchNormStatistics(backbone).estimate(pixels)
    assert_statistics(backbone, "stem_bn", entering)


def test_estimate_does_not_depend_on_the_statistics_before(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = trainable(make_backbone())
    statistics = BatchNormStatistics(backbone)
    statistics.estimate(images.pixels)
    once = backbone.model.get_weights()
    backbone.model.get_layer("stem_bn").moving_mean.assign(np.full(4, 100.0))
    statistics.estimate(images.pixels)
    for first, second in zip(once, backbone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_other_weights_stay(make_backbone: Callable[..., Backbone], images: LabelledImages) -> None:
    backbone = trainable(make_backbone())
    before_estimate = [weight.numpy() for weight in backbone.model.trainable_weights]
    BatchNormStatistics(backbone).estimate(images.pixels)
    for old, new in zip(before_estimate, backbone.model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_network_without_batch_norm_is_left_alone(images: LabelledImages) -> None:
    inputs = keras.Input((8, 8, 3))
    outputs = inputs
    for name in ("stem_conv", "block1_conv", "block2_conv", "top_conv"):
        outputs = keras.layers.Conv2D(2, 1, name=name)(outputs)
    backbone = Backbone.wrap("Tiny", None, keras.Model(inputs, outputs))
    BatchNormStatistics(backbone).estimate(images.pixels)
    for old, new in zip(backbone.source_weights, backbone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
