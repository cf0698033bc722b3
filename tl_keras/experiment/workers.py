"""The workers of an experiment: how many, and the pool that they make its runs in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tl_keras.config.schema import ExperimentConfig
from tl_keras.engine import capacity
from tl_keras.engine.here import Here
from tl_keras.engine.pool import Pool
from tl_keras.engine.processes import WorkerProcess
from tl_keras.engine.ray_workers import RayWorker, places, ray_cluster
from tl_keras.engine.tasks import Load, Worker
from tl_keras.experiment.loading import load_all
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.shared_inputs import InFolder, InStore
from tl_keras.results.store import Store
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import plan_runs

# Workers, and what makes of the prepared experiment the `Load` that they share.
_Workers = tuple[Sequence[Worker], Callable[[Prepared], Load]]


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
    with ExitStack() as stack:
        where = _on_ray if config.engine.on_ray else _in_processes
        workers, share = where(config, monitor, trainings_left(config, fresh=fresh), stack)
        pool = stack.enter_context(Pool(workers, monitor.warn))

        def shared(prepared: Prepared) -> Pool:
            pool.share(share(prepared))
            return pool

        yield shared


def _in_processes(
    config: ExperimentConfig, monitor: Monitor, trainings: int, stack: ExitStack
) -> _Workers:
    """Processes of this machine, or this one alone."""
    count = worker_count(config, monitor, trainings)
    if count == 1:
        return [Here()], lambda prepared: lambda: prepared
    folder = InFolder(stack.enter_context(TemporaryDirectory(prefix="tl_keras-")))
    warm_up = partial(load_all, config.training.threads)
    return [WorkerProcess(warm_up) for _ in range(count)], folder.write


def _on_ray(
    config: ExperimentConfig, monitor: Monitor, trainings: int, stack: ExitStack
) -> _Workers:
    """Actors of a cluster, at least one."""
    engine, asked = config.engine, config.engine.workers
    stack.enter_context(ray_cluster(engine.address))
    reserved = {"processors": engine.processors, "accelerators": engine.accelerators}
    room = places(**reserved)
    count = max(1, min(room if asked == "auto" else asked, trainings))
    monitor.stage(f"Training in {count} workers of Ray ({trainings} trainings, room for {room})")
    warm_up = partial(load_all, config.training.threads)
    return [RayWorker(warm_up, **reserved) for _ in range(count)], InStore.of


def worker_count(config: ExperimentConfig, monitor: Monitor, trainings: int) -> int:
    """How many processes, as configured or as is good.

    Args:
        config: of the experiment.
        monitor: hears what was chosen.
        trainings: about how many there are.
    """
    asked = config.engine.workers
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
