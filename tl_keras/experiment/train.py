"""The stage that makes the runs that are not there yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tl_keras.engine.pool import Pool
from tl_keras.evaluation.metrics import METRICS, evaluate
from tl_keras.experiment.expected_time import SEARCH
from tl_keras.experiment.make_run import make_run
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.run_tasks import run_task
from tl_keras.experiment.study import lost_table, studies
from tl_keras.models.pooling import Pooling
from tl_keras.progress import making
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.store import Outcome
from tl_keras.results.tensorboard import FOLDER as EVENTS_FOLDER
from tl_keras.results.tensorboard import write_events
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import Run


@dataclass(frozen=True)
class RunsLeft:
    """The runs of an experiment that are left to be made.

    Attributes:
        prepared: the experiment.
        pool: of its workers.
        left: planned runs that are not finished.
        seconds: about how long each takes.
    """

    prepared: Prepared
    pool: Pool
    left: Sequence[Run]
    seconds: Mapping[str, float]

    def begin(self) -> None:
        """Have workers begin with what needs nothing but the pictures, while these are measured."""
        for run in self.left:
            if _needs_pictures_alone(run):
                self.pool.submit(run_task(self.prepared, run, self._keep))
        if self.pool.elsewhere:
            self.pool.look()

    def finish(self) -> pd.DataFrame:
        """Make what is left; the table of all runs, as `runs.csv`.

        What takes seconds comes first, in this process, so that there is soon something to look at;
        meanwhile the workers have begun with what takes longest.
        """
        specs = {run: STRATEGIES[run.strategy] for run in self.left}
        searched = [run for run in self.left if specs[run].searches]
        quick = [run for run in self.left if specs[run].takes_seconds]
        for run in self.left:
            if run not in searched and run not in quick and not _needs_pictures_alone(run):
                self.pool.submit(run_task(self.prepared, run, self._keep))
        self._make_here(quick)
        wanted = [*searched, *_without_table(self.prepared)]
        of_searches = self.seconds.get(SEARCH, 0.0)
        for run, found in studies(self.prepared, wanted, self.pool, of_searches):
            if run in self.left:
                task = run_task(self.prepared, run, self._keep, winner=found.winner)
                self.pool.submit(task)
        self.pool.wait()
        self.prepared.store.join_trials()
        return write_runs(self.prepared)

    def _make_here(self, quick: Sequence[Run]) -> None:
        """Make quick runs while the workers have something else to do, and leave them the rest."""
        for run in quick:
            if self.pool.elsewhere:
                self.pool.look()
            if self.pool.elsewhere and self.pool.idle:
                self.pool.submit(run_task(self.prepared, run, self._keep))
            else:
                making(self.prepared.name_of(run))
                self._keep(make_run(self.prepared, run))

    def _keep(self, outcome: Outcome) -> None:
        (run,) = (run for run in self.left if run.run_id == outcome.run.run_id)
        _write(self.prepared, run, _with_cost(self.prepared, outcome))
        self.prepared.monitor.progress(self.seconds[run.run_id])


def runs_left(prepared: Prepared) -> list[Run]:
    """Planned runs that are not finished."""
    return [run for run in prepared.planned if not prepared.store.is_finished(run.run_id)]


def _needs_pictures_alone(run: Run) -> bool:
    """Whether it reads nothing that frozen blocks give: a network of its own."""
    spec = STRATEGIES[run.strategy]
    return spec.by_steps and not spec.borrows


def _write(prepared: Prepared, run: Run, outcome: Outcome) -> None:
    """Write a finished run."""
    store = prepared.store
    # before the run counts as finished, so that a kill between them loses neither
    write_events(store.folder / EVENTS_FOLDER / run.run_id, outcome.history)
    store.add(run.run_id, outcome)
    prepared.monitor.run(run, outcome.run)
    write_runs(prepared)


def _with_cost(prepared: Prepared, outcome: Outcome) -> Outcome:
    """With what the classifier costs, where it is a head on blocks."""
    run = outcome.run
    if run.head_blocks is None:
        return outcome
    hidden_units = [int(units) for units in (run.hidden_units or "").split()]
    pooling = Pooling.of(run.pooling, run.views)
    cost = prepared.bench.costs.of(run.head_blocks.split(), hidden_units, pooling)
    costing = replace(
        run,
        parameters=cost.parameters,
        classifier_megabytes=cost.megabytes,
        milliseconds_per_image=cost.milliseconds_per_image,
    )
    return replace(outcome, run=costing)


def _without_table(prepared: Prepared) -> list[Run]:
    """Finished runs whose search's table was damaged after that: it is made again."""
    store = prepared.store
    return [
        run
        for run in prepared.planned
        if STRATEGIES[run.strategy].searches
        and store.is_finished(run.run_id)
        and lost_table(prepared, run)
    ]


def write_runs(prepared: Prepared) -> pd.DataFrame:
    """Write and return the table of the runs finished so far, in the planned order."""
    store = prepared.store
    finished = [run.run_id for run in prepared.planned if store.is_finished(run.run_id)]
    table = runs_table([_scored_as_asked(prepared, store.run(run_id)) for run_id in finished])
    store.write_runs(table)
    return table


def _scored_as_asked(prepared: Prepared, run: FinishedRun) -> FinishedRun:
    """With the scores of the class that `decision.positive` names; it may have changed since."""
    asked, classes = prepared.config.decision.positive, prepared.classes
    if len(classes) != 2 or asked is None:
        return run
    probabilities = prepared.store.test_probabilities(run.run_id)
    labels = prepared.labels[prepared.test_of(run)]
    scores = evaluate(labels, probabilities, classes.index(asked[0])).metrics
    own = {name: scores[name] for name, metric in METRICS.items() if metric.reads == "positive"}
    return replace(run, test={**run.test, **own})
