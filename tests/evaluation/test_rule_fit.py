"""Rules as a configuration asks for them, from validation photos that are known."""

from typing import Any

import numpy as np
import pytest

from tl_keras.config.schema import DecisionConfig
from tl_keras.evaluation.calibration import temperature_draws
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions
from tl_keras.evaluation.rule_fit import FittedRule, fit_rule

LABELLED = {"bad": 60, "good": 140}
SHARES = np.array([0.3, 0.7])


def validation(n: int = 200) -> HeldOut:
    """Three in ten are bad; the probabilities are right."""
    generator = np.random.default_rng(0)
    labels = (np.arange(n) % 10 >= 3).astype(int)
    evidence = generator.normal(np.where(labels == 0, 1.0, -1.0), 1)
    bad = 1 / (1 + np.exp(-2 * evidence) * 7 / 3)
    given = np.stack([bad, 1 - bad], axis=1)
    return HeldOut.pooled([Predictions(np.arange(n), labels, given)], SHARES)


def fitted(**keys: Any) -> FittedRule:
    return fit_rule(DecisionConfig(**keys), validation(), np.ones(2), LABELLED)


def test_the_rule_names_the_bad_and_decides_by_costs() -> None:
    found = fitted(miss_cost=4.0)
    assert found.rule.positive == ("bad",)
    assert found.rule.threshold == pytest.approx(0.2)
    assert found.threshold is not None
    assert found.threshold["by"] == "costs"
    cheapest = found.threshold["cheapest_on_validation"]
    assert cheapest["low"] < 0.2 < cheapest["high"]
    assert found.temperature["low"] < 1 < found.temperature["high"]


def test_the_served_threshold_moves_with_the_temperature() -> None:
    found = fitted(miss_cost=4.0)
    served, temperature = found.served_threshold, found.temperature
    assert served is not None
    assert served["estimate"] == pytest.approx(1 / (1 + 4 ** temperature["estimate"]))
    assert served["low"] == pytest.approx(1 / (1 + 4 ** temperature["high"]), rel=1e-6)
    given = np.array([[served["estimate"], 1 - served["estimate"]]])
    assert found.rule.score(given) == pytest.approx([0.2])


def test_the_served_threshold_knows_the_factors_of_the_classes() -> None:
    factors = np.array([0.6, 1.4])
    found = fit_rule(DecisionConfig(miss_cost=4.0), validation(), factors, LABELLED)
    assert found.served_threshold is not None
    served = found.served_threshold["estimate"]
    assert found.rule.score(np.array([[served, 1 - served]])) == pytest.approx([0.2])


def test_a_rarer_positive_class_raises_the_threshold() -> None:
    # odds of 1/4 times 99 times 3/7
    found = fitted(miss_cost=4.0, positive_share=0.01)
    odds = 99 / 4 * 3 / 7
    assert found.rule.threshold == pytest.approx(odds / (1 + odds))


def test_the_rule_decides_by_recall() -> None:
    found = fitted(target_recall=0.9)
    assert found.threshold is not None
    assert found.threshold["by"] == "recall"
    needed = found.threshold["for_recall"]
    assert needed["validation_positives"] == 60
    assert needed["low"] <= found.threshold["threshold"] <= needed["high"]
    held_out = validation()
    recall = found.rule.flagged(held_out.probabilities)[held_out.labels == 0].mean()
    # floor(61 * 0.1) = 6: all but 5 of 60
    assert recall == pytest.approx(55 / 60)


def test_a_recall_that_the_costs_keep_does_not_raise_the_threshold() -> None:
    found = fitted(target_recall=0.5, miss_cost=4.0)
    assert found.threshold is not None
    assert found.threshold["for_recall"]["threshold"] > 0.2
    assert found.threshold["by"] == "costs"
    assert found.rule.threshold == pytest.approx(0.2)


def test_a_share_of_the_photos_is_reviewed() -> None:
    rule = fitted(review_share=0.25).rule
    held_out = validation()
    assert rule.reviewed(held_out.probabilities).mean() == pytest.approx(0.25, abs=0.01)
    assert rule.band() is not None
    none = fitted(review_share=0.0).rule
    assert not none.reviewed(held_out.probabilities).any()


