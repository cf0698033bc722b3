"""Probes on one's own pictures: the same table as of the pieces, and what cannot be probed."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data.rows import whole
from tl_keras.errors import DataError
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.block_probes import probe_blocks
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.trainer import LabelledImages


def test_it_is_the_table_of_cross_validation(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone, rows = make_backbone(), np.arange(30)
    groups = np.array([str(group) for group in rows // 3])
    table = probe_blocks(backbone, images.pixels, images.class_indices, groups=groups, seed=3)
    bank = FeatureBank(backbone, images.pixels)
    expected = LinearProbes(bank, images, groups, rows).cross_validate(rows, 3)
    assert table.equals(expected)
    assert table["block"].tolist()[:4] == list(backbone.block_names)


def test_a_dataset_of_names_gives_the_same(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    backbone = make_backbone()
    names = np.array(["a", "b", "c"])[images.class_indices]
    dataset = tf.data.Dataset.from_tensor_slices((images.pixels, names)).batch(7)
    numbers = probe_blocks(backbone, images.pixels, images.class_indices)
    assert probe_blocks(backbone, dataset).equals(numbers)


def test_a_part_has_fewer_blocks(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    part = make_backbone().cut_after("block1")
    table = probe_blocks(part, images.pixels, images.class_indices)
    assert table["block"].tolist()[:2] == ["stem", "block1"]
    assert table["depth"].notna().sum() == 2


def test_what_cannot_be_divided_is_refused(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    with pytest.raises(DataError, match="two groups"):
        probe_blocks(make_backbone(), whole(images.pixels)[:4], [0, 0, 1, 2])
    with pytest.raises(DataError, match="one class"):
        probe_blocks(make_backbone(), images.pixels, ["a"] * 30)
