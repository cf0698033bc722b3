"""The stage that makes the runs that are not there yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from tl_keras.engine.pool import Pool
from tl_keras.evaluation.metrics import METRICS, evaluate
from tl_keras.experiment.expected_time import SEARCH
from tl_keras.experiment.make_run import make_run
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.run_tasks import run_task
from tl_keras.experiment.study import lost_table, studies
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.store import Outcome
from tl_keras.results.tensorboard import FOLDER as EVENTS_FOLDER
from tl_keras.results.tensorboard import write_events
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import Run


def train(prepared: Prepared, pool: Pool, seconds: Mapping[str, float]) -> pd.DataFrame:
    """Make what is left of the planned runs; the table of all, as `runs.csv`.

    What takes seconds comes first, in this process, so that there is soon something to look at;
    meanwhile the workers have begun with what takes longest.

    Args:
        prepared: the experiment.
        pool: of its workers.
        seconds: about how long each run takes.
    """
    store, left = prepared.store, runs_left(prepared)
    by_id = {run.run_id: run for run in left}
    specs = {run: STRATEGIES[run.strategy] for run in left}

    def keep(outcome: Outcome) -> None:
        run = by_id[outcome.run.run_id]
        _keep(prepared, run, _with_cost(prepared, outcome))
        prepared.monitor.progress(seconds[run.run_id])

    searched = [run for run in left if specs[run].searches]
    quick = [run for run in left if specs[run].quick or specs[run].trivial]
    for run in left:
        if run not in searched and run not in quick:
            pool.submit(run_task(prepared, run, keep))
    _make_here(prepared, pool, quick, keep)
    wanted = [*searched, *_without_table(prepared)]
    for run, found in studies(prepared, wanted, pool, seconds.get(SEARCH, 0.0)):
        if run in left:
            pool.submit(run_task(prepared, run, keep, winner=found.winner))
    pool.wait()
    store.join_trials()
    return write_runs(prepared)


def runs_left(prepared: Prepared) -> list[Run]:
    """Planned runs that are not finished."""
    return [run for run in prepared.planned if not prepared.store.is_finished(run.run_id)]


def _make_here(
    prepared: Prepared, pool: Pool, quick: Sequence[Run], keep: Callable[[Outcome], None]
) -> None:
    """Make quick runs while the workers have something else to do, and leave them the rest."""
    for run in quick:
        if pool.elsewhere:
            pool.look()
        if pool.elsewhere and pool.idle:
            pool.submit(run_task(prepared, run, keep))
        else:
            keep(make_run(prepared, run))


def _keep(prepared: Prepared, run: Run, outcome: Outcome) -> None:
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
    cost = prepared.bench.costs.of(run.head_blocks.split(), hidden_units)
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
