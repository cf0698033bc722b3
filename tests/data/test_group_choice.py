"""Choosing whole groups: near the wish, never against what must stay behind."""

import numpy as np
import pytest

from tl_keras.data.group_choice import Wish, choose_groups, random_order


def wish(images: list[int], at_least: int = 0, leave: int = 0, leave_groups: int = 0) -> Wish:
    wanted = np.array(images)
    return Wish(wanted, np.full_like(wanted, at_least), np.full_like(wanted, leave), leave_groups)


def test_random_order_is_a_permutation() -> None:
    assert sorted(random_order(50, 3, 1)) == list(range(50))


def test_random_order_is_this_one_with_every_version() -> None:
    assert random_order(6, 0, 1, 2).tolist() == [3, 4, 1, 5, 2, 0]


def test_random_order_depends_on_every_seed() -> None:
    orders = {tuple(random_order(50, *seeds)) for seeds in [(0, 1), (1, 0), (1, 1), (0, 1, 1)]}
    assert len(orders) == 4


def test_groups_of_one_image_are_met_exactly() -> None:
    counts = np.eye(3, dtype=np.int64)[np.arange(60) % 3]
    chosen = choose_groups(counts, wish([4, 0, 20]), 0)
    assert counts[chosen].sum(axis=0).tolist() == [4, 0, 20]


def test_sum_that_exists_is_found() -> None:
    # 7 = 4 + 3 or 5 + 2 in the first class; the groups of both classes are apart.
    counts = np.array([[4, 0], [3, 0], [5, 0], [2, 0], [9, 0], [0, 6], [0, 8]])
    chosen = choose_groups(counts, wish([7, 6]), 0)
    assert counts[chosen].sum(axis=0).tolist() == [7, 6]


def test_a_rare_class_counts_as_much_as_a_common_one() -> None:
    # (18, 2) lacks a tenth of the first class, (20, 1) half of the second.
    counts = np.array([[18, 2], [20, 1]])
    assert choose_groups(counts, wish([20, 2]), 0).tolist() == [True, False]


def test_at_least_goes_before_nearness() -> None:
    counts = np.array([[10], [10], [10]])
    chosen = choose_groups(counts, wish([1], at_least=1, leave=1), 0)
    assert np.count_nonzero(chosen) == 1


def test_images_are_left_behind() -> None:
    counts = np.array([[5], [5], [1]])
    chosen = choose_groups(counts, wish([6], leave=6), 0)
    assert counts[chosen].sum() == 5


def test_groups_are_left_behind() -> None:
    counts = np.array([[10], [1], [1]])
    chosen = choose_groups(counts, wish([11], at_least=1, leave_groups=2), 0)
    assert np.count_nonzero(chosen) == 1


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_left_behind_though_at_least_so_many_images_are_chosen(seed: int) -> None:
    counts = np.array([[3], [1], [1], [1]])
    chosen = choose_groups(counts, wish([3], at_least=3, leave_groups=3), seed)
    assert chosen.tolist() == [True, False, False, False]


def test_impossible_wish_gives_what_lacks_least() -> None:
    counts = np.array([[5], [3]])
    chosen = choose_groups(counts, wish([4], at_least=4, leave=4), 0)
    assert counts[chosen].sum() == 5


def test_no_groups() -> None:
    assert choose_groups(np.zeros((0, 2), np.int64), wish([1, 1]), 0).shape == (0,)


def test_an_empty_group_is_never_chosen_and_keeps_the_order_of_the_others() -> None:
    """Where an image was left out, the others are drawn as if it were there."""
    counts = np.eye(2, dtype=np.int64)[np.arange(40) % 2]
    wish = Wish(np.full(2, 6), np.ones(2, np.int64), np.full(2, 2), 2)
    before = choose_groups(counts, wish, 0, 0)
    for row in range(40):
        empty = counts.copy()
        empty[row] = 0
        after = choose_groups(empty, wish, 0, 0)
        assert not after[row]
        # one that was chosen is replaced by the next of its class
        assert np.flatnonzero(before != after).size == (2 if before[row] else 0)
