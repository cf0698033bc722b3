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
    told = (
        "The test photos were kept apart for measuring alone; the model that is handed over was "
        "fitted anew and learned from them as well, from every photo that any of the runs used, "
        f"{_photos(facts)}"
    )
    share = announced(facts)
    if share is facts["measured_accuracy"]:
        return f"{told}: expect at least {share['low']:.1%}, as of the measured ones."
    return f"{told}; by the learning curve it answers about {_share(share)} of new photos rightly."


def announced(facts: Facts) -> Facts:
    """The share of new photos that it is said to answer rightly, with its interval.

    Args:
        facts: as in `handed_over.json`.

    Returns:
        What the learning curve says; what was measured, where there is no curve, or it lies below:
        a smooth law may do so, and more photos do not lower what was measured.
    """
    expected, measured = facts["expected"], facts["measured_accuracy"]
    below = expected is None or expected["estimate"] <= measured["estimate"]
    return measured if below else expected


def _photos(learned: Facts) -> str:
    """How many, and how many of each class."""
    counts = set(learned["per_class"].values())
    low, high = min(counts), max(counts)
    each = f"{low}" if low == high else f"{low} to {high}"
    return f"{learned['images']} photos ({each} per class)"


def _share(figure: Facts) -> str:
    return f"{figure['estimate']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}]"
