"""A backbone by its name: loaded, cut, and what is said of a wrong name."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.own_networks import residual, trained
from tl_keras.errors import ConfigError, WeightsError
from tl_keras.models.pretrained import load_backbone

pytestmark = pytest.mark.usefixtures("tiny_backbone")


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    source = load_backbone("Tiny", weights=None, image_size=32, alpha=0.5)
    source.model.save_weights(tmp_path / "tiny.weights.h5")
    loaded = load_backbone("Tiny", weights=tmp_path / "tiny.weights.h5", image_size=48, alpha=0.5)
    assert loaded.block_names == ("stem", "block1", "top")
    assert loaded.image_size == 48
    for mine, theirs in zip(loaded.source_weights, source.source_weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_part_ends_with_its_block() -> None:
    backbone = load_backbone("Tiny", weights=None, image_size=32)
    part = backbone.cut_after("block1")
    assert part.block_names == ("stem", "block1")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    whole = keras.Model(backbone.model.input, backbone.blocks[1].output)
    np.testing.assert_array_equal(part.model(images), whole(images))


def test_an_unknown_block_is_answered_with_the_known_ones() -> None:
    backbone = load_backbone("Tiny", weights=None, image_size=32)
    with pytest.raises(ConfigError, match="stem, block1, top"):
        backbone.cut_after("block_7")
    with pytest.raises(ConfigError, match="stem, block1 for Tiny"):
        backbone.cut_after("block1").up_to("top", pooled=True)


def test_what_the_network_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MobileNetV2"):
        load_backbone("MobileNetV7", weights=None)
    with pytest.raises(ConfigError, match="at least 32"):
        load_backbone("Tiny", weights=None, image_size=16)
    with pytest.raises(WeightsError, match=r"missing\.weights\.h5"):
        load_backbone("Tiny", weights=tmp_path / "missing.weights.h5", image_size=32)


def test_a_path_is_a_network_of_ones_own(tmp_path: Path) -> None:
    network = trained(residual())
    network.save(tmp_path / "own.keras")
    loaded = load_backbone(str(tmp_path / "own.keras"), image_size=32, scaling="tf")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded.model(images), network(images))


def test_a_model_without_a_graph_is_refused() -> None:
    class Written(keras.Model):
        def call(self, images: Any) -> Any:
            return images

    with pytest.raises(ConfigError, match="functional or sequential"):
        load_backbone(Written(), image_size=32)
