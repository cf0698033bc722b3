"""Feature bank: right activations, each computed once."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.pixels import allocate
from tl_keras.models.classifier import Backbone
from tl_keras.transfer import features
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.training import LabelledImages

DEPTHS = pytest.mark.parametrize("depth", [0, 1, 2, 3])


def expected(backbone: Backbone, pixels: np.ndarray, depth: int) -> np.ndarray:
    part = backbone.frozen_part(depth)
    assert part is not None
    return np.asarray(part(pixels.astype(np.float32), training=False))


@pytest.fixture
def counted(
    make_backbone: Callable[..., Backbone], images: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> tuple[FeatureBank, list[int]]:
    """A bank, and how many images each call of the frozen part took."""
    calls: list[int] = []

    def counting(*arguments: Any, **options: Any) -> Callable[[Any], Any]:
        forward = tf.function(*arguments, **options)

        def call(batch: Any) -> Any:
            calls.append(len(batch))
            return forward(batch)

        return call

    tensorflow = SimpleNamespace(
        function=counting, cast=tf.cast, float32=tf.float32, TensorSpec=tf.TensorSpec
    )
    monkeypatch.setattr(features, "tf", tensorflow)
    return FeatureBank(make_backbone(), images.pixels), calls


@DEPTHS
def test_features_are_the_activations_of_the_frozen_part(
    make_backbone: Callable[..., Backbone], images: LabelledImages, depth: int
) -> None:
    backbone = make_backbone()
    rows = FeatureBank(backbone, images.pixels).features(np.arange(30), depth)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected(backbone, images.pixels, depth), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", [4, "all"])
def test_with_nothing_frozen_the_features_are_the_pixels(
    make_backbone: Callable[..., Backbone], images: LabelledImages, depth: Any
) -> None:
    rows = FeatureBank(make_backbone(), images.pixels).features(np.array([3, 1]), depth)
    assert rows.dtype == np.uint8
    np.testing.assert_array_equal(rows, images.pixels[[3, 1]])


def test_positions_may_be_in_any_order_and_repeat(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    bank = FeatureBank(backbone, images.pixels)
    positions = np.array([9, 2, 9, 25, 0, 2])
    everything = FeatureBank(backbone, images.pixels).features(np.arange(30), 2)
    np.testing.assert_array_equal(bank.features(positions, 2), everything[positions])


def test_each_image_is_computed_once(counted: tuple[FeatureBank, list[int]]) -> None:
    bank, calls = counted
    bank.features(np.array([4, 7, 4]), 1)
    bank.features(np.array([7, 4]), 1)
    bank.features(np.array([7, 8, 5]), 1)
    assert calls == [2, 2]


def test_each_depth_has_its_own_features(counted: tuple[FeatureBank, list[int]]) -> None:
    bank, calls = counted
    shapes = [bank.features(np.arange(2), depth).shape for depth in (0, 1, 2)]
    assert shapes == [(2, 5), (2, 1, 1, 6), (2, 4, 4, 4)]
    assert calls == [2, 2, 2]


def test_large_requests_are_computed_in_batches(
    counted: tuple[FeatureBank, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, calls = counted
    monkeypatch.setattr(features, "BATCH", 12)
    bank.features(np.arange(30), 0)
    assert calls == [12, 12, 6]


@DEPTHS
def test_features_may_be_in_a_mapped_file(
    make_backbone: Callable[..., Backbone],
    images: LabelledImages,
    monkeypatch: pytest.MonkeyPatch,
    depth: int,
) -> None:
    backbone, some = make_backbone(), np.array([20, 3, 3])
    in_memory = FeatureBank(backbone, images.pixels).features(some, depth)
    mapped: list[np.ndarray] = []

    def map_to_file(shape: tuple[int, ...], dtype: type) -> np.ndarray:
        mapped.append(allocate(shape, dtype, budget=0))
        return mapped[-1]

    monkeypatch.setattr(features, "allocate", map_to_file)
    rows = FeatureBank(backbone, images.pixels).features(some, depth)
    assert isinstance(mapped[0], np.memmap)
    np.testing.assert_array_equal(rows, in_memory)


def test_stochastic_layers_of_the_frozen_part_rest(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    banks = [FeatureBank(make_backbone(drop), images.pixels) for drop in (0.0, 0.9)]
    calm, stochastic = (bank.features(np.arange(30), 1) for bank in banks)
    np.testing.assert_array_equal(stochastic, calm)


def test_rows_handed_out_are_copies(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    bank = FeatureBank(make_backbone(), images.pixels)
    bank.features(np.arange(3), 0)[:] = -1
    assert bank.features(np.arange(3), 0).min() > -1


def test_too_deep_a_cut_is_refused(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    with pytest.raises(Exception, match=r"unfrozen_blocks must be 0 to 4 or .*; got 5"):
        FeatureBank(make_backbone(), images.pixels).features(np.arange(3), 5)
