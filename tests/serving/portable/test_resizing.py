"""Resizing without TensorFlow gives its numbers, bit for bit."""

from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config.schema import ResizeMode
from tl_keras.data.decoding import interpolate as by_tensorflow
from tl_keras.data.decoding import resize_image
from tl_keras.serving.portable.resizing import interpolate, resize, spans

CHANCE = np.random.default_rng(0)
SIZES = [(1, 1), (1, 4000), (4000, 1), (2, 3), (96, 96), (192, 48), (97, 95), (313, 200)]
SIZES += [(int(high), int(wide)) for high, wide in CHANCE.integers(1, 300, (12, 2))]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_sums_before_they_are_rounded(size: tuple[int, int]) -> None:
    image = noise(*size)
    for height, width in ((8, 8), (96, 96), (31, 160), (1, 5)):
        expected = by_tensorflow(tf.constant(image), height, width).numpy()
        np.testing.assert_array_equal(interpolate(image, height, width), expected)


def test_a_very_long_picture() -> None:
    # its width first: the height first would make 224 x 80,000 of it
    image = noise(3, 80_000)
    expected = by_tensorflow(tf.constant(image), 224, 224).numpy()
    np.testing.assert_array_equal(interpolate(image, 224, 224), expected)


@pytest.mark.parametrize("mode", get_args(ResizeMode))
@pytest.mark.parametrize("size", SIZES[:12], ids=str)
def test_every_way_to_make_it_square(mode: ResizeMode, size: tuple[int, int]) -> None:
    image = noise(*size)
    for side in (1, 17, 96):
        expected = resize_image(tf.constant(image), side, mode).numpy()
        np.testing.assert_array_equal(resize(image, side, mode), expected)


def test_the_matrix_by_hand() -> None:
    # each of two pixels is the mean of a triangle over three of four: 3/8, 3/8, 1/8 of them
    first, weights = spans(4, 2)
    np.testing.assert_array_equal(first, [0, 1])
    np.testing.assert_allclose(weights, [[3 / 7, 3 / 7, 1 / 7], [1 / 7, 3 / 7, 3 / 7]], atol=1e-7)
    first, weights = spans(3, 3)
    np.testing.assert_array_equal([weights[row, row - first[row]] for row in range(3)], 1)
