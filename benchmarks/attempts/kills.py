"""An experiment that is killed again and again ends with the numbers of one that never was.

The folder of results is watched from outside: every phase of a run begins with a file that it
writes, and is killed as often as the others, at a moment drawn uniformly from the time it took
without a kill.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.attempts.attempt import Attempt, Process, last_words
from tests.hostile.experiments import TinyExperiment, answers, children_of, differing
from tl_keras.results_layout import inner

# What each phase begins with, in the order of a run; the first when the command says something.
PHASES = {
    "preparing": None,
    "training": inner("audit.json"),
    "search": f"{inner('search')}/n6/search.json",
    "learning curve": inner("summary.csv"),
    "export": inner("errors.json"),
}
# As often as this one phase of one experiment is killed, before the next.
IN_A_ROW = 2
_POLL_SECONDS = 0.01
_TERMINATED = 128 + signal.SIGTERM


def kills(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Kill a tiny experiment at random moments and let it go on.

    Args:
        count: kills; every experiment takes several and is compared once at its end.
        seed: of the moments and signals.
        folder: an empty one.
    """
    experiment = TinyExperiment.make(folder / "experiment", engine={"workers": 2})
    lengths = _uninterrupted(experiment)
    expected = answers(experiment.results)
    chance, left = random.Random(seed), count
    while left:
        experiment.begin_anew()
        history = []
        for phase in [name for name in PHASES for _ in range(IN_A_ROW)]:
            if not left or (attempt := _kill(experiment, phase, lengths[phase], chance)) is None:
                continue
            left -= 1
            history.append(attempt.case)
            yield attempt
        yield Attempt(f"after {'; '.join(history)}", _problem_at_the_end(experiment, expected))


def _uninterrupted(experiment: TinyExperiment) -> dict[str, float]:
    """Run it once; the seconds that each phase took."""
    process, began = Process(experiment.command()), dict[str, float]()
    while process.runs():
        for phase in PHASES:
            if phase not in began and _is_in(phase, experiment, process):
                began[phase] = time.time()
        time.sleep(_POLL_SECONDS)
    if problem := process.ended().problem([0]):
        raise RuntimeError(f"the experiment does not even end without a kill: {problem}")
    # what began and ended while this process, on a busy machine, had no turn
    missed = [phase for phase, file in PHASES.items() if file and phase not in began]
    began |= {phase: _began(phase, experiment) for phase in missed}
    began = dict(sorted(began.items(), key=lambda item: item[1]))
    ends = [*list(began.values())[1:], time.time()]
    return {phase: end - start for (phase, start), end in zip(began.items(), ends, strict=True)}


def _is_in(phase: str, experiment: TinyExperiment, process: Process) -> bool:
    """Whether this process has begun the phase: an earlier one may have left the file."""
    if (name := PHASES[phase]) is None:
        return process.has_spoken()
    with suppress(OSError):
        return (experiment.results / name).stat().st_mtime > process.began
    return False


def _began(phase: str, experiment: TinyExperiment) -> float:
    return (experiment.results / str(PHASES[phase])).stat().st_mtime


def _kill(
    experiment: TinyExperiment, phase: str, length: float, chance: random.Random
) -> Attempt | None:
    """Start the command and kill it in a phase; None where it ended before that."""
    process = Process(experiment.command())
    while process.runs() and not _is_in(phase, experiment, process):
        time.sleep(_POLL_SECONDS)
    seconds = chance.uniform(0, length)
    aim, number = chance.choice(list(_AIMS.items()))
    moment = time.time() + seconds
    while process.runs() and time.time() < moment:
        time.sleep(_POLL_SECONDS)
    if not process.runs() or not (hit := _strike(process.pid, aim, number, chance)):
        process.ended()
        return None
    end = process.ended()
    case = f"{hit} {seconds:.2f} s into {phase}"
    allowed = {"SIGTERM": [_TERMINATED], "SIGKILL of a child": [0, 1, 2]}
    # a signal may come too late to a command that has just ended, or has said all there is to say
    late = [0, -signal.SIGTERM] if _says_all(end.output) else [0]
    problem = end.problem([*allowed.get(hit, [-signal.SIGKILL]), *late])
    if problem is None and end.code == _TERMINATED and not _says_something(end.output):
        problem = f"ends without a word: {last_words(end.output)}"
    return Attempt(case, problem)


_AIMS = {
    "SIGKILL": signal.SIGKILL,
    "SIGKILL of a child": signal.SIGKILL,
    "SIGTERM": signal.SIGTERM,
}


def _strike(pid: int, aim: str, number: signal.Signals, chance: random.Random) -> str | None:
    """Send the signal; what was hit in the end: the run itself where it has no children."""
    children = [*children_of(pid)] if aim == "SIGKILL of a child" else []
    with suppress(ProcessLookupError):
        os.kill(chance.choice(children) if children else pid, number)
        return aim if children or number == signal.SIGTERM else "SIGKILL"
    return None


def _says_all(output: str) -> bool:
    return "Report, for a browser:" in output


def _says_something(output: str) -> bool:
    return "the same command goes on" in " ".join(output.split())


def _problem_at_the_end(experiment: TinyExperiment, expected: dict[str, Any]) -> str | None:
    if problem := Process(experiment.command()).ended().problem([0]):
        return problem
    different = differing(expected, answers(experiment.results))
    return "; ".join(different[:10]) or None
