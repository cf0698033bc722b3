"""Two commands of one experiment at once: one works, the other is told, and no number changes."""

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.attempts.attempt import Attempt, Ended, Process, ended
from tests.hostile.experiments import TinyExperiment, answers, differing

# The second starts at most this much later: before, in and after the first one's preparing.
LATEST_SECONDS = 8.0


def two_processes(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Start an experiment twice.

    Args:
        count: times.
        seed: of the moments between the two.
        folder: an empty one.
    """
    experiment, chance = TinyExperiment.make(folder / "experiment"), random.Random(seed)
    if problem := ended(experiment.command()).problem([0]):
        raise RuntimeError(f"the experiment does not even end alone: {problem}")
    expected = answers(experiment.results)
    for number in range(count):
        shutil.rmtree(experiment.results.parent)
        # the first time at once, which is the hardest
        later = chance.uniform(0, LATEST_SECONDS) if number else 0.0
        first = Process(experiment.command())
        time.sleep(later)
        ends = [process.ended() for process in (Process(experiment.command()), first)]
        different = differing(expected, answers(experiment.results))
        problem = problem_of_both(ends) or "; ".join(different[:10]) or None
        yield Attempt(f"a second process {later:.1f} s after the first", problem)


def problem_of_both(ends: list[Ended]) -> str | None:
    """What is wrong with the ends of two processes, of which one should have worked."""
    if sorted(end.code or 0 for end in ends) != [0, 2]:
        return "; ".join(f"exit code {end.code}: {end.output[-300:]}" for end in ends)
    for end in ends:
        if problem := end.problem([0, 2]):
            return problem
    return None
