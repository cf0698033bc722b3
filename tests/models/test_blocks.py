"""Blocks of every backbone of the table, found in its graph."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import keras
import numpy as np
import pytest

from tl_keras.backbone_table import BACKBONES, BackboneSpec
from tl_keras.errors import ConfigError
from tl_keras.models.blocks import (
    Block,
    block_of_variable,
    find_blocks,
    set_trainable,
    split_backbone,
    unfrozen_range,
)
from tl_keras.models.networks import build_backbone

EVERY_ROW = pytest.mark.parametrize("name", BACKBONES)
Built = tuple[keras.Model, tuple[Block, ...]]


@cache
def built(name: str) -> Built:
    spec = BACKBONES[name]
    backbone = build_backbone(name, image_size=spec.minimum_image_size)
    return backbone, find_blocks(backbone, spec)


def image(backbone: keras.Model) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, *backbone.input_shape[1:])).astype("float32")


def assert_parts_equal_whole(backbone: keras.Model, blocks: Sequence[Block], unfrozen: int) -> None:
    lower, upper, _ = split_backbone(backbone, blocks, unfrozen)
    assert lower is not None
    assert upper is not None
    whole = np.asarray(backbone(image(backbone), training=False))
    assert np.ptp(whole) > 0
    parts = upper(lower(image(backbone), training=False), training=False)
    np.testing.assert_array_equal(parts, whole)


def flags(backbone: keras.Model) -> dict[str, bool]:
    return {layer.path: layer.trainable for layer in backbone.layers}


@EVERY_ROW
def test_table_names_the_blocks_of_the_graph(name: str) -> None:
    _, blocks = built(name)
    assert tuple(block.name for block in blocks) == BACKBONES[name].blocks


@EVERY_ROW
def test_blocks_hold_every_layer_once(name: str) -> None:
    backbone, blocks = built(name)
    held = Counter(id(layer) for block in blocks for layer in block.layers)
    assert held == Counter(id(layer) for layer in backbone.layers)


@EVERY_ROW
def test_last_block_ends_at_the_output(name: str) -> None:
    backbone, blocks = built(name)
    assert blocks[-1].output is backbone.output


@EVERY_ROW
def test_parts_equal_the_whole(name: str) -> None:
    backbone, blocks = built(name)
    assert_parts_equal_whole(backbone, blocks, len(blocks) // 2)


@EVERY_ROW
def test_each_block_unfreezes_something(name: str) -> None:
    backbone, blocks = built(name)
    counts = [set_trainable(backbone, blocks, number) for number in range(len(blocks) + 1)]
    assert counts[0] == 0
    assert all(more > fewer for fewer, more in pairwise(counts))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121", "ConvNeXtTiny"])
def test_parts_equal_the_whole_at_every_cut(name: str) -> None:
    backbone, blocks = built(name)
    for unfrozen in range(1, len(blocks)):
        assert_parts_equal_whole(backbone, blocks, unfrozen)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "Xception"])
def test_blocks_do_not_depend_on_what_was_built_before(name: str) -> None:
    spec = BACKBONES[name]
    first, second = (
        find_blocks(build_backbone(name, image_size=spec.minimum_image_size), spec)
        for _ in range(2)
    )
    assert [[type(layer) for layer in block.layers] for block in first] == [
        [type(layer) for layer in block.layers] for block in second
    ]
    assert [layer.name for b in first for layer in b.layers] != [
        layer.name for b in second for layer in b.layers
    ]


def test_blocks_are_found_again_after_the_backbone_was_used() -> None:
    backbone, blocks = built("MobileNetV2")
    split_backbone(backbone, blocks, 3)
    backbone(keras.Input((32, 32, 3)))
    again = find_blocks(backbone, BACKBONES["MobileNetV2"])
    assert all(new.output is old.output for new, old in zip(again, blocks, strict=True))


def test_another_backbone_is_refused() -> None:
    backbone, _ = built("MobileNet")
    with pytest.raises(ValueError, match="The graph of MobileNetV2 must have the blocks stem"):
        find_blocks(backbone, BACKBONES["MobileNetV2"])


def test_rules_that_no_tensor_separates_are_refused() -> None:
    inputs = keras.Input((4,))
    left = keras.layers.Dense(3, name="left_1")(inputs)
    right = keras.layers.Dense(3, name="right_1")(inputs)
    backbone = keras.Model(inputs, keras.layers.Add()([left, right]))
    spec = BackboneSpec("Tiny", "none", 1, 1, 0.0, ("left", "right"), ((r"(left|right)_", r"\1"),))
    with pytest.raises(ValueError, match="No tensor separates the blocks left, right"):
        find_blocks(backbone, spec)


def test_nothing_unfrozen_is_the_whole_backbone_below() -> None:
    backbone, blocks = built("MobileNetV2")
    assert split_backbone(backbone, blocks, 0) == (backbone, None, None)


@pytest.mark.parametrize("everything", ["all", 19])
def test_everything_unfrozen_is_the_whole_backbone_above(everything: int) -> None:
    backbone, blocks = built("MobileNetV2")
    assert split_backbone(backbone, blocks, everything) == (None, backbone, None)


def test_parts_share_their_layers_with_the_backbone() -> None:
    backbone, blocks = built("MobileNetV2")
    lower, upper, _ = split_backbone(backbone, blocks, 2)
    assert lower is not None
    assert upper is not None
    assert lower.get_layer("block_15_add") is backbone.get_layer("block_15_add")
    assert upper.get_layer("Conv_1") is backbone.get_layer("Conv_1")


def test_split_changes_no_trainable_flag() -> None:
    backbone, blocks = built("MobileNetV2")
    set_trainable(backbone, blocks, 2)
    before = flags(backbone)
    split_backbone(backbone, blocks, 5)
    assert flags(backbone) == before


def test_trainable_layers_are_those_of_the_unfrozen_blocks() -> None:
    backbone, blocks = built("MobileNetV2")
    assert set_trainable(backbone, blocks, 2) == 4
    holding = {weight.path.split("/")[0] for weight in backbone.trainable_weights}
    assert holding == {"Conv_1", "block_16_expand", "block_16_depthwise", "block_16_project"}


def test_freezing_again_after_unfreezing_everything() -> None:
    backbone, blocks = built("MobileNetV2")
    set_trainable(backbone, blocks, "all")
    set_trainable(backbone, blocks, 1)
    assert [weight.path for weight in backbone.trainable_weights] == ["Conv_1/kernel"]


@EVERY_ROW
def test_batch_normalization_never_trains(name: str) -> None:
    backbone, blocks = built(name)
    set_trainable(backbone, blocks, "all")
    frozen = {
        layer.trainable for layer in backbone.layers if "batch" in type(layer).__name__.lower()
    }
    assert frozen <= {False}


def test_layers_inside_nested_models_are_frozen_and_unfrozen() -> None:
    backbone, blocks = built("ConvNeXtTiny")
    nested = backbone.get_layer("convnext_tiny_downsampling_block_2")
    set_trainable(backbone, blocks, 4)
    assert len(nested.trainable_weights) == 4
    set_trainable(backbone, blocks, 3)
    assert nested.trainable_weights == []


def test_a_range_splits_the_backbone_into_three() -> None:
    backbone, blocks = built("MobileNetV2")
    below, unfrozen, above = split_backbone(backbone, blocks, "block_2:block_4")
    assert below is not None
    assert unfrozen is not None
    assert above is not None
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(above(unfrozen(below(images))), backbone(images))
    assert set_trainable(backbone, blocks, "block_2:block_4") == 3 * 3
    trained = {weight.path.split("/")[0] for weight in unfrozen.trainable_weights}
    assert {name[:7] for name in trained} == {"block_2", "block_3", "block_4"}
    assert above.trainable_weights == below.trainable_weights == []


@pytest.mark.parametrize(
    ("depth", "positions"),
    [
        (0, range(19, 19)),
        (2, range(17, 19)),
        ("all", range(19)),
        ("stem:stem", range(1)),
        ("block_15:top", range(16, 19)),
    ],
)
def test_unfrozen_blocks_as_positions(depth: int | str, positions: range) -> None:
    _, blocks = built("MobileNetV2")
    assert unfrozen_range(blocks, depth) == positions


@pytest.mark.parametrize("text", ["block_4:block_2", "block_2:x", "x:block_2", "block_2", "2:3"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    _, blocks = built("MobileNetV2")
    with pytest.raises(ConfigError, match=rf"first:last .* stem, block_0.*got {text}\. Name"):
        unfrozen_range(blocks, text)


def test_every_variable_belongs_to_its_block() -> None:
    backbone, blocks = built("ConvNeXtTiny")
    found = block_of_variable(blocks)
    assert set(found) == {id(variable) for variable in backbone.weights}
    nested = backbone.get_layer("convnext_tiny_downsampling_block_2")
    names = [block.name for block in blocks]
    assert {found[id(weight)] for weight in nested.weights} == {names.index("downsampling_2")}


@pytest.mark.parametrize("number", [-1, 20])
def test_a_number_of_blocks_out_of_range_is_refused(number: int) -> None:
    backbone, blocks = built("MobileNetV2")
    with pytest.raises(ConfigError, match=f'must be 0 to 19 or "all".*got {number}'):
        set_trainable(backbone, blocks, number)
    with pytest.raises(ConfigError, match="must be 0 to 19"):
        split_backbone(backbone, blocks, number)
