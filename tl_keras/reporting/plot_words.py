"""What plots show, in words: the numbers, for those who do not see them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tl_keras.evaluation.intervals import Interval
from tl_keras.reporting.plots import curve_methods
from tl_keras.results.summary_tables import mean_probes
from tl_keras.results.test_results import seed_name, strategy_name
from tl_keras.transfer.probing import AVERAGE

# Thresholds that are told beside the chosen one.
_THRESHOLDS = 5


def probes_words(probes: pd.DataFrame) -> str:
    """Of `probes.csv`: the accuracy at every block."""
    shown = mean_probes(probes)
    shown = shown[shown["depth"].notna() | (shown["block"] == AVERAGE)]
    told = (f"{row['block']} {row['accuracy']:.2f}" for row in shown.to_dict("records"))
    return f"Accuracy of a linear probe by block: {_listed(told)}."


def strategies_words(summary: pd.DataFrame) -> str:
    """Of `summary.csv`, of one training size: the test accuracy of every strategy."""
    names = [strategy_name(row) for row in summary.to_dict("records")]
    columns = [f"test_accuracy_{end}" for end in ("mean", "low", "high")]
    return _accuracies(names, summary[columns].to_numpy().tolist())


def experiments_words(names: Sequence[str], intervals: Sequence[Interval]) -> str:
    """The test accuracy of what each experiment chose."""
    return _accuracies(names, [[each.estimate, each.low, each.high] for each in intervals])


def history_words(history: pd.DataFrame, runs: pd.DataFrame, folds: int = 0) -> str:
    """Of `history.csv`: the losses of some runs in the first and the last epoch."""
    told = []
    for run in runs.to_dict("records"):
        epochs = history[history["run_id"] == run["run_id"]]
        first, last = epochs.iloc[0], epochs.iloc[-1]
        told.append(
            f"{strategy_name(run)}, {seed_name(run['seed'], folds)}: "
            + " and ".join(
                f"{part} from {first[column]:.2f} to {last[column]:.2f}"
                for part, column in (("training", "loss"), ("validation", "validation_loss"))
            )
            + f" in {len(epochs)} epochs"
        )
    return f"Loss by epoch. {'; '.join(told)}."


def learning_curve_words(curve: pd.DataFrame) -> str:
    """Of `learning_curve.csv`: the accuracies that were measured, and the last one foretold."""
    told = []
    for name, group in curve_methods(curve):
        fitted, measured = (group[group["kind"] == kind] for kind in ("fitted", "measured"))
        points = [_with(row) for row in measured.to_dict("records")]
        last = fitted[fitted["train_per_class"] > measured["train_per_class"].max()].tail(1)
        points += [f"foretold {_with(row)}" for row in last.to_dict("records")]
        told.append(f"{name}: {_listed(points)}")
    return f"Accuracy by training images per class. {'; '.join(told)}."


def reliability_words(calibration: pd.DataFrame) -> str:
    """Of `calibration.csv`: how often answers of a probability are right."""
    told = []
    for stage, name in (("before", "As the model says"), ("after", "Calibrated")):
        bins = calibration[calibration["stage"] == stage].to_dict("records")
        points = (f"{row['confidence']:.2f} sure, {row['accuracy']:.2f} right" for row in bins)
        told.append(f"{name}: {'; '.join(points)}.")
    return " ".join(told)


def thresholds_words(thresholds: pd.DataFrame) -> str:
    """Of `thresholds.csv`: what the chosen threshold gives on test, and some others."""
    test = thresholds[thresholds["part"] == "test"].sort_values("threshold")
    others = test[~test["chosen"]]
    others = others.iloc[:: max(1, -(-len(others) // _THRESHOLDS))]
    told = f"Chosen: {_at(test[test['chosen']].iloc[0].to_dict())}."
    if others.empty:
        return told
    return f"{told} Others: {'; '.join(map(_at, others.to_dict('records')))}."


def _at(row: Mapping[Any, Any]) -> str:
    return (
        f"from {row['threshold']:.3g} on, recall {row['recall']:.2f}, false alarms "
        f"{row['false_alarm_rate']:.2f}, cost {row['cost_per_100']:.1f} per 100 photos"
    )


def _with(row: Mapping[Any, Any]) -> str:
    return f"{row['accuracy']:.2f} with {row['train_per_class']:.0f}"


def _accuracies(names: Iterable[str], bounds: Iterable[Sequence[float]]) -> str:
    told = (
        f"{name} {estimate:.2f} ({low:.2f} to {high:.2f})"
        for name, (estimate, low, high) in zip(names, bounds, strict=True)
    )
    return f"Test accuracy with its 95% interval: {_listed(told)}."


def _listed(told: Iterable[str]) -> str:
    return ", ".join(told)
