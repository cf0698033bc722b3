"""Feature bank: right activations, each computed once, known by what determines them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config.schema import TrainingConfig
from tl_keras.data.batches import Batches
from tl_keras.data.cache_entries import entries
from tl_keras.data.row_cache import RowCache
from tl_keras.data.rows import Rows, whole
from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Backbone
from tl_keras.models.blocks import set_trainable
from tl_keras.models.heads import build_head
from tl_keras.transfer.features import FeatureBank, SideBySide
from tl_keras.transfer.passes import Pass
from tl_keras.transfer.phases import TrainingGraph
from tl_keras.transfer.trainer import LabelledImages

DEPTHS = pytest.mark.parametrize("depth", [0, 1, 2, 3])
EVERY = np.arange(30)


def expected(backbone: Backbone, pixels: Rows, depth: int) -> np.ndarray:
    part = backbone.frozen_part(depth)
    assert part is not None
    return np.asarray(part(whole(pixels).astype(np.float32), training=False))


@pytest.fixture
def counted(
    make_backbone: Callable[..., Backbone], images: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> tuple[FeatureBank, list[int]]:
    """A bank, and how many images passed through the backbone at a time."""
    calls: list[int] = []

    called = Pass.__call__

    def counting(way: Pass, pixels: np.ndarray) -> Any:
        calls.append(len(pixels))
        return called(way, pixels)

    monkeypatch.setattr(Pass, "__call__", counting)
    return FeatureBank(make_backbone(), images.pixels), calls


@DEPTHS
def test_features_are_the_activations_of_the_frozen_part(
    make_backbone: Callable[..., Backbone], images: LabelledImages, depth: int
) -> None:
    backbone = make_backbone()
    rows = whole(FeatureBank(backbone, images.pixels).features(EVERY, depth))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected(backbone, images.pixels, depth), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", [4, "all"])
def test_with_nothing_frozen_the_features_are_the_pixels(
    make_backbone: Callable[..., Backbone], images: LabelledImages, depth: Any
) -> None:
    rows = whole(FeatureBank(make_backbone(), images.pixels).features(np.array([3, 1]), depth))
    assert rows.dtype == np.uint8
    np.testing.assert_array_equal(rows, images.pixels[np.array([3, 1])])


def test_positions_may_be_in_any_order_and_repeat(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    bank = FeatureBank(backbone, images.pixels)
    positions = np.array([9, 2, 9, 25, 0, 2])
    everything = FeatureBank(backbone, images.pixels).features(EVERY, 2)
    np.testing.assert_array_equal(whole(bank.features(positions, 2)), everything[positions])


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


def test_large_requests_are_computed_in_batches(counted: tuple[FeatureBank, list[int]]) -> None:
    bank, calls = counted
    bank.batch_norm_inputs(EVERY)
    assert calls == [16, 14]


def test_what_passed_all_blocks_once_need_not_pass_again(
    counted: tuple[FeatureBank, list[int]],
) -> None:
    bank, calls = counted
    bank.batch_norm_inputs(np.arange(10))
    pooled = bank.pooled(EVERY).read()
    assert calls == [10, 20]
    for cut in ("block1", "top"):
        np.testing.assert_array_equal(whole(bank.features(EVERY, 0, cut)), pooled[cut])
    bank.batch_norm_inputs(np.arange(10))
    assert calls == [10, 20]
    alone = FeatureBank(bank.backbone, bank.pixels).pooled(EVERY).read()
    for block, features in pooled.items():
        np.testing.assert_allclose(features, alone[block], rtol=1e-5, atol=1e-6)


def test_pooled_outputs_are_the_means_of_each_blocks_output(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    rows = np.array([3, 0, 8])
    pooled = FeatureBank(backbone, images.pixels).pooled(rows).read()
    scaled = images.pixels[rows].astype(np.float32) / 127.5 - 1

    assert list(pooled) == ["stem", "block1", "block2", "top"]
    for block in backbone.blocks:
        output = keras.Model(backbone.model.input, block.output)(scaled, training=False)
        means = np.mean(output, axis=(1, 2))
        np.testing.assert_allclose(pooled[block.name], means, rtol=1e-4, atol=1e-5)


def test_batch_norm_inputs_are_means_and_variances_over_an_image(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    rows = np.array([7, 2])
    found = FeatureBank(backbone, images.pixels).batch_norm_inputs(rows).read()
    scaled = images.pixels[rows].astype(np.float32) / 127.5 - 1

    assert list(found) == ["stem_bn", "block1_bn", "block2_bn"]
    for name, moments in found.items():
        taken = keras.Model(backbone.model.input, backbone.model.get_layer(name).input)(scaled)
        expected = [np.mean(taken, axis=(1, 2)), np.var(taken, axis=(1, 2))]
        np.testing.assert_allclose(moments, np.concatenate(expected, 1), rtol=1e-4, atol=1e-5)


def test_places_side_by_side_are_told_apart() -> None:
    def compute(wanted: np.ndarray, values: np.ndarray) -> None:
        values[:] = np.array([[1, 2, 3], [4, 5, 6]])[wanted]

    images = np.array([b"a" * 16, b"b" * 16], "V16")
    found = SideBySide.of(RowCache().rows({}, (3,), images, compute), {"low": 2, "high": 1})
    assert {name: values.tolist() for name, values in found.read().items()} == {
        "low": [[1, 2], [4, 5]],
        "high": [[3], [6]],
    }
    assert found.read(np.array([1, 1]), last="low")["low"].tolist() == [[4, 5], [4, 5]]
    assert list(found.read(last="low")) == ["low"]
    assert whole(found.place("high")).tolist() == [[3], [6]]


@DEPTHS
def test_features_on_the_disk_are_those_in_memory(
    make_backbone: Callable[..., Backbone], images: LabelledImages, depth: int
) -> None:
    backbone, some = make_backbone(), np.array([20, 3, 3])
    in_memory = FeatureBank(backbone, images.pixels).features(some, depth)
    on_disk = FeatureBank(backbone, images.pixels, RowCache(0)).features(some, depth)
    np.testing.assert_array_equal(whole(on_disk), whole(in_memory))


def test_stochastic_layers_of_the_frozen_part_rest(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    banks = [FeatureBank(make_backbone(drop), images.pixels) for drop in (0.0, 0.9)]
    calm, stochastic = (whole(bank.features(EVERY, 1)) for bank in banks)
    np.testing.assert_array_equal(stochastic, calm)


def test_rows_handed_out_are_copies(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    bank = FeatureBank(make_backbone(), images.pixels)
    whole(bank.features(np.arange(3), 0))[:] = -1
    assert whole(bank.features(np.arange(3), 0)).min() > -1


def test_too_deep_a_cut_is_refused(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    with pytest.raises(Exception, match=r"unfrozen_blocks must be 0 to 4 or .*; got 5"):
        FeatureBank(make_backbone(), images.pixels).features(np.arange(3), 5)


def test_one_image_alone_gives_the_digits_that_it_gives_in_company(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    company = FeatureBank(backbone, images.pixels).features(EVERY, 0)
    alone = FeatureBank(backbone, images.pixels).features(np.array([5]), 0)
    # on some processors the last bit depends on the place in the batch
    np.testing.assert_allclose(whole(alone)[0], whole(company)[5], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", ["stem", "block1", "block2", "top"])
def test_any_block_may_be_asked_for_also_pooled(
    make_backbone: Callable[..., Backbone], images: LabelledImages, block: str
) -> None:
    bank = FeatureBank(make_backbone(), images.pixels)
    outputs, pooled = whole(bank.activations(EVERY, block)), bank.pooled(EVERY).read()[block]
    np.testing.assert_allclose(pooled, outputs.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_unknown_block_is_refused(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    with pytest.raises(ValueError, match="middle"):
        FeatureBank(make_backbone(), images.pixels).activations(EVERY, "middle")


def test_a_bank_of_the_same_network_and_images_finds_everything(
    make_backbone: Callable[..., Backbone], images: LabelledImages, tmp_path: Path
) -> None:
    first, second = (
        FeatureBank(make_backbone(), images.pixels, RowCache(folder=tmp_path)) for _ in range(2)
    )
    rows = whole(first.features(EVERY, 1))
    segments = set(tmp_path.rglob("*.npy"))
    np.testing.assert_array_equal(whole(second.features(EVERY, 1)), rows)
    assert set(tmp_path.rglob("*.npy")) == segments


def test_a_cut_backbone_shares_what_lies_below_the_cut(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone, cache = make_backbone(), RowCache()
    for part in (backbone, backbone.cut_after("block2")):
        FeatureBank(part, images.pixels, cache).activations(EVERY, "block1")
    assert len(entries(cache.folder)) == 1


def keys(bank: FeatureBank, block: str | None = "block1") -> set[str]:
    """The entries of an empty cache after one question; without a block for pooled outputs."""
    if block is None:
        bank.pooled(EVERY)
    else:
        bank.activations(EVERY, block)
    return {entry.key for entry in entries(bank.cache.folder)}


def test_weights_up_to_the_block_tell_entries_apart(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone, above, below = (make_backbone() for _ in range(3))
    above.model.get_layer("block2_conv").kernel.assign_add([[[[1e-3]]]])
    below.model.get_layer("stem_bn").moving_mean.assign_add([1e-3] * 4)
    own, higher, lower = (keys(FeatureBank(b, images.pixels)) for b in (backbone, above, below))
    assert own == higher
    assert own != lower


def test_weights_are_those_of_the_moment(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    bank = FeatureBank(backbone, images.pixels)
    before = whole(bank.features(EVERY, 1))
    backbone.model.get_layer("stem_bn").moving_mean.assign_add([0.5] * 4)
    after = whole(bank.features(EVERY, 1))
    np.testing.assert_allclose(after, expected(backbone, images.pixels, 1), rtol=1e-5, atol=1e-6)
    assert not np.allclose(after, before)


def test_block_pooling_and_size_tell_entries_apart(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    scaled = replace(backbone, spec=replace(backbone.spec, scaling="torch"))
    sized = Backbone.wrap("Tiny", None, tiny_network_of(backbone, 10))
    larger = np.zeros((30, 10, 10, 3), np.uint8)
    found = [
        keys(FeatureBank(backbone, images.pixels)),
        keys(FeatureBank(backbone, images.pixels), "block2"),
        keys(FeatureBank(backbone, images.pixels), None),
        keys(FeatureBank(backbone.cut_after("block2"), images.pixels), None),
        keys(FeatureBank(scaled, images.pixels)),
        keys(FeatureBank(sized, larger)),
    ]
    assert len(set.union(*found)) == len(found)


def tiny_network_of(backbone: Backbone, size: int) -> Any:
    """The same network with the same weights for another input size."""
    network = tf.keras.models.clone_model(backbone.model, tf.keras.Input((size, size, 3)))
    network.set_weights(backbone.model.get_weights())
    return network


def test_changed_pixels_of_an_image_are_computed_again(
    counted: tuple[FeatureBank, list[int]], images: LabelledImages
) -> None:
    bank, calls = counted
    bank.features(EVERY, 1)
    changed = images.pixels[EVERY]
    changed[:2, 0, 0, 0] += 1
    other = FeatureBank(bank.backbone, changed, bank.cache)
    rows = whole(other.features(EVERY, 1))
    assert calls == [30, 2]
    np.testing.assert_allclose(rows, expected(bank.backbone, changed, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("memory", [0, 2**20])
@DEPTHS
def test_training_on_features_is_training_through_the_frozen_backbone(
    make_backbone: Callable[..., Backbone],
    images: LabelledImages,
    draw: Draw,
    depth: int,
    memory: int,
) -> None:
    """Losses and weights agree after every one of three epochs of four steps."""
    training = TrainingConfig(optimizer="sgd")
    graphs, batches = [], []
    for through_backbone in (False, True):
        backbone = make_backbone(drop=0.5 if depth < 2 else 0.0)
        head = build_head(5, 3, hidden_units=(), dropout=0.0)
        head.set_weights([np.full((5, 3), 0.1) * np.arange(3), np.zeros(3)])
        set_trainable(backbone.model, backbone.blocks, depth)
        inputs: Rows = images.pixels
        if through_backbone:
            model = backbone.augmented(depth, head, "none")
            inputs = images.pixels[draw.train]
        else:
            model = backbone.trained_part(depth, head)
            bank = FeatureBank(backbone, images.pixels, RowCache(memory))
            inputs = bank.features(draw.train, depth)
        graph = TrainingGraph.of(model, training)
        graph.start_again(0.05, 0)
        graphs.append(graph)
        weights = images.balancing_weights(draw.train)
        batches.append(Batches(inputs, images.one_hot(draw.train), 4, weights, shuffle_seed=5))
    for _ in range(3):
        losses = [graph.train(data)["loss"] for graph, data in zip(graphs, batches, strict=True)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        trained = [graph.model.trainable_weights for graph in graphs]
        for one, other in zip(*trained, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)
    assert [int(graph.optimizer.iterations) for graph in graphs] == [12, 12]
