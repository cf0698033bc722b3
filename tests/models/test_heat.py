"""A photo under a map."""

import numpy as np
import pytest

from tl_keras.models.heat import overlay, relative


def test_overlay_is_the_gray_photo_where_nothing_is_hot_and_bright_where_it_is() -> None:
    image = np.full((1, 2, 3), (200, 100, 50), np.uint8)
    shown = overlay(image, np.array([[0.0, 1.0]]), strength=0.5)
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2; inferno ends in (252, 255, 164)
    np.testing.assert_allclose(shown, [[[124, 124, 124], [188, 190, 144]]], atol=1)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(image, np.full((1, 2, 3), (200, 100, 50)))


def test_overlay_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"height and width of the image, \(4, 4\); got \(2, 2\)"):
        overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((2, 2)))


def test_what_speaks_against_is_blue_and_what_speaks_for_is_red() -> None:
    image = np.full((1, 5, 3), 128, np.uint8)
    shown = overlay(image, np.array([[-1.0, -0.3, 0.0, 0.3, 0.9]]))[0].astype(int)
    assert np.sign(shown[:, 0] - shown[:, 1]).tolist() == [-1, -1, 0, 1, 1]


def test_evidence_against_its_strongest_pixel() -> None:
    np.testing.assert_array_equal(relative(np.array([[2.0, -4.0]])), [[0.5, -1]])
    np.testing.assert_array_equal(relative(np.zeros((2, 2))), np.zeros((2, 2)))
