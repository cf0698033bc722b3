"""The quick strategies on parts of the training images: a learning curve where one size was asked.

They work on frozen features, which are there already, so that this takes seconds.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tl_keras.data.parts import parts_of
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Splits
from tl_keras.reporting.curves import Answers
from tl_keras.reporting.tables import TestResults
from tl_keras.runs import RunMaker
from tl_keras.transfer.strategies import Run

QUICK = ("linear_probe", "feature_extraction")


def answers_on_parts(
    maker: RunMaker, splits: Splits, table: ImageTable, runs: pd.DataFrame, results: TestResults
) -> Answers:
    """What the quick strategies answer correctly when trained on parts of each seed's images.

    Args:
        maker: makes the runs; nothing of them is kept.
        splits: of the experiment, with one training size.
        table: the images.
        runs: finished ones, as `runs.csv`: the whole training images are the largest size.
        results: their test predictions.
    """
    answers: dict[tuple[str, str | None], Mapping[int, np.ndarray]] = {}
    for strategy in QUICK:
        own = runs[runs["strategy"] == strategy].sort_values("seed")
        if len(own):
            answers[strategy, "0"] = _by_size(maker, splits, table, own, results)
    return answers


def _by_size(
    maker: RunMaker, splits: Splits, table: ImageTable, own: pd.DataFrame, results: TestResults
) -> dict[int, np.ndarray]:
    labels = table.frame["class_index"].to_numpy(np.int64)
    groups = table.frame["group"].to_numpy(str)
    by_size: dict[int, list[np.ndarray]] = {}
    for row in own.to_dict("records"):
        seed, asked = int(row["seed"]), row["train_per_class"]
        draw = splits.draws[seed, None if pd.isna(asked) else int(asked)]
        for size, part in parts_of(draw, labels, groups, seed).items():
            outcome = maker.make(Run(str(row["strategy"]), seed, size), part)
            right = outcome.test_probabilities.argmax(axis=1) == results.labels
            by_size.setdefault(size, []).append(right)
    whole = results.correct(own["run_id"].tolist())
    largest = round(float(own["training_images"].mean()) / len(table.classes))
    # with groups, the draws of the seeds may differ by an image, and with them a size
    complete = {n: np.stack(rows) for n, rows in by_size.items() if len(rows) == len(own)}
    return complete | {largest: whole}
