"""Parts of a draw: nested, in proportion to the classes, groups together."""

import numpy as np
import pytest

from tl_keras.data.parts import parts_of
from tl_keras.data.splits import Draw


def draw(*counts: int) -> tuple[Draw, np.ndarray]:
    """A draw with so many training images of each class, after 3 validation images."""
    labels = np.concatenate([np.full(3, 0), *(np.full(n, k) for k, n in enumerate(counts))])
    return Draw(np.arange(3, len(labels)), np.arange(3)), labels


def single(labels: np.ndarray) -> np.ndarray:
    return np.arange(len(labels)).astype(str)


def test_parts_keep_the_proportion_of_the_classes() -> None:
    whole, labels = draw(40, 20)
    parts = parts_of(whole, labels, single(labels), seed=0)
    assert list(parts) == [4, 8, 15]
    assert np.bincount(labels[parts[15].train]).tolist() == [20, 10]


def test_smaller_parts_lie_inside_larger_ones() -> None:
    whole, labels = draw(40, 40)
    parts = parts_of(whole, labels, single(labels), seed=0)
    rows = [set(part.train.tolist()) for part in parts.values()]
    assert rows[0] < rows[1] < rows[2] < set(whole.train.tolist())
    assert all((np.diff(part.train) > 0).all() for part in parts.values())


def test_validation_images_are_fewer_in_proportion_and_one_of_a_class_stays() -> None:
    labels = np.repeat([0, 1, 0, 1], [40, 40, 16, 4])
    whole = Draw(np.arange(80), np.arange(80, 100))
    parts = parts_of(whole, labels, single(labels), seed=0)
    counts = {size: np.bincount(labels[part.validation]).tolist() for size, part in parts.items()}
    assert counts == {5: [2, 1], 10: [4, 1], 20: [8, 2]}
    rows = [set(part.validation.tolist()) for part in parts.values()]
    assert rows[0] < rows[1] < rows[2] < set(whole.validation.tolist())


def test_a_seed_chooses_and_chooses_again_the_same() -> None:
    whole, labels = draw(40, 40)
    first, again, other = (
        parts_of(whole, labels, single(labels), seed)[20].train for seed in (0, 0, 1)
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_parts_too_small_for_cross_validation_are_left_out() -> None:
    whole, labels = draw(40, 8)
    assert list(parts_of(whole, labels, single(labels), seed=0)) == [6, 12]
    few, labels = draw(3, 3)
    assert list(parts_of(few, labels, single(labels), seed=0)) == [2]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_kept_together_as_far_as_numbers_allow(seed: int) -> None:
    whole, labels = draw(32, 32)
    groups = (np.arange(len(labels)) // 4).astype(str)
    half = parts_of(whole, labels, groups, seed)[16].train
    _, sizes = np.unique(groups[half], return_counts=True)
    # of every class one group may be cut, and those at the edges are cut by the draw itself
    assert (sizes == 4).sum() >= len(sizes) - 4
