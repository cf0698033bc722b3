"""Views: fixed changes that depend on the image, the seed and the number alone."""

from typing import Any

import numpy as np
import pytest

from tl_keras.data.views import View, changing

PIXELS = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
DIGESTS = np.array([bytes([number]) * 16 for number in range(6)], "V16")
VIEW = View("light", 0, 0)


def changed(view: View, rows: Any = slice(None)) -> np.ndarray:
    change = changing(view.level, (8, 8, 3))
    return np.asarray(change(PIXELS[rows], view, DIGESTS[rows]))


@pytest.mark.parametrize("level", ["light", "strong"])
def test_every_image_changes_in_its_own_way(level: str) -> None:
    change = changing(level, (8, 8, 3))
    same = np.repeat(PIXELS[:1], 6, axis=0)
    images = np.asarray(change(same, View(level, 0, 0), DIGESTS))
    assert len(np.unique(images.reshape(6, -1), axis=0)) == 6
    assert images.min() >= 0
    assert images.max() <= 255


def test_a_change_does_not_depend_on_the_batch() -> None:
    np.testing.assert_array_equal(changed(VIEW, [4, 1]), changed(VIEW)[[4, 1]])


def test_a_view_is_the_same_each_time() -> None:
    change = changing("light", (8, 8, 3))
    first, second = (np.asarray(change(PIXELS, VIEW, DIGESTS)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("other", [View("light", 1, 0), View("light", 0, 1)])
def test_seeds_and_numbers_differ(other: View) -> None:
    assert np.abs(changed(VIEW) - changed(other)).mean() > 1
