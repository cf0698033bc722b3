"""Sections of the report that are made of tables: what the template shows of each.

Their order on the page is that of `templates/report.html`; `report.content` gives it each by its
name. The question and the answer that it begins with are in `answer`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tl_keras.evaluation.comparison import points
from tl_keras.evaluation.metrics import METRICS, column_of
from tl_keras.invocation import run_again
from tl_keras.reporting.answer import choice_in_words, what_is_read
from tl_keras.reporting.decision_plots import reliability_figure, thresholds_figure
from tl_keras.reporting.decision_words import figures
from tl_keras.reporting.pages import Cell, Cells
from tl_keras.reporting.photo_sections import known_names
from tl_keras.reporting.plot_files import Plot
from tl_keras.reporting.plot_words import (
    history_words,
    learning_curve_words,
    probes_words,
    reliability_words,
    strategies_words,
    thresholds_words,
)
from tl_keras.reporting.plots import (
    history_figure,
    learning_curve_figure,
    probes_figure,
    strategies_figure,
)
from tl_keras.reporting.stranger_words import in_words as stranger_words
from tl_keras.reporting.stranger_words import refused_photos
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results.test_results import kind_name, rows_like, strategy_name
from tl_keras.results_layout import CONFIG
from tl_keras.strategy_table import STRATEGIES, names_where
from tl_keras.transfer.network_words import (
    labels_of,
    names_of,
    networks_in,
    reach_in_words,
    sizes_of,
)

# Of classes, in a confusion matrix that can still be read on a page.
MOST_CLASSES = 40
_REFUSED = ("labelled photo that would be refused", "class", "familiar")
_FIGURES = ("figure", "estimate", "95% interval", "of")


def strategies(results: FinishedExperiment) -> dict[str, Any]:
    """Of the largest training size: accuracy with intervals, and the comparisons in words."""
    shown, chosen = results.largest, results.summary_of(results.chosen)
    marked = [
        place
        for place, row in enumerate(shown.to_dict("records"))
        if strategy_name(row) == strategy_name(chosen)
    ]
    others = [
        name
        for name, metric in METRICS.items()
        if name != "accuracy" and metric.reads == "predicted" and f"{column_of(name)}_mean" in shown
    ]
    labels = [METRICS[name].label for name in others]
    columns = ["strategy", "test accuracy", "95% interval", "sd", *labels, "val."]
    rows = [
        [
            strategy_name(row),
            _three(row["test_accuracy_mean"]),
            f"{_three(row['test_accuracy_low'])} to {_three(row['test_accuracy_high'])}",
            _three(row["test_accuracy_sd"]),
            *(_three(row[f"{column_of(name)}_mean"]) for name in others),
            _three(row["validation_accuracy_mean"]),
        ]
        for row in shown.to_dict("records")
    ]
    return {
        "plot": Plot("strategies", strategies_figure(shown, results.runs), strategies_words(shown)),
        "table": Cells(columns, rows, columns[1:], marked),
        "choice": choice_in_words(results),
        "comparisons": _comparisons(results),
        "method": str(shown["interval_method"].iloc[0]),
    }


def _comparisons(results: FinishedExperiment) -> Cells | None:
    """Any two strategies of the largest training size."""
    table = results.table("comparisons")
    if table is None:
        return None
    own = rows_like(table, results.largest.iloc[0].to_dict(), ["train_per_class"])
    columns = ["strategy", "against", "difference, points", "95% interval", "verdict"]
    rows = [
        [
            row["a_name"],
            row["b_name"],
            points(row["difference"]),
            f"{points(row['difference_low'])} to {points(row['difference_high'])}",
            row["verdict"] + ("" if pd.isna(row["needed"]) else f": {row['needed']}"),
        ]
        for row in own.to_dict("records")
        if not {row["a"], row["b"]} & set(names_where(lambda spec: spec.trivial))
    ]
    return Cells(columns, rows, columns[2:4]) if rows else None


def training(results: FinishedExperiment) -> dict[str, Any] | None:
    """Curves of one run per strategy, the seed of the chosen run, in the largest size."""
    history = results.table("history")
    if history is None:
        return None
    size = results.largest.iloc[0].to_dict()
    own = rows_like(results.runs, size, ["train_per_class"])
    own = own[(own["seed"] == results.chosen["seed"]) & own["run_id"].isin(history["run_id"])]
    if own.empty:
        return None
    phases = history[history["run_id"].isin(own["run_id"])].groupby("run_id")["phase"].nunique()
    return {
        "plot": Plot(
            "training",
            history_figure(history, own, results.folds),
            history_words(history, own, results.folds),
        ),
        "phases": bool((phases > 1).any()),
    }


def blocks(results: FinishedExperiment) -> dict[str, Any] | None:
    """The probes at every block, and the advice that rests on them."""
    probes, advice = results.table("probes"), results.facts("advice")
    if probes is None and advice is None:
        return None
    plot = None
    if probes is not None:
        plot = Plot("probes", probes_figure(probes), probes_words(probes))
    return {
        "plot": plot,
        "advice": None if advice is None else _advice(advice),
        "networks": _networks(networks_in(advice)),
        "exported": _probe_in_words(results.chosen),
    }


def _probe_in_words(run: Mapping[Any, Any]) -> str | None:
    """Which blocks the chosen probe reads, for the advice was made on other images; else None."""
    names = str(run.get("head_blocks")).split()
    if not STRATEGIES[run["strategy"]].chooses_blocks:
        return None
    several = f"averages {len(names)} blocks, {names[0]} to {names[-1]}"
    reads = several if names[1:] else f"reads {names[0]}"
    read = what_is_read(run)
    return (
        f"The chosen probe {reads}{f' ({read})' if read else ''}: each run cross-validates on its "
        "own labelled images."
    )


def _networks(measured: Sequence[Mapping[Any, Any]]) -> Cells | None:
    """What was measured of each network and size; None without a choice."""
    if len(measured) < 2:
        return None
    labels = labels_of(measured)
    columns = ["network", "px", "accuracy", "95% interval", "loss", "size, MB", "ms per photo"]
    rows = [
        [
            names_of(row, labels),
            sizes_of(row),
            _three(row["accuracy"]),
            _between(row["accuracy_low"], row["accuracy_high"]),
            _three(row["cross_entropy"]),
            _one(row.get("megabytes")),
            _one(row["milliseconds_per_image"]),
            _one(row.get("fine_tuning_minutes")),
        ]
        for row in measured
    ]
    marked = [place for place, row in enumerate(measured) if row["chosen"]]
    return Cells([*columns, "min to fine-tune"], rows, [*columns[1:], "min to fine-tune"], marked)


def _advice(advice: dict[str, Any]) -> dict[str, Any]:
    checks = [[check["name"], check["finding"], check["sentence"]] for check in advice["checks"]]
    return {
        "strategy": kind_name(advice["strategy"]),
        "reach": reach_in_words(advice["cut"]),
        "confidence": advice["confidence"],
        "reasons": advice["reasons"],
        "checks": Cells(["condition for transfer", "finding", "why"], checks, alike=False),
    }


def classes(results: FinishedExperiment) -> dict[str, Any]:
    """Of the chosen run or all its folds: scores by class, and what is taken for what."""
    columns = ["class", "test photos", "recall", "95% interval", "precision", "F1"]
    rows = [
        [
            row["class"],
            int(row["support"]),
            _three(row["recall"]),
            _between(row["recall_low"], row["recall_high"]),
            *(_three(row[k]) for k in ("precision", "f1")),
        ]
        for row in results.class_scores.rename_axis("class").reset_index().to_dict("records")
    ]
    matrix = results.confusion
    return {
        "scores": Cells(columns, rows, columns[1:]),
        "of": "the chosen strategy, all folds together"
        if results.folds
        else f"the chosen run, {results.run_name}, on the test split",
        "matrix": _matrix(matrix) if len(matrix) <= MOST_CLASSES else None,
        "confused": _most_confused(matrix),
    }


def _matrix(counts: pd.DataFrame) -> dict[str, Any]:
    """Counts, and the strength of each cell's colour: the share of its true class."""
    shares = counts.div(counts.sum(axis=1), axis=0).fillna(0)
    return {
        "names": list(counts.columns),
        "rows": [
            {
                "name": name,
                "cells": [
                    {
                        "predicted": predicted,
                        "count": int(count),
                        "share": float(share),
                        "right": name == predicted,
                    }
                    for predicted, count, share in zip(
                        counts.columns, counts.loc[name], shares.loc[name], strict=True
                    )
                ],
            }
            for name in counts.index
        ],
    }


