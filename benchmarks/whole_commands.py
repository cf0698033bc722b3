"""Whole commands, as a person starts them, and the same ones of another commit in turn with them.

A command is `python -m tl_keras.run` in a process of its own with empty folders for its results and
its cache; drawn images are made before. From outside are measured

seconds            until it has ended;
first_seconds      until the first strategy that is trained has said its test accuracy;
processor_seconds  of all its processes;
peak_megabytes     the largest memory of all of them together, of which what several share counts
                   once (the sum of PSS, looked at once a second; missing where the system is
                   not Linux). What processes outside the command hold as well counts in part only:
                   this process must not load TensorFlow, and no other may run it meanwhile;

and the mean test accuracy of each strategy is read from its table.
"""

import argparse
import json
import math
import operator
import os
import re
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil

from benchmarks.commit import HERE, commit_of
from benchmarks.experiments import EXPERIMENTS, Config
from benchmarks.fresh import Measured, in_turn
from benchmarks.rows import Row, mean, raw, row, unit_of

FIRST_SECONDS = 40
FIGURES = ("seconds", "first_seconds", "processor_seconds", "peak_megabytes")
ACCURACY = "test accuracy of "
# A run's line; the majority class is not trained.
TRAINED = re.compile(r"\s*(?!majority class)\S.*: validation \d\S*, test \d")
# a look at a large process holds it up
_EVERY_SECONDS = 1.0
_BYTES_PER_MEGABYTE = 1e6
_POINTS = 100


@dataclass(frozen=True)
class WholeCommand:
    """What an experiment is called in the table, and how long it may take.

    Attributes:
        case: in words.
        seconds: at most, on two quiet cores.
        seconds_before: what they were set against there. Beside another commit the target is that
            part of its time, on whatever machine.
    """

    case: str
    seconds: int
    seconds_before: int


# By the name of the experiment.
WHOLE_COMMANDS = {
    "first_command": WholeCommand("first command", 240, 553),
    "steel_five_strategies": WholeCommand(
        "steel, 10 per class, five strategies, three seeds", 130, 300
    ),
    "steel_probe": WholeCommand("steel, linear probe alone, 20 per class, three seeds", 50, 185),
    "steel_fine_tuning": WholeCommand("steel, fine-tuning of all blocks alone, 12 epochs", 50, 84),
}


def whole_command(options: argparse.Namespace) -> list[Row]:
    """Measure a command here, and beside it where another checkout is given."""
    command, config = WHOLE_COMMANDS[options.benchmark], EXPERIMENTS[options.benchmark](options)
    checkouts = [HERE] if options.beside is None else [HERE, options.beside.resolve()]
    commits = [f"commit {commit_of(checkout)}" for checkout in checkouts]
    if len({*commits}) < len(commits):
        raise SystemExit(f"--beside must be a checkout of another commit; both are {commits[0]}.")
    for checkout in checkouts:
        _warm_up(config, checkout)
    sides = {
        commit: partial(measured, config, checkout)
        for commit, checkout in zip(commits, checkouts, strict=True)
    }
    runs = in_turn(sides, options.repeats, operator.call)
    facts = {"benchmark": "whole commands", "case": command.case}
    return [facts | one for one in rows_of(command, runs, *commits)]


def measured(config: Config, checkout: Path) -> Measured:
    """Run an experiment once, with the package of a checkout."""
    with TemporaryDirectory(prefix="tl_keras-speed-") as name:
        folder = Path(name)
        figures = _timed(_command(config, folder), checkout)
        # an older checkout has it in another folder
        (summary,) = (folder / "results").rglob("summary.csv")
        return figures | accuracies(pd.read_csv(summary))


def accuracies(summary: pd.DataFrame) -> Measured:
    """Mean test accuracy by strategy, with its depth where it was made with several.

    Args:
        summary: as summary.csv.
    """
    several = summary["strategy"].duplicated(keep=False)
    names = summary["strategy"].where(
        ~several, summary["strategy"] + ", " + summary["unfrozen_blocks"].astype(str) + " unfrozen"
    )
    return dict(zip(ACCURACY + names, summary["test_accuracy_mean"], strict=True))


