"""The question of an experiment and its answer in a few sentences."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tl_keras.evaluation.comparison import points
from tl_keras.reporting.decision_words import found_and_flagged
from tl_keras.reporting.handed_over_words import handed_in_words
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results.learning_curves import FARTHEST
from tl_keras.results.test_results import kind_name, rows_like, strategy_name
from tl_keras.strategy_table import STRATEGIES, names_where

Row = Mapping[Any, Any]

# A class that is recognised less often is named in the answer.
WEAK_RECALL = 0.8


def question(results: FinishedExperiment) -> str:
    """What the experiment was made to find out."""
    run, backbone = results.chosen, results.config["backbone"]
    known = {"imagenet": "ImageNet weights", "bundled": "the shipped weights"}
    source = backbone["weights"]
    weights = "random weights" if source is None else f"the weights of {Path(source).name}"
    borrowed = f"{backbone['name']} with {known.get(source, weights)}"
    return (
        f"How much of {borrowed} should be borrowed to tell {run['classes']} classes apart with "
        f"{run['labelled_images_per_class']:.0f} labelled photos per class, "
        f"{run['validation_images'] / run['classes']:.0f} of them to choose with?"
    )


def answer(results: FinishedExperiment) -> list[str]:
    """What was chosen and how good; how it compares; what is handed over; what to know first."""
    handed = results.facts("handed_over")
    over = [] if handed is None or "measured" not in handed else [handed_in_words(handed)]
    return [_chosen(results), _compared(results), *over, _caution(results)]


def choice_in_words(results: FinishedExperiment) -> str:
    """What was chosen, why, and what became of the advice on test, which chose nothing."""
    choice, advice = results.choice, results.facts("advice")
    if advice is None:
        return str(choice["sentence"])
    if choice["advised"] is None:
        name = kind_name(str(advice["strategy"]))
        where = "" if advice["cut"] == "top" else f" up to {advice['cut']}"
        after = f"The advice, {name}{where}, was not among the strategies."
    else:
        accuracy = {
            strategy_name(row): row["test_accuracy_mean"]
            for row in results.largest.to_dict("records")
        }
        after = f"On test what was advised is right in {_percent(accuracy[choice['advised']])}"
        if choice["overruled"]:
            chosen = results.summary_of(results.chosen)
            after += f", what was chosen in {_percent(chosen['test_accuracy_mean'])}"
        after += " of the photos."
    return f"{choice['sentence']} {after}"


def _chosen(results: FinishedExperiment) -> str:
    row = results.summary_of(results.chosen)
    n, images = int(row["n"]), int(row["test_images"])
    about = "trained models of this kind" if n > 1 else "this trained model"
    runs = "folds" if results.folds else "seeds"
    seeds = f"{n} {runs}" if n > 1 else "one seed"
    return (
        f"The choice is {strategy_name(row)}: on new photos {about} can be expected to be right "
        f"{_percent(row['test_accuracy_mean'])} of the time (95% interval "
        f"{_percent(row['test_accuracy_low'])} to {_percent(row['test_accuracy_high'])}; {seeds}, "
        f"{images} test photos)."
    )


def _compared(results: FinishedExperiment) -> str:
    """Against from scratch, which tells what borrowing gains, and against what costs less."""
    table, chosen = results.table("comparisons"), results.summary_of(results.chosen)
    if table is None:
        return "Nothing else was trained to compare it with."
    own = rows_like(table, chosen, ["train_per_class"])
    name, parts = strategy_name(chosen), []
    for other in names_where(lambda spec: spec.yardstick):
        for mine, theirs, sign in (("a", "b", 1), ("b", "a", -1)):
            rows = own[(own[f"{mine}_name"] == name) & (own[theirs] == other)]
            parts += [_against(row, theirs, sign) for row in rows.to_dict("records")]
    if not parts:
        return "It was compared with no other."
    return "It is " + " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) + "."


def _against(row: Row, other: str, sign: int) -> str:
    """What a row of `comparisons.csv` says of the chosen strategy, whose sign is -1 as its b."""
    name = STRATEGIES[row[other]].noun or str(row[f"{other}_name"])
    gap = sign * row["difference"]
    ends = sorted(sign * row[f"difference_{end}"] for end in ("low", "high"))
    if row["verdict"] == "not distinguishable":
        return (
            f"not distinguishable from {name} ({points(gap)} points [{points(ends[0])}, "
            f"{points(ends[1])}])"
        )
    outcome = "better"
    if gap < 0:
        outcome, gap, ends = "worse", -gap, [-ends[1], -ends[0]]
    return f"{outcome} than {name} by {points(gap)} points [{points(ends[0])}, {points(ends[1])}]"


def _caution(results: FinishedExperiment) -> str:
    """What to know before using it: decisions, a class that is missed, labels, more photos."""
    parts = (_decided, _weakest, _doubtful_labels, _more_photos)
    sentence = "; ".join(text for part in parts for text in part(results))
    if not sentence:
        return f"Every class is recognised in at least {WEAK_RECALL:.0%} of its test photos."
    return sentence[0].upper() + sentence[1:] + "."


def _decided(results: FinishedExperiment) -> Iterator[str]:
    decision = results.facts("decision")
    found = found_and_flagged(decision) if decision else None
    if found:
        yield found


def _weakest(results: FinishedExperiment) -> Iterator[str]:
    row = results.class_scores.sort_values("recall").iloc[0]
    if row["recall"] < WEAK_RECALL:
        yield (
            f"the class it misses most is {row.name} (recognised in {_percent(row['recall'])} of "
            f"{row['support']:.0f} test photos)"
        )


def _doubtful_labels(results: FinishedExperiment) -> Iterator[str]:
    errors, splits = results.table("label_errors"), results.table("splits")
    if errors is not None and splits is not None:
        count, verb = len(errors), "looks" if len(errors) == 1 else "look"
        labels = "label" if count == 1 else "labels"
        own = splits["seed"].isna() | (splits["seed"] == results.chosen["seed"])
        tested = splits.loc[own & (splits["part"] == "test"), "image_id"]
        among = int(errors["image_id"].isin(tested).sum())
        yield (
            f"{count} {labels} {verb} wrong (see The photos), {among} of them among the test "
            "photos, which the figures take as right"
        )


def _more_photos(results: FinishedExperiment) -> Iterator[str]:
    curve = results.facts("learning_curve")
    law = _law_of(curve, results.chosen) if curve else None
    if law and law["measured"] < 1:
        more = law["more_photos"]
        gain = ", ".join(points(more["gain"][end]) for end in ("low", "high"))
        guess = (
            ", a guess so far from what was measured" if more["beyond_measured"] > FARTHEST else ""
        )
        yield (
            f"{more['photos']} more labelled photos would add about "
            f"{points(more['gain']['estimate'])} points [{gain}]{guess}"
        )
    yield from _unused_photos(results)


def _unused_photos(results: FinishedExperiment) -> Iterator[str]:
    run, images = results.chosen, results.table("images")
    used = run["training_images"] + run["validation_images"] + run["test_images"]
    # a new fit learns what the runs of all seeds used
    used = max(int(used), (results.facts("handed_over") or {}).get("images", 0))
    unused = 0 if images is None else len(images) - used
    if unused > 0 and not pd.isna(run["train_per_class"]):
        yield (
            f"{unused} labelled photos were not used, which a larger data.train_per_class would "
            "train on"
        )


def _law_of(curve: Row, run: Row) -> Row | None:
    laws = [law for law in curve["laws"] if law["strategy"] == run["strategy"]]
    if STRATEGIES[run["strategy"]].asks_depths:
        laws = [law for law in laws if law["unfrozen_blocks"] == run["unfrozen_blocks"]]
    return laws[0] if laws else None


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"
