"""Where the time of an experiment goes: seconds and processor seconds of each of its stages.

    python -m benchmarks.stages CASE --images FOLDER --weights FILE --threads 1

CASE is one of the experiments of `benchmarks/experiments.py`, which also says what FOLDER and FILE
are.

Everything is measured from outside, in a process of its own without a feature cache: what the
experiment tells its monitor begins and ends a stage. With `--threads` TensorFlow computes with so
many, so that runs in processes beside each other can be told from this. Processor seconds are those
of all threads and of processes that have ended; of them `tracing_seconds` went into functions of
TensorFlow being traced. A part that several runs share counts where it was made. Puts a row per
stage into results/stages.csv, in place of those of the same case, threads and commit.
"""

import argparse
import importlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.commit import HERE, commit_of
from benchmarks.experiments import EXPERIMENTS, add_inputs
from tl_keras.quiet import quiet_tensorflow

TABLE = HERE / "results" / "stages.csv"
KEY = ("case", "threads", "commit")

# Stages by the beginning of what the monitor hears, and of the experiment's other functions.
SAID = {
    "Looking at the images": "images",
    # the advice has them pass the network first
    "Decoding": "decoding, features of BatchNorm inputs",
    "Probing": "features of all blocks",
    "Measuring what": "advice",
    "Searching": "search",
    "Training in": "workers",
    "Measuring a": "learning curve",
    "Deciding": "decision",
    "Looking at the errors": "explanations",
    "Fitting": "new fit",
    "Exporting": "export",
    "Drawing the report": "report",
    **dict.fromkeys(("Writing", "Checking the SavedModel", "Completing", "Trying"), "export"),
}
_PHASE = "tl_keras.transfer.trainer:train_phase"
_TRACING = "tensorflow.python.framework.func_graph:func_graph_from_py_func"

Row = dict[str, Any]


def main() -> None:
    """Measure one case and keep its rows."""
    options = _parser().parse_args()
    if options.threads:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(options.threads)
    with TemporaryDirectory() as folder:
        config = EXPERIMENTS[options.case](options) | {
            "results_dir": folder,
            "cache": {"folder": str(Path(folder) / "cache")},
            # in this process, which is what is measured
            "engine": {"workers": 1},
        }
        if options.threads:
            config["training"] = {**config.get("training", {}), "threads": options.threads}
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            rows = process.submit(measure, config, time.time()).result()
    # here: the process that is measured imports nothing before its clock runs
    from benchmarks.record import put, versions_and_date

    facts = {"case": options.case, "threads": options.threads or "all", "commit": commit_of(HERE)}
    table = put([{**facts, **row, **versions_and_date()} for row in rows], TABLE, KEY)
    shown = table[(table["case"] == options.case) & (table["commit"] == facts["commit"])]
    print(shown.drop(columns=[*KEY, "versions", "date"]).to_string(index=False))


def measure(config: Row, started: float) -> list[Row]:
    """Run an experiment in this process; a row per stage, and one of all.

    Args:
        config: of the experiment.
        started: `time.time()` when this process was asked for.
    """
    clock = Clock(started)
    with quiet_tensorflow():
        stages = importlib.import_module("tl_keras.experiment.stages")
    watched = Listener(clock)
    _wrap(_PHASE, lambda *_, name, **__: clock.part(name))
    _wrap(_TRACING, clock.tracing)
    clock.begin("preparation")
    stages.run_experiment(config, monitor=watched)
    clock.begin("end")
    return clock.rows()


class Clock:
    """Time by stages, one after the other, and by parts of them."""

    def __init__(self, started: float) -> None:
        """The first stage is the import, which began with the process."""
        self._stage, self._part = "import", ""
        self._spent: list[Row] = []
        self._traced, self._depth = 0.0, 0
        self._last = (started, 0.0, 0.0)

    def begin(self, stage: str) -> str:
        """End the stage; the one before, for who wants to go on with it."""
        before = self._stage
        self._note()
        self._stage = stage
        return before

    def name(self, stage: str, name: str) -> None:
        """Give what passed of a stage another name, which is known at its end."""
        self._note()
        for row in self._spent:
            if row["stage"] == stage:
                row["stage"] = name

    @contextmanager
    def part(self, name: str) -> Any:
        """Of the stage, whichever it is."""
        self._note()
        self._part, before = name, self._part
        yield
        self._note()
        self._part = before

    @contextmanager
    def tracing(self, *_: Any, **__: Any) -> Any:
        """Around the tracing of a function, which may trace others."""
        began = time.thread_time()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._traced += time.thread_time() - began

    def rows(self) -> list[Row]:
        """By stage and part in their order, and at the end those of all together."""
        sums: dict[tuple[str, str], Row] = {}
        for row in self._spent:
            for key in ((row["stage"], row["part"]), ("all", "")):
                old = sums.get(key, dict.fromkeys(_SECONDS, 0.0))
                sums[key] = {name: old[name] + row[name] for name in _SECONDS}
        sums[("all", "")] = sums.pop(("all", ""))
        return [{"stage": stage, "part": part, **row} for (stage, part), row in sums.items()]

    def _note(self) -> None:
        """Time since the last note goes to the stage and part of now."""
        used = os.times()
        processor = used.user + used.system + used.children_user + used.children_system
        now = (time.time(), processor, self._traced)
        spent = dict(
            zip(_SECONDS, (b - a for a, b in zip(self._last, now, strict=True)), strict=True)
        )
        self._spent.append({"stage": self._stage, "part": self._part, **spent})
        self._last = now


_SECONDS = ("seconds", "processor_seconds", "tracing_seconds")


class Listener:
    """A monitor that begins stages."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._trials = clock, 0

    def stage(self, text: str) -> None:
        (stage,) = {name for start, name in SAID.items() if text.startswith(start)}
        self._clock.begin(stage)

    def warn(self, text: str) -> None: ...

    def advise(self, advice: Any) -> None:
        self._clock.begin("labels")

    def plan(self, runs: tuple[Any, ...], finished: int, seconds: float) -> None:
        self._clock.begin("run")

    def progress(self, seconds: float) -> None: ...

    def trial(self, trial: Any) -> None:
        self._trials += 1
        of = f"{trial.unfrozen_blocks} unfrozen at {trial.learning_rate or 0:g}"
        self._clock.name("search", f"trial {self._trials}, {of}")

    def run(self, run: Any, finished: Any) -> None:
        for stage in ("run", "search"):
            self._clock.name(stage, f"run {run.run_id}")
        self._clock.begin("run")


def _wrap(place: str, around: Callable[..., AbstractContextManager[None]]) -> None:
    """Let a function, "module:name", run within what `around` makes of its arguments."""
    module_name, _, name = place.partition(":")
    module = importlib.import_module(module_name)
    function = getattr(module, name)

    @wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        with around(*args, **options):
            return function(*args, **options)

    setattr(module, name, wrapped)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("case", choices=list(EXPERIMENTS))
    add_inputs(parser)
    parser.add_argument("--threads", type=int, help="of TensorFlow; left out, all")
    return parser


if __name__ == "__main__":
    main()
