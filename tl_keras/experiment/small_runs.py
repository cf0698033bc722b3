"""The quick strategies on parts of the training images: a learning curve where one size was asked.

They work on frozen features, which are there already, so that this takes seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from tl_keras.data.parts import parts_of
from tl_keras.data.splits import Draw
from tl_keras.engine.pool import Pool
from tl_keras.engine.tasks import Task
from tl_keras.experiment.make_run import make_run
from tl_keras.experiment.prepare import Prepared
from tl_keras.keras_settings import needed_keras
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.test_results import TestResults
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import Run

# A finished run, and the class of each of its test images.
_Answers = tuple[FinishedRun, np.ndarray]


@dataclass(frozen=True)
class MakeSmallRuns:
    """Makes several runs, of which only the answers are kept."""

    runs: tuple[tuple[Run, Draw], ...]

    @needed_keras()
    def __call__(self, prepared: Prepared) -> list[_Answers]:
        """Train and evaluate them."""
        made = (make_run(prepared, run, draw) for run, draw in self.runs)
        return [(one.run, one.test_probabilities.argmax(axis=1)) for one in made]


@dataclass
class SmallRuns:
    """Runs on parts of the training images, while something else is done.

    Attributes:
        prepared: an experiment; nothing of these runs is written.
        pool: of its workers.
    """

    prepared: Prepared
    pool: Pool
    _made: dict[str, _Answers] = field(default_factory=dict, init=False)

    def begin(self) -> None:
        """Hand them in, so that every worker has a share."""
        quick = (run for run in self.prepared.planned if STRATEGIES[run.strategy].quick)
        wanted = [part for run in quick for part in self._parts(run)]
        for number in range(min(self.pool.size, len(wanted))):
            share = MakeSmallRuns(tuple(wanted[number :: self.pool.size]))
            self.pool.submit(Task("the learning curve", share, self._keep, seconds=0.0))
        if self.pool.elsewhere:
            self.pool.look()

    def beside(self, runs: pd.DataFrame, results: TestResults) -> tuple[pd.DataFrame, TestResults]:
        """The finished runs of the quick strategies, and with them the small ones.

        Args:
            runs: finished ones, as `runs.csv`.
            results: their test predictions.

        Returns:
            Rows as `runs.csv` with the training images per class, mean over classes, as size; and
            their predictions.
        """
        self.pool.wait()
        tested, predicted = dict(results.rows), dict(results.predicted)
        rows = []
        for whole in map(FinishedRun.from_row, runs.to_dict("records")):
            if not whole.spec.quick:
                continue
            rows.append(replace(whole, train_per_class=self._per_class(whole)))
            for run, _ in self._parts(whole):
                small, predicted[run.run_id] = self._made[run.run_id]
                tested[run.run_id] = self.prepared.test_of(run)
                rows.append(small)
        table = runs_table(rows) if rows else runs.iloc[:0]
        return table, replace(results, rows=tested, predicted=predicted)

    def _keep(self, made: Sequence[_Answers]) -> None:
        self._made |= {run.run_id: (run, predicted) for run, predicted in made}

    def _parts(self, whole: Run | FinishedRun) -> Iterator[tuple[Run, Draw]]:
        """A run on each part of the images of a run, and these images."""
        draw, labels = self.prepared.draw_of(whole), self.prepared.labels
        for size, part in parts_of(draw, labels, self.prepared.groups, whole.seed).items():
            yield Run(whole.strategy, whole.seed, size), part

    def _per_class(self, whole: FinishedRun) -> int:
        train = self.prepared.draw_of(whole).train
        return round(len(train) / len(np.unique(self.prepared.labels[train])))
