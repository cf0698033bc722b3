"""The workers of an experiment: how many, and the pool that they make its runs in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tl_keras.config.schema import ExperimentConfig
from tl_keras.engine import capacity
from tl_keras.engine.here import Here
from tl_keras.engine.pool import Pool
from tl_keras.engine.processes import WorkerProcess
from tl_keras.experiment.loading import load_all
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.shared_inputs import SharedInputs
from tl_keras.results.store import Store
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import plan_runs


@contextmanager
def starting_workers(
    config: ExperimentConfig, monitor: Monitor, *, fresh: bool = False
) -> Iterator[Callable[[Prepared], Pool]]:
    """Workers that load what they need while the experiment is prepared.

    Args:
        config: of the experiment, as it goes on.
        monitor: hears what was chosen, and of workers that died.
        fresh: whether what is there of it will be moved aside.

    Yields:
        From the prepared experiment to the pool of its workers, which end with the block.
    """
    count = worker_count(config, monitor, fresh=fresh)
    if count == 1:
        yield lambda prepared: Pool([Here(prepared)], monitor.warn)
        return
    with TemporaryDirectory(prefix="tl_keras-") as folder:
        inputs, load = SharedInputs(folder), partial(load_all, config.training.threads)
        workers = [WorkerProcess(inputs, load) for _ in range(count)]
        with Pool(workers, monitor.warn) as pool:

            def shared(prepared: Prepared) -> Pool:
                inputs.write(prepared)
                return pool

            yield shared


def worker_count(config: ExperimentConfig, monitor: Monitor, *, fresh: bool) -> int:
    """How many trainings at a time, as configured or as is good."""
    trainings, asked = trainings_left(config, fresh=fresh), config.engine.workers
    if asked != "auto":
        return max(1, min(asked, trainings))
    cores, room = capacity.processors(), max(1, capacity.room_for())
    count = max(1, min(cores, room, trainings))
    if count > 1:
        monitor.stage(
            f"Training in {count} processes ({trainings} trainings, {cores} processors, memory "
            f"for {room})"
        )
    return count


def trainings_left(config: ExperimentConfig, *, fresh: bool) -> int:
    """About how many trainings that take long an experiment still has to make."""
    store = Store(Path(config.results_folder))
    left = [
        STRATEGIES[run.strategy]
        for run in plan_runs(config)
        if fresh or not store.is_finished(run.run_id)
    ]
    slow = [spec for spec in left if not (spec.quick or spec.trivial)]
    trials = config.search.max_trials * config.search.folds
    return len(slow) + (trials if any(spec.searches for spec in slow) else 0)
