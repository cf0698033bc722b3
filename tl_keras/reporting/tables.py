"""Tables over finished runs: per class, per strategy, and strategies compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.evaluation.comparison import Verdict, verdict
from tl_keras.evaluation.intervals import Interval, accuracy_interval, paired_difference
from tl_keras.evaluation.metrics import confusion, per_class

REFERENCE = "feature_extraction"
# What makes runs the same but for the seed.
KEYS = ["strategy", "unfrozen_blocks", "train_per_class"]
_MEASURES = (
    "validation_loss",
    "validation_accuracy",
    "test_accuracy",
    "test_macro_f1",
    "test_balanced_accuracy",
)
_COSTS = ("classifier_megabytes", "milliseconds_per_image")


@dataclass(frozen=True)
class TestResults:
    """Test predictions of all finished runs.

    Attributes:
        labels: int (test images,), the true class indices.
        predicted: run_id to int (test images,).
        classes: names in the order of the indices.
    """

    labels: np.ndarray
    predicted: Mapping[str, np.ndarray]
    classes: Sequence[str]

    def correct(self, run_ids: Sequence[str]) -> np.ndarray:
        """Boolean (runs, test images)."""
        return np.stack([self.predicted[run_id] == self.labels for run_id in run_ids])


def strategy_name(row: Mapping[Any, Any]) -> str:
    """A strategy for people: "fine-tuning (2 blocks)"."""
    name = str(row["strategy"]).replace("fine_tuning", "fine-tuning").replace("_", " ")
    if row["strategy"] not in ("fine_tuning", "searched"):
        return name
    depth = str(row["unfrozen_blocks"])
    if ":" in depth:
        return f"{name} ({depth.replace(':', ' to ')})"
    return f"{name} ({depth} block{'' if depth == '1' else 's'})"


def rows_like(
    table: pd.DataFrame, row: Mapping[Any, Any], keys: Sequence[str] = KEYS
) -> pd.DataFrame:
    """The rows that have the same strategy, depth and training size; missing values are equal."""
    same = np.ones(len(table), bool)
    for key in keys:
        missing, value = table[key].isna().to_numpy(bool), row[key]
        equal = table[key].to_numpy(object)[~missing] == value
        same[missing] &= bool(pd.isna(value))
        same[~missing] &= np.zeros(len(equal), bool) if pd.isna(value) else equal
    return table[same]


def summary_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """One row per strategy, depth and training size.

    Args:
        runs: as `runs.csv`.
        results: predictions of the same runs.

    Returns:
        The keys, n (seeds), mean and sample standard deviation of each measure, seconds, size and
        speed of the classifier, the 95% interval of test accuracy (`test_accuracy_low`, `_high`,
        `_interval_method`), and against feature extraction of the same size, paired by seed and
        test image: `difference`, `difference_low`, `difference_high`, `verdict` and `sentence`.
    """
    groups = runs.groupby(KEYS, dropna=False, sort=False)
    return pd.DataFrame(
        [
            {
                **dict(zip(KEYS, key, strict=True)),
                **_spread(group),
                **_interval_columns(accuracy_interval(_correct(group, results))),
                **_against_reference(group, runs, results),
            }
            for key, group in groups
        ]
    )


def per_class_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """Support, recall, precision and F1 on the test split, per run and class."""
    return _per_run(
        runs, lambda predicted: per_class(results.labels, predicted, results.classes), results
    )


def confusion_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """Test images by true and predicted class, per run."""
    return _per_run(
        runs, lambda predicted: confusion(results.labels, predicted, results.classes), results
    )


def mean_probes(probes: pd.DataFrame) -> pd.DataFrame:
    """The probes of the largest training size, with the mean over seeds of every number.

    Args:
        probes: as `probes.csv`, with a row at least.

    Returns:
        A row per block, in the same order: block, depth, images, accuracy, accuracy_low,
        accuracy_high, cross_entropy, weight.
    """
    sizes = probes["train_per_class"]
    shown = probes[sizes.isna() if sizes.isna().any() else sizes == sizes.max()]
    columns = ["depth", "images", "accuracy", "accuracy_low", "accuracy_high", "cross_entropy"]
    return shown.groupby("block", sort=False)[[*columns, "weight"]].mean().reset_index()


def best_run(runs: pd.DataFrame) -> str:
    """The run to export: chosen on validation, never on test.

    Of the strategy, depth and size with the lowest mean validation loss over seeds, and of equal
    ones that which trains the fewest parameters, the run whose validation loss is in the middle.
    The majority class is no candidate unless it is alone.
    """
    learned = runs[runs["strategy"] != "majority_class"]
    candidates = learned if len(learned) else runs
    groups = candidates.groupby(KEYS, dropna=False, sort=False)
    measures = groups[["validation_loss", "trainable_parameters"]].transform("mean")
    ranking = measures.assign(group=groups.ngroup())
    winner = ranking.sort_values(list(ranking.columns))["group"].iloc[0]
    best = candidates[ranking["group"] == winner].sort_values(["validation_loss", "seed"])
    return str(best["run_id"].iloc[(len(best) - 1) // 2])


def advice_in_hindsight(advice: Mapping[str, Any], summary: pd.DataFrame, cut: str) -> str:
    """A sentence on what the advice was worth, for the largest training size.

    Args:
        advice: as `advice.json`.
        summary: as `summary.csv`.
        cut: of the experiment, as in its configuration.
    """
    sizes = summary["train_per_class"]
    rows = summary[sizes.isna() if sizes.isna().any() else sizes == sizes.max()]
    rows = rows.sort_values("validation_loss_mean", kind="stable")
    chosen = rows.iloc[0].to_dict()
    of_strategy = rows[rows["strategy"] == advice["strategy"]]
    fits = advice["strategy"] == "linear_probe" or advice["cut"] == cut
    if of_strategy.empty or not fits:
        name = str(advice["strategy"]).replace("fine_tuning", "fine-tuning").replace("_", " ")
        where = "" if advice["cut"] == "top" else f" up to {advice['cut']}"
        return f"The advice, {name}{where}, was not among the strategies."
    advised = of_strategy.iloc[0].to_dict()
    told = f"The advice was {strategy_name(advised)}: {advised['test_accuracy_mean']:.3f} on test"
    if strategy_name(advised) == strategy_name(chosen):
        return f"{told}; the lowest validation loss has the same."
    other = f"{strategy_name(chosen)}, {chosen['test_accuracy_mean']:.3f}"
    return f"{told}; the lowest validation loss has {other}."


def _per_run(
    runs: pd.DataFrame, table_of: Callable[[np.ndarray], pd.DataFrame], results: TestResults
) -> pd.DataFrame:
    parts = []
    for row in runs.to_dict("records"):
        table = table_of(results.predicted[row["run_id"]])
        for position, key in enumerate(("run_id", *KEYS, "seed")):
            table.insert(position, key, row[key])
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _spread(group: pd.DataFrame) -> dict[str, float]:
    columns: dict[str, float] = {"n": len(group)}
    for measure in _MEASURES:
        columns[f"{measure}_mean"] = group[measure].mean()
        columns[f"{measure}_sd"] = group[measure].std(ddof=1)
    seconds = group["phase_1_seconds"] + group["phase_2_seconds"]
    return columns | {
        "test_images": int(group["test_images"].iloc[0]),
        "training_seconds_mean": seconds.mean(),
        **{f"{name}_mean": _mean(group, name) for name in _COSTS},
    }


def _mean(group: pd.DataFrame, name: str) -> float:
    """Of a column that runs of an earlier version lack."""
    return float(group[name].mean()) if name in group else float("nan")


def _interval_columns(interval: Interval) -> dict[str, object]:
    return {
        "test_accuracy_low": interval.low,
        "test_accuracy_high": interval.high,
        "interval_method": interval.method,
    }


def _correct(group: pd.DataFrame, results: TestResults) -> np.ndarray:
    return results.correct(group.sort_values("seed")["run_id"].tolist())


def _against_reference(
    group: pd.DataFrame, runs: pd.DataFrame, results: TestResults
) -> dict[str, object]:
    size = group["train_per_class"].iloc[0]
    same_size = runs["train_per_class"].isna() if pd.isna(size) else runs["train_per_class"] == size
    reference = runs[(runs["strategy"] == REFERENCE) & same_size]
    paired = set(reference["seed"]) & set(group["seed"])
    if not paired or group["strategy"].iloc[0] == REFERENCE:
        return dict.fromkeys(
            ("difference", "difference_low", "difference_high", "verdict", "sentence")
        )
    ours, theirs = (table[table["seed"].isin(paired)] for table in (group, reference))
    difference = paired_difference(_correct(ours, results), _correct(theirs, results))
    found: Verdict = verdict(
        difference,
        strategy_name(group.iloc[0].to_dict()),
        strategy_name(reference.iloc[0].to_dict()),
    )
    return {
        "difference": difference.estimate,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "verdict": found.outcome,
        "sentence": found.sentence,
    }
