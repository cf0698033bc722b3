"""Distances from the source's BatchNorm statistics."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tl_keras.data.rows import Rows, whole
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.similarity import block_distances
from tl_keras.transfer.trainer import LabelledImages

ALL = np.arange(30)


def batch_norms(backbone: Backbone) -> list[keras.layers.BatchNormalization]:
    found = backbone.model.layers
    return [layer for layer in found if isinstance(layer, keras.layers.BatchNormalization)]


def settle(backbone: Backbone, pixels: Rows) -> None:
    """Give the first BatchNorm layer the statistics that its inputs have on these images."""
    first = batch_norms(backbone)[0]
    inputs = keras.Model(backbone.model.input, first.input)(whole(pixels) / np.float32(127.5) - 1)
    first.moving_mean.assign(np.mean(inputs, axis=(0, 1, 2)))
    first.moving_variance.assign(np.var(inputs, axis=(0, 1, 2)))


def test_images_like_the_sources_are_at_no_distance(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    settle(backbone, images.pixels)
    distances = block_distances(FeatureBank(backbone, images.pixels), ALL)

    assert distances is not None
    assert list(distances) == ["stem", "block1", "block2"], "the top has no BatchNorm"
    assert distances["stem"] == pytest.approx(0, abs=1e-5)
    assert distances["block1"] > 0.01


def test_a_shift_by_one_standard_deviation_is_half_a_nat(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    settle(backbone, images.pixels)
    first = batch_norms(backbone)[0]
    spread = np.sqrt(first.moving_variance.numpy() + first.epsilon)
    first.moving_mean.assign(first.moving_mean.numpy() + spread)
    distances = block_distances(FeatureBank(backbone, images.pixels), ALL)

    assert distances is not None
    assert distances["stem"] == pytest.approx(0.5, abs=1e-4)


def test_without_batch_norm_there_is_no_distance(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    whole = make_backbone()
    bare = Backbone(whole.spec, None, whole.model, whole.blocks[-1:], whole.source_weights)

    assert block_distances(FeatureBank(bare, images.pixels), ALL) is None
