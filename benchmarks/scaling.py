"""How an experiment's time falls with more workers: measured on this machine, then simulated.

    python -m benchmarks.scaling EXPERIMENT [--measure 1 2 4] [--simulate 8 16 64 256]
        [--studies N] [--megabits N]

Runs EXPERIMENT, a JSON file, once with each number of workers to measure, in a folder and a feature
cache of its own, and takes from its tables how long every run took. Then it lets the package's own
pool hand out the runs of N such experiments, as one of N times the seeds has, to simulated workers
that take as long, and counts what that takes. Assumed: a worker is as fast as one that was measured
with one worker; the first task of a kind takes as long as the first one did, later ones as the
others; a worker needs START_SECONDS before its first task; pixels and source weights cross the
network once for each worker and trained weights once for each run, one after the other through the
driver at so many megabits a second; the driver needs KEEP_SECONDS to write each result. What a run
of a search waits for is not simulated: its trials are runs like others. Adds its rows to
results/benchmarks.csv.
"""

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.record import record
from tl_keras.engine.pool import Pool
from tl_keras.engine.tasks import Answer, Load, Task
from tl_keras.results_layout import CONFIG, place

# Loading TensorFlow, building the network, mapping the pixels; writing a result and the tables.
START_SECONDS, KEEP_SECONDS = 12.0, 0.25
_BITS_PER_BYTE = 8
_NOT_TRAINED = ("majority_class", "linear_probe")


@dataclass(frozen=True)
class Length:
    """A training that was measured.

    Attributes:
        name: of it.
        kind: trainings of one kind trace the same function.
        first: seconds where it is the first of its kind in a worker.
        later: seconds where it is not.
        result_bytes: what it hands back.
    """

    name: str
    kind: str
    first: float
    later: float
    result_bytes: float


def main() -> None:
    """Measure, simulate, keep the rows."""
    options = _parser().parse_args()
    case, rows = options.experiment.stem, []
    with tempfile.TemporaryDirectory() as folder:
        for workers in options.measure:
            seconds = measured(options.experiment, workers, Path(folder) / str(workers))
            print(f"{workers} workers: {seconds:.0f} s", flush=True)
            rows.append(_row(case, f"measured, {workers} workers", seconds, "s"))
        alone = Path(folder) / str(options.measure[0])
        lengths, shared = lengths_of(alone), shared_bytes(alone)
    rate = options.megabits * 1e6 / _BITS_PER_BYTE
    trainings = [length for length in lengths for _ in range(options.studies)]
    times = {n: simulated(trainings, n, shared / rate, rate) for n in (1, *options.simulate)}
    for workers, seconds in times.items():
        what = f"simulated, {len(trainings)} trainings, {workers} workers"
        print(f"{what}: {seconds:.0f} s, {times[1] / seconds:.1f} times", flush=True)
        rows.append(_row(case, what, seconds, "s"))
        rows.append(_row(case, f"{what}, speed-up", times[1] / seconds, "times"))
    sent = shared / 1e6, sum(length.result_bytes for length in trainings) / len(trainings) / 1e6
    rows.append(_row(case, "pixels and weights, to each worker", sent[0], "MB"))
    rows.append(_row(case, "weights and answers, from each training", sent[1], "MB"))
    print(f"to each worker {sent[0]:.1f} MB, from each training {sent[1]:.1f} MB")
    record(rows)


def measured(experiment: Path, workers: int, folder: Path) -> float:
    """Seconds of the whole command; its results are `<folder>/results`."""
    settings = {
        "engine.workers": str(workers),
        "results_dir": str(folder / "results"),
        "cache.folder": str(folder / "cache"),
    }
    given = [text for key, value in settings.items() for text in ("--set", f"{key}={value}")]
    started = time.perf_counter()
    command = [sys.executable, "-m", "tl_keras.run", str(experiment), *given]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
    return time.perf_counter() - started