def test_without_positive_classes_the_least_sure_are_reviewed() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    given = generator.dirichlet(np.ones(3), 60)
    held_out = HeldOut.pooled([Predictions(np.arange(60), labels, given)], np.full(3, 1 / 3))
    found = fit_rule(DecisionConfig(), held_out, np.ones(3), dict.fromkeys("abc", 20))
    assert (found.threshold, found.served_threshold, found.rule.threshold) == (None, None, None)
    assert found.rule.reviewed(given).sum() == 6


def test_the_cheapest_threshold_counts_positive_photos_as_common_as_they_will_be() -> None:
    """By hand: bad scores 0.2 and 0.6, good ones 0.1 and 0.4, each of equal weight.

    Half are bad: a threshold between 0.1 and 0.2 gives one false alarm, one between 0.4 and 0.6 one
    miss. Where bad ones are rare, false alarms cost more in all and it is the upper one.
    """
    bad = np.array([0.2, 0.6, 0.1, 0.4])
    given = np.stack([bad, 1 - bad], axis=1)
    photos = Predictions(np.arange(4), np.array([0, 0, 1, 1]), given)
    held_out, equal = HeldOut.pooled([photos], np.full(2, 0.5)), {"bad": 2, "good": 2}
    chosen = {}
    for share in (0.9, None, 0.1):
        config = DecisionConfig(positive=("bad",), positive_share=share)
        found = fit_rule(config, held_out, np.ones(2), equal)
        assert found.threshold is not None
        score = found.rule.score(given)
        place = found.threshold["cheapest_on_validation"]["estimate"]
        chosen[share] = [bool(above) for above in score > place]
    assert chosen[0.9] == chosen[None] == [True, True, False, True]
    assert chosen[0.1] == [False, True, False, False]


def test_a_recall_rests_on_the_groups_of_positive_photos() -> None:
    """Ten groups of six bad photos: as if there were ten."""
    one = validation()
    labels = one.labels
    numbers = np.where(labels == 0, np.cumsum(labels == 0) % 10, np.arange(200) + 100)
    photos = Predictions(np.arange(200), labels, one.probabilities, numbers)
    held_out = HeldOut.pooled([photos], SHARES)
    found = fit_rule(DecisionConfig(target_recall=0.95), held_out, np.ones(2), LABELLED)
    assert found.threshold is not None
    needed = found.threshold["for_recall"]
    assert (needed["validation_positives"], needed["validation_groups"]) == (60, 10)
    # at most one group of eleven is missed: six photos of sixty
    assert needed["expected_recall"] == pytest.approx(10 / 11)
    assert needed["positives_needed"] == 19
    missed = found.rule.score(one.probabilities)[labels == 0] < needed["threshold"]
    assert missed.sum() == 5


def test_photos_that_are_groups_of_their_own_change_no_rule() -> None:
    one = validation()
    photos = Predictions(np.arange(200), one.labels, one.probabilities, np.arange(200)[::-1])
    config = DecisionConfig(target_recall=0.9)
    named = fit_rule(config, HeldOut.pooled([photos], SHARES), np.ones(2), LABELLED)
    assert named == fit_rule(config, one, np.ones(2), LABELLED)


def test_the_share_for_a_person_is_of_the_photos_to_come() -> None:
    """Half of the photos are bad here, one in ten to come; the good ones are all sure."""
    labels = np.arange(100) % 2
    bad = np.where(labels == 0, np.linspace(0.3, 0.7, 100), 0.01)
    photos = Predictions(np.arange(100), labels, np.stack([bad, 1 - bad], axis=1))
    held_out = HeldOut.pooled([photos], np.array([0.1, 0.9]))
    config = DecisionConfig(review_share=0.05)
    rule = fit_rule(config, held_out, np.ones(2), {"bad": 10, "good": 90}).rule
    reviewed = held_out.weights[rule.reviewed(held_out.probabilities)].sum() / 100
    assert 0.03 < reviewed <= 0.05


def test_the_interval_of_the_temperature_knows_the_factors_of_the_classes() -> None:
    factors = np.array([0.2, 1.8])
    found = fit_rule(DecisionConfig(), validation(), factors, LABELLED).temperature
    low, high = np.quantile(temperature_draws(validation(), factors), [0.025, 0.975])
    assert (found["low"], found["high"]) == pytest.approx((low, high))
