"""Thresholds against numbers worked out by hand."""

import numpy as np
import pytest

from tl_keras.evaluation.thresholds import (
    cheapest_thresholds,
    cost_threshold,
    recall_threshold,
    review_limit,
)


def test_the_costlier_the_miss_the_lower_the_threshold() -> None:
    assert cost_threshold(1, 1) == 0.5
    assert cost_threshold(miss_cost=99, false_alarm_cost=1) == pytest.approx(0.01)


def test_the_rarer_the_positive_the_higher_the_threshold() -> None:
    # calibrated for one in two, used where there is one in five: odds of 4
    assert cost_threshold(1, 1, share=0.2, calibrated_share=0.5) == pytest.approx(0.8)
    assert cost_threshold(1, 1, share=0.5, calibrated_share=0.5) == pytest.approx(0.5)


def test_a_recall_takes_the_order_statistic_of_conformal_prediction() -> None:
    scores = np.arange(1, 20) / 20
    # floor(20 * 0.1) = 2: the second smallest of 19
    found = recall_threshold(scores[::-1], np.ones(19), 0.9)
    assert found.threshold == pytest.approx(0.1)
    assert found.expected_recall == pytest.approx(0.9)
    assert (found.positives, found.positives_needed) == (19, 9)


def test_too_few_positive_photos_say_how_many_are_needed() -> None:
    found = recall_threshold(np.array([0.4, 0.2, 0.9]), np.ones(3), 0.95)
    assert found.threshold == 0.2
    assert found.expected_recall == pytest.approx(0.75)
    assert found.positives_needed == 19


def test_an_image_of_two_runs_counts_once_for_a_recall() -> None:
    scores = np.repeat(np.arange(1, 20) / 20, 2)
    assert recall_threshold(scores, np.full(38, 0.5), 0.9).threshold == pytest.approx(0.1)


@pytest.mark.parametrize(("n", "target"), [(19, 0.9), (60, 0.95), (33, 0.8)])
def test_the_recall_is_reached_on_average(n: int, target: float) -> None:
    generator = np.random.default_rng(0)
    # of scores that are uniform, the recall at a threshold is what lies above it
    recalls = [
        1 - recall_threshold(generator.random(n), np.ones(n), target).threshold for _ in range(2000)
    ]
    assert target - 0.003 < np.mean(recalls) < target + 1.1 / (n + 1)


def test_the_cheapest_threshold_lies_between_two_photos() -> None:
    scores = np.array([0.1, 0.9, 0.3, 0.5])
    positive = np.array([False, True, True, False])
    even = np.ones((1, 4))
    # one mistake either way: the lowest of equals flags all from 0.3 on
    assert cheapest_thresholds(scores, positive, even, 1, 1).tolist() == [[0.1, 0.3]]
    assert cheapest_thresholds(scores, positive, even, 1, 9).tolist() == [[0.5, 0.9]]
    heavy = np.array([[1.0, 1.0, 0.1, 1.0]])
    assert cheapest_thresholds(scores, positive, heavy, 1, 1).tolist() == [[0.5, 0.9]]


def test_photos_of_one_score_are_not_torn_apart() -> None:
    scores, positive = np.full(4, 0.5), np.array([True, False, False, False])
    assert cheapest_thresholds(scores, positive, np.ones((1, 4)), 1, 1).tolist() == [[0.5, 1]]


def test_the_share_asked_for_lies_above_the_limit() -> None:
    doubt = np.arange(20) / 20
    limit = review_limit(doubt, np.ones(20), 0.1)
    assert limit is not None
    assert (doubt > limit).sum() == 2
    assert review_limit(doubt, np.ones(20), 0.0) is None


def test_no_threshold_lies_between_two_photos_of_one_score() -> None:
    # between them there would be no mistake
    scores, positive = np.full(2, 0.5), np.array([False, True])
    assert cheapest_thresholds(scores, positive, np.ones((1, 2)), 1, 1).tolist() == [[0, 0.5]]


def test_the_share_for_a_person_is_one_of_weights() -> None:
    doubt = np.array([0.1, 0.2, 0.3, 0.4])
    assert review_limit(doubt, np.array([1.0, 1.0, 1.0, 7.0]), 0.5) == 0.4
    assert review_limit(doubt, np.ones(4), 0.5) == 0.2
