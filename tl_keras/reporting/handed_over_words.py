"""What the model that is handed over learned from, beside what was measured, in words."""

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]


def measured_in_words(facts: Facts) -> str:
    """What was measured.

    Args:
        facts: as in `handed_over.json`.
    """
    return (
        f"Measured with models that learned from {_photos(facts['measured'])}: "
        f"{_share(facts['measured_accuracy'])}."
    )


def handed_in_words(facts: Facts) -> str:
    """What is handed over, and what that is worth by the learning curve.

    Args:
        facts: as in `handed_over.json`.
    """
    if facts["train_on"] != "all":
        reason = facts.get("reason")
        why = "" if reason is None else f" A new fit to all photos is not to be trusted: {reason}."
        return f"The model that is handed over is one of those that were measured.{why}"
    told = f"The model that is handed over was fitted anew to all {_photos(facts)}"
    expected, measured = facts["expected"], facts["measured_accuracy"]
    # a smooth law may lie below what was measured, which more photos do not lower
    if expected is None or expected["estimate"] <= measured["estimate"]:
        return f"{told}, those of the test too: expect what was measured, or more."
    return (
        f"{told}, those of the test too; by the learning curve it answers about "
        f"{_share(expected)} of new photos rightly."
    )


def _photos(learned: Facts) -> str:
    """How many, and how many of each class."""
    counts = set(learned["per_class"].values())
    low, high = min(counts), max(counts)
    each = f"{low}" if low == high else f"{low} to {high}"
    return f"{learned['images']} photos ({each} per class)"


def _share(figure: Facts) -> str:
    return f"{figure['estimate']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}]"