def _most_confused(matrix: pd.DataFrame) -> list[str]:
    pairs = [
        (int(matrix.loc[true, predicted]), true, predicted)
        for true in matrix.index
        for predicted in matrix.columns
        if true != predicted
    ]
    most = sorted((pair for pair in pairs if pair[0]), key=lambda pair: -pair[0])[:5]
    return [f"{true} taken for {predicted}: {count}" for count, true, predicted in most]


def decision(results: FinishedExperiment) -> dict[str, Any] | None:
    """Calibration, threshold and review, in words and as plots."""
    facts, calibration = results.facts("decision"), results.table("calibration")
    if facts is None or calibration is None:
        return None
    thresholds, strangers = results.table("thresholds"), results.facts("strangers")
    if strangers is not None and strangers["run_id"] != facts["run_id"]:
        strangers = None
    return {
        "text": facts["text"],
        "figures": Cells(_FIGURES, figures(facts), _FIGURES[1:3], alike=False),
        "about": _about_one_model(int(results.summary_of(results.chosen)["n"])),
        "strangers": [] if strangers is None else stranger_words(strangers),
        "refused": None if strangers is None else _refused(results, strangers),
        "reliability": Plot(
            "reliability", reliability_figure(calibration), reliability_words(calibration)
        ),
        "thresholds": None if thresholds is None else _thresholds(thresholds),
    }


