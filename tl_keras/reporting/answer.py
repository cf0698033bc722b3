"""The question of an experiment and its answer in three sentences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tl_keras.reporting.held_out import rows_like, strategy_name
from tl_keras.reporting.results import Results
from tl_keras.reporting.tables import REFERENCE

Row = Mapping[Any, Any]

# A class that is recognised less often is named in the answer.
WEAK_RECALL = 0.8


def question(results: Results) -> str:
    """What the experiment was made to find out."""
    run, backbone = results.chosen, results.config["backbone"]
    known = {"imagenet": "ImageNet weights", "bundled": "the shipped weights"}
    source = backbone["weights"]
    weights = "random weights" if source is None else f"the weights of {Path(source).name}"
    borrowed = f"{backbone['name']} with {known.get(source, weights)}"
    return (
        f"How much of {borrowed} should be borrowed to tell {run['classes']} classes apart with "
        f"{run['labelled_images_per_class']:.0f} labelled photos per class?"
    )


def answer(results: Results) -> list[str]:
    """What was chosen and how good it is; how it compares; what to know before using it."""
    return [_chosen(results), _compared(results), _caution(results)]


def _chosen(results: Results) -> str:
    row = results.summary_of(results.chosen)
    n, images = int(row["n"]), int(row["test_images"])
    about = "trained models of this kind" if n > 1 else "this trained model"
    seeds = f"{n} seeds" if n > 1 else "one seed"
    return (
        f"Validation chose {strategy_name(row)}: on new photos {about} can be expected to be right "
        f"{_percent(row['test_accuracy_mean'])} of the time (95% interval "
        f"{_percent(row['test_accuracy_low'])} to {_percent(row['test_accuracy_high'])}; {seeds}, "
        f"{images} test photos)."
    )


def _compared(results: Results) -> str:
    """Against from scratch, which tells what borrowing gains, and against feature extraction."""
    chosen = results.summary_of(results.chosen)
    rows = rows_like(results.summary, chosen, ["train_per_class"])
    parts = []
    for strategy, words in (("from_scratch", "training from scratch"), (REFERENCE, None)):
        other = rows[rows["strategy"] == strategy]
        if len(other) and chosen["strategy"] != strategy:
            parts.append(_against(results, chosen, other.iloc[0].to_dict(), words))
    if not parts:
        return "Nothing else was trained to compare it with."
    return "It is " + " and ".join(parts) + "."


def _against(results: Results, chosen: Row, other: Row, words: str | None) -> str:
    name = words or strategy_name(other)
    gap = 100 * (chosen["test_accuracy_mean"] - other["test_accuracy_mean"])
    outcome = _verdict(results, chosen, other)
    if outcome == "not distinguishable":
        return f"not distinguishable from {name} ({gap:+.1f} points) on these photos"
    if outcome is None:
        return f"{abs(gap):.1f} points {'above' if gap >= 0 else 'below'} {name}"
    return f"{outcome} than {name} by {abs(gap):.1f} points"


def _verdict(results: Results, chosen: Row, other: Row) -> str | None:
    """What the paired comparison of two rows of the summary says; None without one."""
    if other["strategy"] == REFERENCE:
        return None if pd.isna(chosen["verdict"]) else str(chosen["verdict"])
    return None


def _caution(results: Results) -> str:
    """The first of what a user should know: generated images, a weak class, or what is unsure."""
    scores = results.table("per_class")
    parts = []
    if scores is not None:
        own = scores[scores["run_id"] == results.chosen["run_id"]].sort_values("recall")
        weakest = own.iloc[0]
        if weakest["recall"] < WEAK_RECALL:
            parts.append(
                f"the class it misses most is {weakest['class']} (recognised in "
                f"{_percent(weakest['recall'])} of {weakest['support']} test photos)"
            )
    curve = results.facts("learning_curve")
    own_law = _law_of(curve, results.chosen) if curve else None
    if own_law:
        gain = own_law["more_photos"]["gain"]
        parts.append(
            f"{own_law['more_photos']['photos']} more labelled photos would add about "
            f"{100 * gain['estimate']:.1f} points [{100 * gain['low']:.1f}, "
            f"{100 * gain['high']:.1f}]"
        )
    row = results.summary_of(results.chosen)
    width = 100 * (row["test_accuracy_high"] - row["test_accuracy_low"])
    parts.append(
        f"the interval is {width:.0f} points wide, so a difference smaller than that is no finding"
        if width > 5
        else f"the interval is {width:.1f} points wide"
    )
    sentence = "; ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def _law_of(curve: Row, run: Row) -> Row | None:
    laws = [law for law in curve["laws"] if law["strategy"] == run["strategy"]]
    if run["strategy"] == "fine_tuning":
        laws = [law for law in laws if law["unfrozen_blocks"] == run["unfrozen_blocks"]]
    return laws[0] if laws else None


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"
