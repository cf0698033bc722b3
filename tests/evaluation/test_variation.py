"""The two-way decomposition against a worked table, and the spread of the resampled means."""

import numpy as np
import pytest

from tl_keras.evaluation.variation import (
    Variation,
    decompose,
    resample_images,
    resample_seed_shifts,
)

# seed means 1/2, 1; image means 1, 1/2, 1/2, 1; mean 3/4
VALUES = np.array([[1, 0, 0, 1], [1, 1, 1, 1]], dtype=np.float64)


def test_mean_squares_match_hand_computed_numbers() -> None:
    variation = decompose(VALUES)
    assert variation.mean == pytest.approx(3 / 4)
    # 4 * 2 * (1/4)**2 over 1; 2 * 4 * (1/4)**2 over 3
    assert variation.between_seeds == pytest.approx(1 / 2)
    assert variation.between_images == pytest.approx(1 / 6)
    # total squares 6 * (1/4)**2 + 2 * (3/4)**2 = 3/2, less both, over 3
    assert variation.residual == pytest.approx((3 / 2 - 1 / 2 - 1 / 2) / 3)
    assert variation.seed_variance == pytest.approx((1 / 2 - 1 / 6) / 4)
    assert variation.image_variance == 0


def test_one_seed_varies_over_images_only() -> None:
    variation = decompose(VALUES[:1])
    assert variation.between_images == pytest.approx(1 / 3)
    assert (variation.between_seeds, variation.residual) == (0, 0)
    shifts = resample_seed_shifts(variation, 5, np.random.default_rng(0))
    assert shifts.tolist() == [0] * 5


def test_resampled_images_have_the_moments_of_a_dirichlet() -> None:
    draws = resample_images(VALUES[:1], (0.0, 1.0), 0.5, 40_000, np.random.default_rng(0))
    # Beta(2.5, 2.5): mean 1/2, variance 1/24
    assert draws.mean() == pytest.approx(1 / 2, abs=0.005)
    assert draws.var() == pytest.approx(1 / 24, rel=0.03)


def test_seed_shifts_without_residual_are_student_t() -> None:
    # three seeds that differ by the same amount on every image: no residual
    values = np.repeat([[0.25], [0.5], [0.75]], 8, axis=1)
    shifts = resample_seed_shifts(decompose(values), 200_000, np.random.default_rng(0))
    # quartile of t with 2 degrees of freedom is 0.8165; standard error 0.25 / sqrt(3)
    assert np.quantile(shifts, 0.75) == pytest.approx(0.8165 * 0.25 / 3**0.5, rel=0.02)
    # 97.5% point 4.303, where three resampled seeds could not go beyond 0.25
    assert np.quantile(shifts, 0.975) == pytest.approx(4.303 * 0.25 / 3**0.5, rel=0.03)


def test_images_that_count_as_fewer_vary_as_fewer_do() -> None:
    values, settings = np.repeat(VALUES[:1], 5, axis=1), ((0.0, 1.0), 0.5, 40_000)
    draws = resample_images(values, *settings, np.random.default_rng(0), size=4)
    # Beta(2.5, 2.5) again, though there are 20 of them
    assert draws.var() == pytest.approx(1 / 24, rel=0.03)


def test_seeds_that_differ_by_chance_alone_often_shift_nothing() -> None:
    variation = Variation(0.5, 1.0, 1.0, 1.0, n_seeds=3, n_images=100)
    shifts = resample_seed_shifts(variation, 100_000, np.random.default_rng(0))
    # where 2 / chi-square of two degrees is at most 1: exp(-1)
    assert np.mean(shifts == 0) == pytest.approx(np.exp(-1), abs=0.01)
