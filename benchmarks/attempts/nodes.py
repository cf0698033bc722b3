"""Nodes of a cluster are taken away and workers killed while an experiment trains there.

The cluster is Ray's own for tests: a head that makes no runs, and nodes with room for one worker
each, all on this machine. What the experiment ends with is compared with what one process makes.
"""

import random
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.attempts.attempt import Attempt, CannotBeTriedError, Process
from tests.hostile.clusters import Cluster, cluster
from tests.hostile.experiments import TinyExperiment, answers_of_runs, differing

NODES, WORKERS = (2, 3), 2
# Nodes that go and workers that are killed, at one moment.
STRIKES = {
    "a node": (1, 0),
    "a worker": (0, 1),
    "a node and a worker": (1, 1),
    "two nodes": (2, 0),
    "every node": (max(NODES), 0),
}
# Until a node joins where none is left.
LATEST_SECONDS = 20.0
_POLL_SECONDS = 0.01


def nodes(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
    """Strike a cluster at a random moment of a tiny experiment.

    Args:
        count: strikes, each in an experiment of its own.
        seed: of the moments and victims.
        folder: an empty one.

    Raises:
        CannotBeTriedError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise CannotBeTriedError("the extra ray is not installed")
    experiment, chance = TinyExperiment.make(folder / "experiment"), random.Random(seed)
    _undisturbed(experiment, "engine.workers=1")
    expected = answers_of_runs(experiment.results)
    with cluster(max(NODES)) as machines:
        settings = _settings(machines)
        length = _undisturbed(experiment, *settings)
        if different := differing(expected, answers_of_runs(experiment.results)):
            raise RuntimeError(f"a cluster makes other numbers: {'; '.join(different[:10])}")
        for _ in range(count):
            _restore(machines, chance.choice(NODES))
            experiment.begin_anew()
            process = Process(experiment.command_with(*settings))
            case = _struck(process, machines, chance.uniform(0, length), chance)
            problem = process.ended().problem([0])
            yield Attempt(case, problem or _problem_at_the_end(experiment, expected))


def _settings(machines: Cluster) -> tuple[str, ...]:
    return f"engine.address={machines.address}", f"engine.workers={WORKERS}"


def _undisturbed(experiment: TinyExperiment, *settings: str) -> float:
    """Run it; the seconds it took."""
    experiment.begin_anew()
    process = Process(experiment.command_with(*settings))
    if problem := process.ended().problem([0]):
        raise RuntimeError(f"the experiment does not even end undisturbed: {problem}")
    return time.time() - process.began


def _restore(machines: Cluster, count: int) -> None:
    """Have so many nodes."""
    while len(machines.nodes) > count:
        machines.remove(machines.nodes[0])
    machines.add(count - len(machines.nodes))


def _struck(process: Process, machines: Cluster, moment: float, chance: random.Random) -> str:
    """Strike after so many seconds, and let a node join later where none is left; what was done."""
    strike, later = chance.choice(list(STRIKES)), chance.uniform(0, LATEST_SECONDS)
    there = len(machines.nodes)
    _wait(process, moment)
    to_go, to_be_killed = STRIKES[strike]
    # first: of the nodes that go it would be killed by them
    killed = sum(machines.kill_one(chance) for _ in range(to_be_killed))
    victims = chance.sample(machines.nodes, min(to_go, there))
    for node in victims:
        machines.remove(node)
    done = f"{strike} of {there} nodes, {moment:.1f} s after the start"
    if to_be_killed and not killed:
        done += ", when there was no worker"
    if not machines.nodes:
        _wait(process, later)
        machines.add()
        done += f"; a node {later:.1f} s later"
    return done


def _wait(process: Process, seconds: float) -> None:
    end = time.time() + seconds
    while process.runs() and time.time() < end:
        time.sleep(_POLL_SECONDS)


def _problem_at_the_end(experiment: TinyExperiment, expected: dict[str, Any]) -> str | None:
    return "; ".join(differing(expected, answers_of_runs(experiment.results))[:10]) or None
