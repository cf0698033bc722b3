"""What a rule gives on ten test photos, by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tl_keras.config.schema import DecisionConfig
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions
from tl_keras.evaluation.rule_figures import RuleFigures

BAD = np.array([0.9, 0.8, 0.6, 0.3, 0.45, 0.2, 0.2, 0.1, 0.1, 0.1])
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
TEST = Predictions(np.arange(10), LABELS, np.stack([BAD, 1 - BAD], axis=1))
# doubt: above 0.25 from 0.25 / 0.75 = 1/3 to 1 - 0.25 / 0.25 = 0, so of 0.12 from 0.16 to 0.52
RULE = DecisionRule(("bad", "good"), 1.0, (1.0, 1.0), ("bad",), 0.25, 0.12)
FIGURES = RuleFigures(RULE, DecisionConfig(miss_cost=3.0), TEST)


def test_rates_and_costs_of_the_rule() -> None:
    tested = FIGURES.tested()
    assert (tested["images"], tested["positives"]) == (10, 4)
    assert tested["recall"]["estimate"] == 1
    assert tested["false_alarm_rate"]["estimate"] == pytest.approx(1 / 6)
    costs = {name: figure["estimate"] for name, figure in tested["cost_per_100"].items()}
    assert costs == {
        "rule": 10,
        "most_probable_class": 30,
        "flag_all": 60,
        "flag_none": 120,
        "rule_less_most_probable_class": -20,
    }


def test_the_band_catches_errors() -> None:
    review = FIGURES.tested()["review"]
    # 0.3, 0.45, 0.2 and 0.2, among them the one error
    assert review["share"]["estimate"] == 0.4
    assert review["accuracy_of_all"]["estimate"] == 0.9
    assert review["accuracy_of_rest"]["estimate"] == 1
    assert (review["errors_caught"]["estimate"], review["errors_caught"]["n"]) == (1, 1)


def test_photos_taken_for_strangers_are_for_a_person_too() -> None:
    # 0.9 is sure and right, 0.3 is in the band already; 0.05 is no less than the share
    familiar = np.array([0.01, 0.05, 0.5, 0.049, 1, 1, 1, 1, 1, 1])
    rule = replace(RULE, stranger_share=0.05)
    review = RuleFigures(rule, FIGURES.config, TEST, familiar).tested()["review"]
    assert review["refused"]["estimate"] == 0.2
    assert review["share"]["estimate"] == 0.5
    assert (review["accuracy_of_rest"]["estimate"], review["accuracy_of_rest"]["n"]) == (1, 5)
    off = RuleFigures(replace(RULE, stranger_share=0.0), FIGURES.config, TEST, familiar)
    assert off.tested()["review"]["refused"]["estimate"] == 0
    assert "refused" not in FIGURES.tested()["review"]


def test_without_a_threshold_answers_are_right_or_wrong() -> None:
    rule = DecisionRule(("bad", "good"), 1.0, (1.0, 1.0), review_limit=0.42)
    tested = RuleFigures(rule, DecisionConfig(), TEST).tested()
    assert set(tested) == {"images", "review"}
    # 0.45 lies near one half and is right; 0.3 is wrong
    assert tested["review"]["share"]["estimate"] == 0.1
    assert tested["review"]["errors_caught"]["estimate"] == 0


def test_calibration_before_and_after() -> None:
    rule = DecisionRule(("bad", "good"), 0.5, (1.0, 1.0))
    figures = RuleFigures(rule, DecisionConfig(), TEST)
    scores = figures.calibration()
    # nine of ten right
    assert scores["before"]["ece"] == pytest.approx(0.9 - np.maximum(BAD, 1 - BAD).mean())
    assert scores["after"] != scores["before"]
    assert figures.reliability()["stage"].tolist() == ["before", "after"]


def test_the_curve_marks_the_threshold_on_validation_and_test() -> None:
    validation = HeldOut.pooled([TEST], np.array([0.4, 0.6]))
    table = FIGURES.curve(validation)
    assert table["part"].unique().tolist() == ["validation", "test"]
    chosen = table[table["chosen"]].set_index("part")
    assert chosen["threshold"].tolist() == [0.25, 0.25]
    assert chosen.loc["test", "cost_per_100"] == pytest.approx(10)
    assert chosen.loc["validation", "recall"] == 1
    assert len(table) == 202


CROPS = Predictions(
    np.arange(60), LABELS.repeat(6), TEST.probabilities.repeat(6, axis=0), np.arange(60) // 6
)


def test_six_crops_of_each_photo_are_as_sure_as_the_photo() -> None:
    alone = FIGURES.tested()
    together = RuleFigures(RULE, FIGURES.config, CROPS).tested()
    assert (together["images"], together["groups"]) == (60, 10)
    shares = {name: alone[name] for name in ("recall", "false_alarm_rate", "precision")}
    for name, figure in (shares | alone["review"]).items():
        crops = (together | together["review"])[name]
        assert (crops["low"], crops["high"]) == pytest.approx((figure["low"], figure["high"]))
    for name in ("auroc", "average_precision"):
        assert together[name]["low"] == pytest.approx(alone[name]["low"], abs=0.02)
    for name, figure in alone["cost_per_100"].items():
        crops = together["cost_per_100"][name]
        assert crops["high"] - crops["low"] > 0.8 * (figure["high"] - figure["low"])


def test_the_calibration_knows_of_the_groups() -> None:
    known, unknown = (
        RuleFigures(RULE, FIGURES.config, photos) for photos in (CROPS, replace(CROPS, groups=None))
    )
    high = "ece_if_calibrated_high"
    assert known.calibration()["after"][high] > unknown.calibration()["after"][high]
    assert (known.reliability()["accuracy_low"] < unknown.reliability()["accuracy_low"]).all()


def test_photos_that_are_groups_of_their_own_change_no_figure() -> None:
    named = RuleFigures(RULE, FIGURES.config, replace(TEST, groups=np.arange(10)[::-1]))
    assert named.tested() == FIGURES.tested()
    assert named.calibration() == FIGURES.calibration()
    pd.testing.assert_frame_equal(named.reliability(), FIGURES.reliability())


def test_a_rule_that_makes_no_mistake_may_make_one_yet() -> None:
    bad = np.where(LABELS == 0, 0.9, 0.1)
    right = replace(TEST, probabilities=np.stack([bad, 1 - bad], axis=1))
    cost = RuleFigures(RULE, FIGURES.config, right).tested()["cost_per_100"]["rule"]
    assert (cost["estimate"], cost["low"]) == (0, 0)
    assert cost["high"] > 15
