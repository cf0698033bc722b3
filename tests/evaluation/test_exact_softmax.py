"""Calibrated probabilities by exact operations are those by logarithms and exponentials."""

import numpy as np
import pytest

from tl_keras.evaluation.calibration import calibrate
from tl_keras.evaluation.exact_softmax import exact_calibrated, exact_sum


@pytest.mark.parametrize("temperature", [0.05, 0.6, 1.0, 1.7, 20.0])
@pytest.mark.parametrize("spread", [0.01, 1.0, 100.0])
def test_they_are_those_of_calibrate(temperature: float, spread: float) -> None:
    rng = np.random.default_rng(0)
    given = rng.dirichlet(np.full(5, spread), 300).astype(np.float32)
    factors = np.exp(rng.normal(size=5))
    found = exact_calibrated(given, temperature, factors)
    assert found.dtype == np.float32
    # a temperature of 0.05 makes twenty of one unit of the last bit
    np.testing.assert_allclose(found, calibrate(given, temperature, factors), atol=3e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=5e-7)


def test_by_hand() -> None:
    # odds of 16 become 4
    found = exact_calibrated(np.array([[16 / 17, 1 / 17]], np.float32), 2.0, np.ones(2))
    assert found[0].tolist() == pytest.approx([0.8, 0.2], abs=1e-7)
    even = exact_calibrated(np.array([[0.5, 0.5]], np.float32), 1.0, np.array([3.0, 1.0]))
    assert even.tolist() == [[0.75, 0.25]]


def test_certainty_stays_finite() -> None:
    found = exact_calibrated(np.array([[1, 0], [0, 0]], np.float32), 0.05, np.array([1, 1e-9]))
    assert found[0, 0] == 1
    assert (found > 0).all()


@pytest.mark.parametrize("classes", range(1, 12))
def test_sums_are_of_all_columns(classes: int) -> None:
    given = np.arange(2 * classes, dtype=np.float32).reshape(2, classes)
    assert exact_sum(given).tolist() == given.sum(axis=1).tolist()