def lengths_of(folder: Path) -> list[Length]:
    """The trainings of an experiment that was made by one worker."""
    (results,) = folder.glob("results/*")
    runs = pd.read_csv(place(results, "runs.csv"))
    runs = runs[~runs["strategy"].isin(_NOT_TRAINED)]
    runs["seconds"] = runs["phase_1_seconds"] + runs["phase_2_seconds"]
    runs["kind"] = runs["strategy"] + " " + runs["unfrozen_blocks"].astype(str)
    lengths = []
    for kind, of_kind in runs.groupby("kind", sort=False):
        later = float(of_kind["seconds"].iloc[1:].median() if len(of_kind) > 1 else 0)
        for run in of_kind.to_dict("records"):
            own = float(run["seconds"])
            first = max(own, float(of_kind["seconds"].iloc[0]))
            size = 4.0 * float(run["trainable_parameters"])
            lengths.append(Length(run["run_id"], str(kind), first, min(own, later or own), size))
    return lengths


def shared_bytes(folder: Path) -> float:
    """Decoded pixels of the images that were used, and the source weights."""
    (results,) = folder.glob("results/*")
    config = json.loads((results / CONFIG).read_text())
    splits = pd.read_csv(place(results, "splits.csv"))
    side = config["backbone"]["image_size"]
    parameters = pd.read_csv(place(results, "runs.csv"))["parameters"].max()
    return float(splits["image_id"].nunique() * side**2 * 3 + 4 * parameters)


def simulated(
    lengths: Sequence[Length], workers: int, share_seconds: float, bytes_per_second: float
) -> float:
    """Seconds until all trainings are made and written.

    Args:
        lengths: of the trainings.
        workers: how many there are.
        share_seconds: until one worker has what all share; one after the other.
        bytes_per_second: of the driver's network.
    """
    clock = _Clock()
    crew = [_Worker(clock, START_SECONDS + share_seconds * (n + 1)) for n in range(workers)]
    pool = Pool(crew, print)

    def kept(length: Length) -> Callable[[Any], None]:
        def keep(answer: Any) -> None:
            clock.now += KEEP_SECONDS + length.result_bytes / bytes_per_second

        return keep

    for number, length in enumerate(lengths):
        task = Task(
            f"{length.name} {number}", _Call(length), kept(length), length.later, length.kind
        )
        pool.submit(task)
    pool.look()
    while clock.goes_on():
        pool.look()
    return clock.now


@dataclass
class _Clock:
    """Simulated seconds, and what ends when."""

    now: float = 0.0
    _ends: list[tuple[float, int, Future[Answer]]] = field(default_factory=list)
    _number: Any = field(default_factory=count)

    def ends_at(self, when: float, future: Future[Answer]) -> None:
        heapq.heappush(self._ends, (when, next(self._number), future))

    def goes_on(self) -> bool:
        """To the next end; False where there is none."""
        if not self._ends:
            return False
        when, _, future = heapq.heappop(self._ends)
        self.now = max(self.now, when)
        future.set_result(Answer(None))
        return True


@dataclass(frozen=True)
class _Call:
    """What a simulated worker is given to make."""

    length: Length

    def __call__(self, shared: Any) -> Length:
        return self.length


class _Worker:
    """Takes as long as was measured."""

    def __init__(self, clock: _Clock, begins: float) -> None:
        self._clock, self._free, self._kinds = clock, begins, set[str]()

    def share(self, load: Load) -> None:
        """Nothing is loaded."""

    def ready(self) -> bool:
        """Always: a task that comes sooner waits."""
        return True

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        length: Length = call(None)
        seconds = length.later if length.kind in self._kinds else length.first
        self._kinds.add(length.kind)
        self._free = max(self._free, self._clock.now) + seconds
        future = Future[Answer]()
        self._clock.ends_at(self._free, future)
        return future

    def restart(self) -> None:
        """Nobody dies."""

    def close(self) -> None:
        """Nothing to end."""


def _row(case: str, measure: str, value: float, unit: str) -> dict[str, object]:
    return {"benchmark": "scaling", "case": case, "measure": measure, "value": value, "unit": unit}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("experiment", type=Path, help="a JSON file")
    parser.add_argument("--measure", type=int, nargs="+", default=[1, 2, 4], help="workers")
    parser.add_argument(
        "--simulate", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64, 128, 256], help="workers"
    )
    parser.add_argument("--studies", type=int, default=50, help="times as many trainings")
    parser.add_argument("--megabits", type=float, default=1000.0, help="a second")
    return parser


if __name__ == "__main__":
    main()