def _refused(results: FinishedExperiment, strangers: Mapping[str, Any]) -> Cells | None:
    """Labelled photos that would be refused; None where none would be."""
    rows = refused_photos(strangers)
    names = known_names(results, [row[0] for row in rows])
    named = [[Cell(names[image], title=image), *rest] for image, *rest in rows]
    return Cells(_REFUSED, named, _REFUSED[2:]) if rows else None


def _thresholds(table: pd.DataFrame) -> Plot:
    return Plot("thresholds", thresholds_figure(table), thresholds_words(table))


def _about_one_model(runs: int) -> str:
    """Why an interval may differ from that of the strategy, which is about more."""
    own = "Intervals here are about this one model on new photos"
    if runs == 1:
        return f"{own}, as that of its strategy above is."
    return (
        f"{own}; that of its strategy above is about the method, trained anew on other photos of "
        "the kind as well."
    )


def curve(results: FinishedExperiment) -> dict[str, Any] | None:
    """The learning curves, and what they say."""
    table, facts = results.table("learning_curve"), results.facts("learning_curve")
    if table is None or facts is None:
        return None
    plot = Plot("learning_curve", learning_curve_figure(table), learning_curve_words(table))
    return {"plot": plot, "sentences": facts["sentences"]}


def cost(results: FinishedExperiment) -> Cells:
    """Seconds, size and speed of every strategy."""
    columns = ["strategy", "training, s", "size, MB", "ms per photo"]
    rows = [
        [
            strategy_name(row),
            f"{row['training_seconds_mean']:.0f}",
            f"{row['classifier_megabytes_mean']:.1f}",
            f"{row['milliseconds_per_image_mean']:.1f}",
        ]
        for row in results.largest.to_dict("records")
        if not STRATEGIES[row["strategy"]].trivial
    ]
    return Cells(columns, rows, columns[1:])


def made(results: FinishedExperiment) -> dict[str, Any]:
    """Configuration, versions, and how to repeat it."""
    environment = results.facts("environment") or {}
    versions = ("tl_keras", "tensorflow", "keras", "keras_tuner", "numpy", "pandas", "python")
    shown = (*versions, "platform", "processors")
    return {
        "configuration": json.dumps(results.config, indent=2),
        "facts": Cells(
            ["what", "value"],
            [[name, environment[name]] for name in shown if name in environment]
            + [
                ["weights, SHA-256", str(environment.get("source_weights_sha256"))[:16]],
                ["configuration, hash", results.chosen["configuration_hash"]],
                ["seeds", results.config["seeds"]],
                ["runs", len(results.runs)],
            ],
            alike=False,
        ),
        "command": f"{run_again(results.folder / CONFIG)} --set results_dir=again",
    }


def _between(low: float, high: float) -> str:
    return "" if pd.isna(low) else f"{_three(low)} to {_three(high)}"


def _one(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _three(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3f}"
