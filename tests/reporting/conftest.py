"""A decision as an experiment writes it down."""

from typing import Any

import pytest


def figure(estimate: float, n: int = 50) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate / 2, "high": (1 + estimate) / 2, "n": n}


@pytest.fixture
def decision_facts() -> dict[str, Any]:
    """Of two classes, by costs."""
    scores = {"n": 50, "ece_if_calibrated": 0.04, "ece_if_calibrated_high": 0.07}
    costs = {"rule": 10.0, "most_probable_class": 12.0, "flag_all": 60.0, "flag_none": 160.0}
    return {
        "run_id": "linear_probe-n5-s0",
        "validation_images": 30,
        "asked": {
            "miss_cost": 4.0,
            "false_alarm_cost": 1.0,
            "target_recall": None,
            "positive_share": None,
            "review_share": 0.1,
        },
        "positive_reason": "decision.positive names them",
        "temperature": {"estimate": 1.5, "low": 1.0, "high": 2.0},
        "threshold": {
            "threshold": 0.2,
            "by": "costs",
            "by_costs": 0.2,
            "cheapest_on_validation": {"estimate": 0.3, "low": 0.1, "high": 0.5},
            "for_recall": None,
        },
        "served_threshold": {"estimate": 0.11, "low": 0.1, "high": 0.2},
        "review": {"score_low": 0.15, "score_high": 0.4, "confidence_below": None},
        "words": {"positive": "bad", "negative": "good"},
        "decisions": ["good", "bad", "review", "unknown"],
        "rule": {
            "classes": ["bad", "good"],
            "temperature": 1.5,
            "class_factors": [1.0, 1.0],
            "positive": ["bad"],
            "threshold": 0.2,
        },
        "calibration": {"before": {"ece": 0.09, **scores}, "after": {"ece": 0.03, **scores}},
        "test": {
            "images": 50,
            "positives": 20,
            "recall": figure(0.95, 20),
            "false_alarm_rate": figure(0.1, 30),
            "precision": figure(0.9, 22),
            "cost_per_100": {
                **{name: figure(cost) for name, cost in costs.items()},
                "rule_less_most_probable_class": {"estimate": -2.0, "low": -5.0, "high": 1.0},
            },
            "review": {
                "share": figure(0.12),
                "accuracy_of_all": figure(0.92),
                "accuracy_of_rest": figure(0.98),
                "errors_caught": figure(0.75, 4),
            },
        },
    }
