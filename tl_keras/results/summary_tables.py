"""Tables over finished runs: per class, per strategy, and strategies compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.evaluation.intervals import Interval, share_interval
from tl_keras.evaluation.metrics import METRICS, column_of, confusion, per_class
from tl_keras.results.comparisons import compare
from tl_keras.results.test_results import KEYS, TestResults, by_strategy, strategy_name
from tl_keras.strategy_table import REFERENCE

_AGAINST = (
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
    "sentence",
    "images_needed",
    "seeds_needed",
    "needed",
)
_COSTS = ("classifier_megabytes", "milliseconds_per_image")


def summary_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """One row per strategy, depth and training size.

    Args:
        runs: as `runs.csv`.
        results: predictions of the same runs.

    Returns:
        The keys, n (runs: seeds or folds), mean and sample standard deviation of each measure
        (missing where no run has it), the different test images and by how much the classes among
        them differ (`test_class_ratio`, largest over smallest), seconds, size and speed of the
        classifier, the 95% interval of test accuracy (`test_accuracy_low`, `_high`,
        `_interval_method`), and against feature extraction of the same size, paired by seed and
        test image: `difference`, `difference_low`, `difference_high`, `verdict`, `sentence`, and
        `images_needed`, `seeds_needed`, `needed` as of `comparison_table`.
    """
    strategies = by_strategy(runs)
    table = pd.DataFrame(
        [
            {
                **keys,
                **_spread(group),
                **_test_columns(group, results),
                **_against_reference(keys, group, runs, results),
            }
            for keys, group in strategies
        ]
    )
    return table.astype(dict.fromkeys(("images_needed", "seeds_needed"), "Int64"))


def per_class_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """Support, recall with its 95% interval, precision and F1 on the test split, by run, class."""
    table = _per_run(runs, per_class, results)
    bounds = [pair for run_id in runs["run_id"] for pair in _recall_bounds(results, run_id)]
    table[["recall_low", "recall_high"]] = np.reshape(bounds, (-1, 2))
    return table


def confusion_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """Test images by true and predicted class, per run."""
    return _per_run(runs, confusion, results)


def largest_size(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest training size, where all images that are left are more than any."""
    sizes = table["train_per_class"]
    return table[sizes.isna() if sizes.isna().any() else sizes == sizes.max()]


def mean_probes(probes: pd.DataFrame) -> pd.DataFrame:
    """The probes of the largest training size, with the mean over seeds of every number.

    Args:
        probes: as `probes.csv`, with a row at least.

    Returns:
        A row per block, in the same order: block, depth, images, accuracy, accuracy_low,
        accuracy_high, cross_entropy, weight.
    """
    shown = largest_size(probes)
    columns = ["depth", "images", "accuracy", "accuracy_low", "accuracy_high", "cross_entropy"]
    return shown.groupby("block", sort=False)[[*columns, "weight"]].mean().reset_index()


def _per_run(
    runs: pd.DataFrame,
    table_of: Callable[[np.ndarray, np.ndarray, Sequence[str]], pd.DataFrame],
    results: TestResults,
) -> pd.DataFrame:
    parts = []
    for row in runs.to_dict("records"):
        run_id = row["run_id"]
        table = table_of(results.labels_of(run_id), results.predicted[run_id], results.classes)
        for position, key in enumerate(("run_id", *KEYS, "seed")):
            table.insert(position, key, row[key])
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _recall_bounds(results: TestResults, run_id: str) -> Iterator[tuple[float, float]]:
    """Of each class, about this one model on new photos; NaN without a test photo."""
    labels, right = results.labels_of(run_id), results.correct_of(run_id)
    groups = None if results.groups is None else results.groups[results.rows[run_id]]
    for index in range(len(results.classes)):
        own = labels == index
        of_groups = None if groups is None else groups[own]
        yield share_interval(right[own], of_groups) if own.any() else (np.nan, np.nan)


def _spread(group: pd.DataFrame) -> dict[str, float]:
    columns: dict[str, float] = {"n": len(group)}
    on_test = [column_of(name) for name in METRICS]
    for measure in ("validation_loss", "validation_accuracy", "selection_loss", *on_test):
        columns[f"{measure}_mean"] = _mean(group, measure)
        columns[f"{measure}_sd"] = group[measure].std(ddof=1) if measure in group else np.nan
    seconds = group["phase_1_seconds"] + group["phase_2_seconds"]
    return columns | {
        "training_seconds_mean": seconds.mean(),
        **{f"{name}_mean": _mean(group, name) for name in _COSTS},
    }


def _mean(group: pd.DataFrame, name: str) -> float:
    """Of a column that runs of an earlier version lack."""
    return float(group[name].mean()) if name in group else float("nan")


def _test_columns(group: pd.DataFrame, results: TestResults) -> dict[str, object]:
    interval: Interval = results.accuracy(group)
    return {
        "test_images": interval.n_images,
        "test_class_ratio": results.class_ratio(group["run_id"].tolist()),
        "test_accuracy_low": interval.low,
        "test_accuracy_high": interval.high,
        "interval_method": interval.method,
    }


def _against_reference(
    keys: Mapping[str, Any], group: pd.DataFrame, runs: pd.DataFrame, results: TestResults
) -> dict[str, object]:
    size = keys["train_per_class"]
    same_size = runs["train_per_class"].isna() if pd.isna(size) else runs["train_per_class"] == size
    reference = runs[(runs["strategy"] == REFERENCE) & same_size]
    found: dict[str, object] = {}
    if len(reference) and keys["strategy"] != REFERENCE:
        name = strategy_name(reference.iloc[0].to_dict())
        found = compare(group, reference, results, strategy_name(keys), name)
    return {column: found.get(column) for column in _AGAINST}
