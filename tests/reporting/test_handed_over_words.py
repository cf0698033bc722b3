"""What is said of the model that is handed over."""

import re
from typing import Any

from tl_keras.reporting.handed_over_words import announced, handed_in_words, measured_in_words


def share(estimate: float) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.05}


def facts(**changed: Any) -> dict[str, Any]:
    return {
        "train_on": "all",
        "images": 50,
        "per_class": {"good": 20, "bad": 30},
        "measured": {"images": 28, "per_class": {"good": 14, "bad": 14}},
        "measured_accuracy": share(0.9),
        "expected": share(0.925),
    } | changed


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?%?", text)


def test_the_learning_curve_is_announced_where_it_lies_above_what_was_measured() -> None:
    told = facts()
    assert announced(told) is told["expected"]
    for expected in (None, share(0.9), share(0.85)):
        told = facts(expected=expected)
        assert announced(told) is told["measured_accuracy"]


def test_photos_are_counted_by_class_with_what_is_announced() -> None:
    assert numbers(measured_in_words(facts())) == ["28", "14", "90.0%", "80.0%", "95.0%"]
    assert numbers(handed_in_words(facts())) == ["50", "20", "30", "92.5%", "82.5%", "97.5%"]
    # without a curve at least what was measured, by its lower bound
    assert numbers(handed_in_words(facts(expected=None))) == ["50", "20", "30", "80.0%"]


def test_a_measured_model_says_why_it_is_no_new_fit() -> None:
    assert "loss" not in handed_in_words(facts(train_on="training"))
    assert "its loss is 3" in handed_in_words(facts(train_on="training", reason="its loss is 3"))
