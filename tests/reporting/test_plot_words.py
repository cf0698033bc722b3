"""Plots in words: the numbers that they show."""

import pandas as pd

from tl_keras.evaluation.intervals import Interval
from tl_keras.reporting.plot_words import (
    experiments_words,
    learning_curve_words,
    probes_words,
    reliability_words,
    thresholds_words,
)


def test_learning_curves_say_what_was_measured_and_what_is_foretold() -> None:
    curve = pd.DataFrame(
        {
            "strategy": "linear_probe",
            "unfrozen_blocks": "0",
            "train_per_class": [5.0, 10.0, 5.0, 10.0, 20.0],
            "kind": ["measured", "measured", "fitted", "fitted", "fitted"],
            "accuracy": [0.83, 0.91, 0.82, 0.9, 0.95],
        }
    )
    told = learning_curve_words(curve)
    assert told.endswith("linear probe: 0.83 with 5, 0.91 with 10, foretold 0.95 with 20.")


def test_blocks_stand_in_their_order_with_the_average() -> None:
    probes = pd.DataFrame(
        {
            "block": ["stem", "top", "average"],
            "depth": pd.array([1, 2, None], "Int64"),
            "train_per_class": [None] * 3,
            "images": 60,
            "accuracy": [0.6, 0.9, 0.95],
            "accuracy_low": 0.5,
            "accuracy_high": 1.0,
            "cross_entropy": 0.2,
            "weight": [0.0, 1.0, None],
        }
    )
    assert probes_words(probes).endswith("stem 0.60, top 0.90, average 0.95.")


def test_experiments_have_their_intervals() -> None:
    told = experiments_words(["first"], [Interval(0.8, 0.7, 0.9, 3, 60, "x")])
    assert told.endswith("first 0.80 (0.70 to 0.90).")


def test_bins_say_how_sure_and_how_often_right() -> None:
    calibration = pd.DataFrame(
        {"stage": ["before", "after"], "confidence": [0.9, 0.8], "accuracy": [0.7, 0.75]}
    )
    told = reliability_words(calibration)
    assert told == ("As the model says: 0.90 sure, 0.70 right. Calibrated: 0.80 sure, 0.75 right.")


def test_the_chosen_threshold_comes_first_and_few_others_follow() -> None:
    thresholds = pd.DataFrame(
        {
            "part": ["validation", *["test"] * 100],
            "threshold": [0.2, *(k / 100 for k in range(100))],
            "recall": 0.9,
            "false_alarm_rate": 0.2,
            "cost_per_100": 6.0,
            "chosen": [True, *(k == 20 for k in range(100))],
        }
    )
    told = thresholds_words(thresholds)
    assert told.startswith("Chosen: from 0.2 on, recall 0.90, false alarms 0.20, cost 6.0 per 100")
    assert 2 <= told.count("recall") <= 7
    alone = thresholds_words(thresholds[thresholds["chosen"]])
    assert alone.count("recall") == 1
    assert "Others" not in alone
