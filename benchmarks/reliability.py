"""Whether anything that people and machines do is answered by a traceback or by another number.

    python -m benchmarks.reliability [--part PART ...] [--seed N] [--count N]

Each part tries something many times on small fabricated inputs, prints what failed and how many
were tried, and adds its rows to results/benchmarks.csv: tried, failed and seconds. Another seed
tries other inputs of the same kinds. The exit code is 1 where anything failed. A part that needs
what this machine lacks (mounting a small file system needs the superuser) says so, and has no rows.
"""

import argparse
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.attempts.attempt import Attempt, CannotBeTriedError, Part
from benchmarks.attempts.caches import damaged_caches
from benchmarks.attempts.configurations import configurations
from benchmarks.attempts.disk import (
    damaged_results,
    forbidden_results,
    full_disk,
    replaced_inputs,
)
from benchmarks.attempts.kills import kills
from benchmarks.attempts.nodes import nodes
from benchmarks.attempts.pictures import pictures
from benchmarks.attempts.two_processes import two_processes
from tl_keras.quiet import quiet_tensorflow

# What it is, and how often it is tried unless another number is asked for.
PARTS: dict[str, tuple[Part, int]] = {
    "configurations": (configurations, 10_000),
    "kills": (kills, 100),
    "nodes": (nodes, 20),
    "full_disk": (full_disk, 20),
    "forbidden_results": (forbidden_results, 3),
    "replaced_inputs": (replaced_inputs, 8),
    "damaged_results": (damaged_results, 500),
    "pictures": (pictures, 2_000),
    "damaged_caches": (damaged_caches, 20),
    "two_processes": (two_processes, 10),
}


@dataclass(frozen=True)
class Tally:
    """What became of the attempts of a part.

    Attributes:
        tried: attempts.
        failed: of them.
        figures: the largest of each that was measured, units in the names.
    """

    tried: int
    failed: int
    figures: dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the parts that were asked for; 1 where anything failed."""
    options = _parser().parse_args(arguments)
    # as Ctrl-C: small file systems are unmounted, folders removed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tallies = [
        tried(name, options.count or PARTS[name][1], options.seed)
        for name in options.part or list(PARTS)
    ]
    return int(any(tally.failed for tally in tallies if tally is not None))


def tried(name: str, count: int, seed: int) -> Tally | None:
    """Try one part and keep its rows; None where this machine does not allow it."""
    began = time.perf_counter()
    with TemporaryDirectory(prefix="tl_keras-reliability-") as folder:
        try:
            tally = tally_of(PARTS[name][0], count, seed, Path(folder))
        except CannotBeTriedError as error:
            print(f"{name}: not tried: {error}", flush=True)
            return None
    seconds = time.perf_counter() - began
    print(f"{name}: {tally.tried} tried, {tally.failed} failed, {seconds:.0f} s", flush=True)
    for figure, value in tally.figures.items():
        print(f"  {figure}: {value:.1f}", flush=True)
    with quiet_tensorflow():
        from benchmarks.record import record
    record(_rows(f"{name}, {count} from seed {seed}", tally, seconds))
    return tally


def tally_of(part: Part, count: int, seed: int, folder: Path) -> Tally:
    """Make the attempts of a part, and say at once which failed."""
    attempts, figures = list[Attempt](), defaultdict[str, float](float)
    for attempt in part(count, seed, folder):
        attempts.append(attempt)
        if attempt.problem is not None:
            print(f"  failed: {attempt.case}: {attempt.problem}", flush=True)
        for figure, value in attempt.figures.items():
            figures[figure] = max(figures[figure], value)
    failed = sum(attempt.problem is not None for attempt in attempts)
    return Tally(len(attempts), failed, dict(figures))


def _rows(case: str, tally: Tally, seconds: float) -> list[dict[str, object]]:
    measures: list[dict[str, object]] = [
        {"measure": "tried", "value": tally.tried, "unit": "attempts"},
        {"measure": "failed", "value": tally.failed, "unit": "attempts", "target": "<= 0"},
        {"measure": "seconds", "value": seconds, "unit": "s"},
    ]
    for figure, value in tally.figures.items():
        measures.append({"measure": figure, "value": value, "unit": _unit(figure)})
    return [{"benchmark": "reliability", "case": case, **row} for row in measures]


def _unit(figure: str) -> str:
    return "MB" if figure.endswith("megabytes") else "s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (default: %(default)s)")
    parser.add_argument("--count", type=int, help="attempts of each part, in place of its own")
    return parser


if __name__ == "__main__":
    sys.exit(main())
