"""Statistics of a backbone's blocks, against numbers worked out by hand."""

import json

import keras
import numpy as np
import pytest

from tl_keras.models.block_statistics import block_statistics
from tl_keras.models.blocks import Block


def network() -> tuple[keras.Model, tuple[Block, ...]]:
    """Two blocks: red + 2 and -blue; then half of both, cut at 0."""
    images = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(2, 1)
    second = keras.layers.Conv2D(2, 1, activation="relu")
    stem = first(images)
    dropped = keras.layers.Dropout(0.5)(stem)
    top = second(dropped)
    first.set_weights([np.array([[[[1, 0], [0, 0], [0, -1]]]]), np.array([2, 0])])
    second.set_weights([np.array([[[[0.5, 0], [0, 0.5]]]]), np.zeros(2)])
    blocks = (Block("stem", stem, (first,)), Block("top", top, (second,)))
    return keras.Model(images, top), blocks


def pictures() -> np.ndarray:
    """Two pictures of 1 x 2 pixels: red 0 2 4 6, blue 1 1 1 5."""
    pixels = np.zeros((2, 1, 2, 3), np.float32)
    pixels[..., 0] = [[[0, 2]], [[4, 6]]]
    pixels[..., 2] = [[[1, 1]], [[1, 5]]]
    return pixels


def test_mean_and_variance_per_channel_and_block() -> None:
    # stem: 2 4 6 8 and -1 -1 -1 -5; top: 1 2 3 4 and zeros; nothing is dropped in inference mode
    assert block_statistics(*network(), [pictures()]) == {
        "stem": {"mean": [5.0, -2.0], "variance": [5.0, 3.0]},
        "top": {"mean": [2.5, 0.0], "variance": [1.25, 0.0]},
    }


def test_batches_do_not_change_the_result() -> None:
    pixels = np.random.default_rng(0).normal(size=(7, 4, 4, 3)).astype(np.float32)
    whole = block_statistics(*network(), [pixels])
    parts = block_statistics(*network(), (pixels[start : start + 3] for start in (0, 3, 6)))
    for block, moments in whole.items():
        for moment, values in moments.items():
            np.testing.assert_allclose(parts[block][moment], values, rtol=1e-5)


def test_a_mean_far_from_zero_does_not_hide_the_variance() -> None:
    pixels = np.full((4, 8, 8, 3), 1000, np.float32)
    pixels[::2, ..., 0] += 0.0625
    statistics = block_statistics(*network(), [pixels])
    assert statistics["stem"]["variance"] == [pytest.approx(0.03125**2, rel=1e-4), 0.0]


def test_six_significant_digits_as_json_types() -> None:
    pixels = np.full((1, 1, 1, 3), 1 / 3, np.float32)
    statistics = block_statistics(*network(), [pixels])
    assert statistics["stem"]["mean"] == [2.33333, -0.333333]
    assert json.loads(json.dumps(statistics)) == statistics


def test_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        block_statistics(*network(), [])
