"""The quick strategies on parts of the training images: a learning curve where one size was asked.

They work on frozen features, which are there already, so that this takes seconds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.data.parts import parts_of
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Draw, Splits
from tl_keras.experiment.run_maker import RunMaker
from tl_keras.results.store import runs_table
from tl_keras.results.test_results import TestResults
from tl_keras.transfer.strategies import Run

QUICK = ("linear_probe", "feature_extraction")


def with_parts(
    maker: RunMaker, splits: Splits, table: ImageTable, runs: pd.DataFrame, results: TestResults
) -> tuple[pd.DataFrame, TestResults]:
    """The finished runs of the quick strategies, and the same on parts of their training images.

    Args:
        maker: makes the runs; nothing of them is kept.
        splits: of the experiment, with one training size.
        table: the images.
        runs: finished ones, as `runs.csv`.
        results: their test predictions.

    Returns:
        Rows as `runs.csv` with the training images per class, mean over classes, as size; and
        their predictions.
    """
    labels = table.frame["class_index"].to_numpy(np.int64)
    groups = table.frame["group"].to_numpy(str)
    rows: list[Mapping[Any, Any]] = []
    tested, predicted = dict(results.rows), dict(results.predicted)
    for whole in runs[runs["strategy"].isin(QUICK)].to_dict("records"):
        seed, asked = int(whole["seed"]), whole["train_per_class"]
        draw = splits.draws[seed, None if pd.isna(asked) else int(asked)]
        rows.append({**whole, "train_per_class": _per_class(draw, labels)})
        for size, part in parts_of(draw, labels, groups, seed).items():
            run = Run(str(whole["strategy"]), seed, size)
            outcome = maker.make(run, part)
            rows.append(outcome.row)
            tested[run.run_id] = splits.test_of(seed)
            predicted[run.run_id] = outcome.test_probabilities.argmax(axis=1)
    small = runs_table(rows) if rows else runs.iloc[:0]
    return small, replace(results, rows=tested, predicted=predicted)


def _per_class(draw: Draw, labels: np.ndarray) -> int:
    return round(len(draw.train) / len(np.unique(labels[draw.train])))
