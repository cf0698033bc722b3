"""The temperature of probabilities against what other means find."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tl_keras.evaluation.temperature import (
    BOUNDS,
    PRIOR_DEVIATION,
    lowest,
    objective,
    tempered_losses,
)

GRID = np.linspace(*BOUNDS, 61)


def test_losses_by_hand() -> None:
    # odds of 16 become 4 at a temperature of 2, and 2 at one of 4
    logs = np.log(np.array([[16 / 17, 1 / 17], [1 / 17, 16 / 17]]))
    losses = tempered_losses(logs, np.array([0, 0]), np.log(2))
    assert losses == pytest.approx([np.log(5 / 4), np.log(5)])
    assert tempered_losses(logs, np.array([0, 0]), np.log(4))[0] == pytest.approx(np.log(3 / 2))


def test_a_shift_is_added_to_the_tempered_logits() -> None:
    even = np.log(np.full((1, 2), 0.5))
    losses = tempered_losses(even, np.array([1]), 1.0, np.log(np.array([1.8, 0.2])))
    assert losses == pytest.approx([-np.log(0.1)])


def test_what_is_added_to_a_row_changes_nothing() -> None:
    logits = np.random.default_rng(0).normal(0, 300, (20, 4))
    labels = np.arange(20) % 4
    moved = logits + np.arange(20)[:, np.newaxis] * 1e3
    given = tempered_losses(logits, labels, -2.0)
    assert np.isfinite(given).all()
    np.testing.assert_allclose(tempered_losses(moved, labels, -2.0), given, rtol=1e-9)


def test_arguments_are_left_as_they_were() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    before = logits.copy()
    tempered_losses(logits, np.zeros(5, int), 0.0)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("seed", range(10))
def test_the_lowest_place_is_the_one_that_a_line_search_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, generator.uniform(0.5, 6), (int(generator.integers(2, 60)), 3))
    labels = np.where(generator.random(len(logits)) < 0.6, logits.argmax(axis=1), 0)
    evidence = generator.random(len(logits))

    def penalised(log_temperature: float) -> float:
        losses = tempered_losses(logits, labels, log_temperature)
        return float(evidence @ losses) + log_temperature**2 / (2 * PRIOR_DEVIATION**2)

    expected = minimize_scalar(penalised, bounds=BOUNDS, method="bounded").x
    found = lowest(objective(logits, labels, evidence, GRID), GRID)
    assert found == pytest.approx(expected, abs=0.005)


def test_several_fits_at_once_are_those_of_each() -> None:
    generator = np.random.default_rng(1)
    logits, labels = generator.normal(0, 4, (30, 3)), generator.integers(0, 3, 30)
    evidence = generator.random((2, 5, 30))
    together = lowest(objective(logits, labels, evidence, GRID), GRID)
    assert together.shape == (2, 5)
    for place in np.ndindex(2, 5):
        alone = lowest(objective(logits, labels, evidence[place], GRID), GRID)
        assert together[place] == pytest.approx(float(alone))


def test_without_evidence_the_prior_alone_decides() -> None:
    logits, labels = np.eye(3) * 9, np.arange(3)
    assert lowest(objective(logits, labels, np.zeros(3), GRID), GRID) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("values", [[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [3.0, 2.5, 1.0], [1, 2.5, 3]])
def test_a_lowest_end_is_where_it_is(values: list[float]) -> None:
    places = np.array([0.0, 1.0, 2.0])
    assert lowest(np.array(values), places) == places[np.argmin(values)]


def test_the_middle_of_a_parabola_is_found_exactly() -> None:
    places = np.linspace(-1, 1, 9)
    assert lowest((places - 0.3) ** 2, places) == pytest.approx(0.3)
