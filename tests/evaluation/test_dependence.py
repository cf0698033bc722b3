"""What groups of images tell, against numbers worked out by hand."""

import numpy as np
import pytest
from scipy.stats import sem

from tl_keras.evaluation.dependence import (
    design_effect,
    effective_groups,
    effective_size,
    shared_groups,
    standard_error,
)

SIX_OF_TEN = np.arange(60) // 10


def test_images_that_are_all_right_count_as_many_as_their_groups() -> None:
    assert effective_size(np.ones(60), SIX_OF_TEN) == pytest.approx(6)


def test_groups_that_are_right_or_wrong_as_one_count_as_one_image_each() -> None:
    right = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 10)
    assert effective_size(right, SIX_OF_TEN) == pytest.approx(6)


def test_images_as_different_as_those_of_other_groups_count_nearly_whole() -> None:
    right = np.tile([1.0, 0.0], 400)
    size = effective_size(right, np.arange(800) // 2)
    assert 780 < size <= 800


def test_the_size_by_hand() -> None:
    """Twenty groups of two: both right in 8, neither in 4, one in 8."""
    right = np.array([1.0, 1.0] * 8 + [0.0, 0.0] * 4 + [1.0, 0.0] * 8)
    # with a group of two that nobody has seen, half right: a mean, and squares around it
    mean = (24 + 1) / 42
    beyond = (mean**2 + (1 - mean) ** 2) / 2
    alone = 24 * (1 - mean) ** 2 + 16 * mean**2 + 2 * beyond
    together = 8 * (2 - 2 * mean) ** 2 + 4 * (2 * mean) ** 2 + 8 * (1 - 2 * mean) ** 2 + 4 * beyond
    # of 21 groups, so 20 degrees of freedom
    unsure = (2.085963 / 1.959964) ** 2 * 21 / 20
    assert 20 < 40 * alone / (together * unsure) < 40
    size = effective_size(right, np.arange(40) // 2)
    assert size == pytest.approx(40 * alone / (together * unsure), rel=1e-5)


def test_an_image_of_weight_two_is_two_images() -> None:
    right, groups = np.array([1.0, 0.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 2, 2])
    weights = np.array([2.0, 1.0, 1.0, 2.0, 2.0])
    repeats = weights.astype(int)
    twice = effective_size(right.repeat(repeats), groups.repeat(repeats))
    assert effective_size(right, groups, weights=weights) == pytest.approx(twice)


def test_the_size_does_not_depend_on_the_scale_of_the_values() -> None:
    costs = np.random.default_rng(0).random(60)
    here, there = (
        effective_size(costs * scale, SIX_OF_TEN, (0.0, scale)) for scale in (1.0, 250.0)
    )
    assert here == pytest.approx(there)


def test_uneven_groups_count_as_fewer_even_ones() -> None:
    assert effective_groups(np.array([4.0, 4.0, 4.0])) == pytest.approx(3)
    assert effective_groups(np.array([6.0, 2.0])) == pytest.approx(64 / 40)
    sizes = np.array([30, 2, 2])
    right = effective_size(np.ones(34), np.repeat(np.arange(3), sizes))
    assert right == pytest.approx(34**2 / 908)


def test_without_groups_all_count() -> None:
    assert effective_size(np.ones(7), None) == 7
    assert effective_size(np.ones(2), None, weights=np.array([0.5, 2.0])) == 2.5


def test_only_groups_that_are_shared_are_groups() -> None:
    assert shared_groups(None, 3) is None
    assert shared_groups(np.array([4, 2, 9]), 3) is None
    assert shared_groups(np.array([4, 2, 4]), 3) is not None
    with pytest.raises(ValueError, match="a number per image, 4; got"):
        shared_groups(np.array([4, 2, 4]), 4)


def test_the_standard_error_is_that_of_the_groups() -> None:
    values = np.array([1.0, 3.0, 2.0, 6.0])
    assert standard_error(values, None) == standard_error(values, np.arange(4)) == sem(values)
    # sums of deviations from 3: -2 and 2; 2/1 * 8, over 4**2
    assert standard_error(values, np.array([5, 5, 8, 8])) == pytest.approx(1)
    assert np.isnan(standard_error(values, np.zeros(4, int)))
    assert np.isnan(standard_error(values[:1], None))


def test_repeating_every_image_in_its_group_changes_no_standard_error_of_the_groups() -> None:
    values = np.random.default_rng(0).random(12)
    once = standard_error(values, np.arange(12))
    assert standard_error(values.repeat(5), np.arange(12).repeat(5)) == pytest.approx(once)


def test_groups_that_answer_as_one_have_the_size_of_a_group_as_effect() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 1.0], 5)[np.newaxis]
    # together (5 * 1/4)**2 * 3 + (5 * 3/4)**2 = 18.75 * 4/3; alone 15/4 * 20/19
    assert design_effect(values, np.arange(20) // 5) == pytest.approx(25 / (15 / 4 * 20 / 19))


def test_groups_as_different_as_images_have_no_effect() -> None:
    values = np.tile([1.0, 0.0], 10)[np.newaxis]
    assert design_effect(values, np.arange(20) // 2) == 1
    assert design_effect(values, np.zeros(20, int)) == 1
    assert design_effect(np.ones((3, 20)), np.arange(20) // 2) == 1
