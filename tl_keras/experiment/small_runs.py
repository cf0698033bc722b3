"""The quick strategies on parts of the training images: a learning curve where one size was asked.

They work on frozen features, which are there already, so that this takes seconds.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from tl_keras.data.parts import parts_of
from tl_keras.data.splits import Draw
from tl_keras.engine.pool import Pool
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.run_tasks import run_task
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.store import Outcome
from tl_keras.results.test_results import TestResults
from tl_keras.transfer.run_plan import Run


def with_parts(
    prepared: Prepared, pool: Pool, runs: pd.DataFrame, results: TestResults
) -> tuple[pd.DataFrame, TestResults]:
    """The finished runs of the quick strategies, and the same on parts of their training images.

    Args:
        prepared: an experiment with one training size; nothing of the new runs is kept.
        pool: of its workers.
        runs: finished ones, as `runs.csv`.
        results: their test predictions.

    Returns:
        Rows as `runs.csv` with the training images per class, mean over classes, as size; and
        their predictions.
    """
    labels, groups = prepared.labels, prepared.groups
    small: dict[str, FinishedRun] = {}
    tested, predicted = dict(results.rows), dict(results.predicted)

    def done(run: Run, outcome: Outcome) -> None:
        small[run.run_id] = outcome.run
        predicted[run.run_id] = outcome.test_probabilities.argmax(axis=1)

    finished = [FinishedRun.from_row(row) for row in runs.to_dict("records")]
    order: list[str] = []
    for whole in (run for run in finished if run.spec.quick):
        draw = prepared.draw_of(whole)
        small[whole.run_id] = replace(whole, train_per_class=_per_class(draw, labels))
        order.append(whole.run_id)
        for size, part in parts_of(draw, labels, groups, whole.seed).items():
            run = Run(whole.strategy, whole.seed, size)
            pool.submit(run_task(prepared, run, partial(done, run), draw=part))
            tested[run.run_id] = prepared.test_of(run)
            order.append(run.run_id)
    pool.wait()
    table = runs_table([small[run_id] for run_id in order]) if order else runs.iloc[:0]
    return table, replace(results, rows=tested, predicted=predicted)


def _per_class(draw: Draw, labels: np.ndarray) -> int:
    return round(len(draw.train) / len(np.unique(labels[draw.train])))