def rows_of(
    command: WholeCommand, runs: pd.DataFrame, new: str, old: str | None = None
) -> list[Row]:
    """Each run's figures, each commit's means, and how the two compare.

    Args:
        command: what was run.
        runs: of `in_turn`, by commit.
        new: the commit that targets are for.
        old: another one.
    """
    figures = [name for name in FIGURES if name in runs]
    accuracy = [str(name) for name in runs if str(name).startswith(ACCURACY)]
    targets = {"seconds": f"<= {command.seconds}", "first_seconds": f"<= {FIRST_SECONDS}"}
    rows = raw(runs[["side", "repeat", *figures]])
    for commit in filter(None, (new, old)):
        rows += [
            row(
                f"{commit}, {name}",
                mean(runs, commit, name),
                unit_of(name),
                targets.get(name) if commit == new else None,
            )
            for name in (*figures, *accuracy)
        ]
    if old is not None:
        part = {"seconds": f"<= {command.seconds / command.seconds_before:.3g}"}
        rows += [
            row(
                f"new / old, {name}",
                mean(runs, new, name) / mean(runs, old, name),
                "fraction",
                part.get(name),
            )
            for name in figures
        ]
        rows += [
            row(
                f"new less old, {name}",
                _POINTS * (mean(runs, new, name) - mean(runs, old, name)),
                "points",
                ">= 0",
            )
            for name in accuracy
        ]
    return [one for one in rows if not math.isnan(float(str(one["value"])))]


def _warm_up(config: Config, checkout: Path) -> None:
    """Draw images, compile and read libraries from the disk, for whoever is measured first.

    A command that the checkout refuses is known here, before anything took minutes.
    """
    with TemporaryDirectory(prefix="tl_keras-speed-") as folder:
        _timed([*_command(config, Path(folder)), "--dry-run"], checkout)


def _command(config: Config, folder: Path) -> list[str]:
    experiment = folder / "experiment.json"
    places = {"results_dir": str(folder / "results"), "cache": {"folder": str(folder / "cache")}}
    experiment.write_text(json.dumps(config | places), "utf-8")
    return [sys.executable, "-u", "-m", "tl_keras.run", str(experiment)]


def _timed(command: list[str], checkout: Path) -> Measured:
    """Figures of a command but for its accuracies.

    Raises:
        SystemExit: it fails.
    """
    said, first = deque[str](maxlen=20), math.nan
    used, began = _processor_seconds(), time.perf_counter()
    with (
        subprocess.Popen(
            command,
            cwd=checkout,
            env=_environment(checkout),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
        ThreadPoolExecutor(1) as beside,
    ):
        peak = beside.submit(_peak_megabytes, process)
        try:
            for line in process.stdout or ():
                said.append(line)
                if math.isnan(first) and TRAINED.match(line):
                    first = time.perf_counter() - began
            process.wait()
        except BaseException:
            # whoever stops the benchmark does not want to find it at work later
            process.terminate()
            raise
        seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{checkout}: exit code {process.returncode}: {''.join(said)}")
    return {
        "seconds": seconds,
        "first_seconds": first,
        "processor_seconds": _processor_seconds() - used,
        "peak_megabytes": peak.result(),
    }


def _environment(checkout: Path) -> dict[str, str]:
    """A person's: the package chooses its threads, and lines are not broken."""
    threads = re.compile("TF_NUM_|OMP_NUM_THREADS$")
    kept = {name: value for name, value in os.environ.items() if not threads.match(name)}
    return kept | {"PYTHONPATH": str(checkout), "COLUMNS": "200"}


def _processor_seconds() -> float:
    """Of processes that have ended, and of theirs."""
    used = os.times()
    return used.children_user + used.children_system


def _peak_megabytes(process: subprocess.Popen[str]) -> float:
    """The largest memory of a process and those below it, until it ends."""
    if sys.platform != "linux":
        return math.nan
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(_pss, _family(process.pid))))
        time.sleep(_EVERY_SECONDS)
    return peak / _BYTES_PER_MEGABYTE


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _pss(process: psutil.Process) -> int:
    """Bytes; 0 of a process that has just ended."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
