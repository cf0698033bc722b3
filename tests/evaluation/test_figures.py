"""Shares and resampled figures with their intervals."""

import numpy as np
import pytest

from tl_keras.evaluation.figures import around, proportion


def test_a_share_has_the_interval_of_wilson() -> None:
    # 9 of 10: centre (0.9 + 1.96**2 / 20) / (1 + 1.96**2 / 10)
    figure = proportion(np.array([True] * 9 + [False]))
    assert figure is not None
    assert (figure["estimate"], figure["n"]) == (0.9, 10)
    assert figure["low"] == pytest.approx(0.5958, abs=1e-4)
    assert figure["high"] == pytest.approx(0.9821, abs=1e-4)


def test_of_nothing_there_is_no_share() -> None:
    assert proportion(np.array([], bool)) is None


def test_an_interval_is_never_beside_its_estimate() -> None:
    figure = around(2.0, np.linspace(0, 1, 101))
    assert figure == {"estimate": 2.0, "low": pytest.approx(0.025), "high": 2.0}


def test_a_share_of_photos_in_groups_counts_the_groups() -> None:
    groups = np.arange(60) // 10
    figure, of_six = proportion(np.ones(60, bool), groups), proportion(np.ones(6, bool))
    assert figure is not None and of_six is not None
    assert figure["low"] == pytest.approx(of_six["low"])
    assert (figure["n"], figure["groups"]) == (60, 6)


def test_photos_that_are_groups_of_their_own_change_no_share() -> None:
    hits = np.array([True] * 9 + [False])
    assert proportion(hits, np.arange(10)[::-1]) == proportion(hits)
