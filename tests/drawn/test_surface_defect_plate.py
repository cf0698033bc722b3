"""Noise and random numbers of the plate that defects are drawn on."""

import numpy as np
import pytest

from tl_keras.drawn.surface_defect_plate import Plate, ramp, smooth


def plate(side: int = 192) -> Plate:
    return Plate(side=side, unit=1.0, rng=np.random.Generator(np.random.PCG64(0)))


@pytest.mark.parametrize(("along", "across"), [(0.4, 0.4), (3.0, 1.0), (200.0, 2.0)])
def test_noise_has_mean_0_and_spread_1(along: float, across: float) -> None:
    noise = plate().noise(along, across)
    assert noise.shape == (192, 192)
    assert noise.mean() == pytest.approx(0, abs=1e-9)
    assert noise.std() == pytest.approx(1, abs=1e-4)


def test_noise_has_the_correlation_length_asked_for() -> None:
    """White noise under a blur of width s has correlation exp(-d^2 / 4 s^2) at distance d."""
    noise = plate(512).noise(6.0, 2.0)
    assert np.mean(noise * np.roll(noise, 6, axis=0)) == pytest.approx(np.exp(-1 / 4), abs=0.05)
    assert np.mean(noise * np.roll(noise, 4, axis=1)) == pytest.approx(np.exp(-1), abs=0.05)


def test_blur_of_a_point_is_a_gaussian() -> None:
    point = np.zeros((64, 64))
    point[32, 32] = 1.0
    blurred = smooth(point, 3.0)
    assert blurred.sum() == pytest.approx(1)
    assert blurred[32, 32] == pytest.approx(1 / (2 * np.pi * 9), rel=1e-3)
    assert blurred[32, 35] / blurred[32, 32] == pytest.approx(np.exp(-0.5), rel=1e-3)


def test_ramp_is_half_at_zero_and_saturates() -> None:
    np.testing.assert_allclose(ramp(np.array([-50.0, 0.0, 50.0]), 1.0), [0, 0.5, 1], atol=1e-12)


def test_counts_reach_both_ends_and_no_further() -> None:
    one = plate()
    assert {one.count(2, 5) for _ in range(200)} == {2, 3, 4, 5}


def test_middle_of_the_plate_is_0() -> None:
    one = Plate(side=5, unit=2.0, rng=np.random.Generator(np.random.PCG64(0)))
    assert one.along[:, 0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert one.across.shape == (1, 5)
