"""The workers of an experiment: how many, and the pool that they make its runs in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tl_keras.config.schema import ExperimentConfig
from tl_keras.engine import capacity
from tl_keras.engine.accelerators import accelerators, one_each, share_memory
from tl_keras.engine.here import Here
from tl_keras.engine.pool import Pool
from tl_keras.engine.processes import WorkerProcess
from tl_keras.engine.ray_workers import RayWorker, check_room, places, ray_cluster
from tl_keras.engine.tasks import Load, Worker
from tl_keras.experiment.expected_time import search_trainings
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.loading import load_all
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.shared_inputs import InFolder, InStore
from tl_keras.experiment.strategies.making import making
from tl_keras.results.store import Store
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import plan_runs
from tl_keras.transfer.threads import training_threads

# Each process loads TensorFlow and traces for itself, some 10 s: of less work nothing is gained.
WORTH_SECONDS = 30.0
_VALIDATION_PER_CLASS = 10
_TAKEN = (
    "TensorFlow holds all the memory of the GPUs in this process, where it was used before or "
    "TF_FORCE_GPU_ALLOW_GROWTH is false: {}. Set that to true before Python is started."
)

# Workers, and what makes of the prepared experiment the `Load` that they share.
_Workers = tuple[Sequence[Worker], Callable[[Prepared], Load]]


@contextmanager
def starting_workers(looked: FirstLook, monitor: Monitor) -> Iterator[Callable[[Prepared], Pool]]:
    """Workers that load what they need while the experiment is prepared.

    Args:
        looked: at the experiment.
        monitor: hears what was chosen, and of workers that died.

    Yields:
        From the prepared experiment to the pool of its workers, which end with the block.
    """
    with ExitStack() as stack:
        where = _on_ray if looked.config.engine.on_ray else _in_processes
        workers, share = where(looked.config, monitor, trainings_left(looked), stack)
        pool = stack.enter_context(Pool(workers, monitor.warn))

        def shared(prepared: Prepared) -> Pool:
            pool.share(share(prepared))
            return pool

        yield shared


def _in_processes(
    config: ExperimentConfig, monitor: Monitor, trainings: list[float], stack: ExitStack
) -> _Workers:
    """Processes of this machine, or this one alone."""
    gpus = accelerators()
    count = worker_count(config, monitor, trainings, len(gpus))
    if count == 1:
        return [Here()], lambda prepared: lambda: prepared
    folder = stack.enter_context(TemporaryDirectory(prefix="tl_keras-"))
    warm_up = partial(load_all, training_threads(config))
    workers = []
    for gpu in one_each(count, gpus):
        workers.append(worker := WorkerProcess(warm_up, gpu, folder))
        # should the next one fail to start
        stack.callback(worker.close)
    return workers, InFolder(folder).write


def _on_ray(
    config: ExperimentConfig, monitor: Monitor, trainings: list[float], stack: ExitStack
) -> _Workers:
    """Actors of a cluster, at least one."""
    engine, asked = config.engine, config.engine.workers
    alone = stack.enter_context(ray_cluster(engine.address))
    reserved = {"processors": engine.processors, "accelerators": engine.accelerators}
    if alone:
        check_room(**reserved)
    room = places(**reserved)
    count = max(1, min(room if asked == "auto" else asked, len(trainings)))
    workers = f"{count} workers of Ray" if count > 1 else "a worker of Ray"
    if room:
        monitor.stage(f"Training in {workers} ({len(trainings)} trainings, room for {room})")
    else:
        monitor.stage(
            f"Training in {workers} as soon as there is room ({len(trainings)} trainings)"
        )
        monitor.warn(
            "No machine of the cluster has what a worker reserves: engine.processors="
            f"{engine.processors:g} and engine.accelerators={engine.accelerators:g}. The "
            "experiment waits for one that has."
        )
    if engine.accelerators and not share_memory():
        monitor.warn(_TAKEN.format("workers on this machine may find too little"))
    warm_up = partial(load_all, training_threads(config))
    return [RayWorker(warm_up, **reserved) for _ in range(count)], InStore.of


def worker_count(
    config: ExperimentConfig, monitor: Monitor, trainings: Sequence[float], gpus: int
) -> int:
    """How many processes, as configured or as is good; this one leaves others memory of its GPUs.

    Args:
        config: of the experiment.
        monitor: hears what was chosen.
        trainings: about how long each takes.
        gpus: that there are; `auto` makes one run at a time on each.
    """
    asked, worth = config.engine.workers, sum(trainings) >= WORTH_SECONDS
    places, room = gpus or capacity.processors(), max(1, capacity.room_for())
    good = min(places, room) if worth else 1
    count = min(good if asked == "auto" else asked, max(1, len(trainings)))
    if count > 1 and not share_memory():
        monitor.warn(_TAKEN.format("runs are made one after the other"))
        return 1
    if count > 1:
        monitor.stage(
            f"Training in {count} processes ({len(trainings)} trainings, {places} "
            f"{'GPUs' if gpus else 'processors'}, memory for {room})"
        )
    return count


def trainings_left(looked: FirstLook) -> list[float]:
    """About how many seconds each training takes that an experiment still has to make.

    What takes no time of its own is left out: a probe, a head.
    """
    config, store = looked.config, Store(Path(looked.config.results_folder))
    left = [run for run in plan_runs(config) if looked.fresh or not store.is_finished(run.run_id)]
    specs = [STRATEGIES[run.strategy] for run in left]
    sizes = _numbers_of_images(looked)
    # of several networks the one that is taken is not known yet
    config = config.with_network(next(iter(config.backbone.candidates.values())))
    seconds = [
        making(run.strategy).seconds(run, config, *sizes)
        for run, spec in zip(left, specs, strict=True)
        if not spec.takes_seconds
    ]
    if any(spec.searches for spec in specs):
        seconds += search_trainings(config, *sizes)
    return seconds


def _numbers_of_images(looked: FirstLook) -> tuple[int, int]:
    """About how many train and validate the largest run."""
    data, listed = looked.config.data, looked.listed
    images, classes = (1000, 10) if listed is None else (len(listed), len(listed.classes))
    largest = max(size or images for size in data.training_sizes)
    return min(images, largest * classes), min(images, _VALIDATION_PER_CLASS * classes)
