"""The harness notices what is wrong: each part fails with a stand-in that has one fault."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.attempts import caches, configurations, disk, pictures
from benchmarks.attempts import nodes as nodes_part
from benchmarks.attempts.attempt import (
    MOST_BYTES,
    Attempt,
    CannotBeTriedError,
    Ended,
    Part,
    ended,
)
from benchmarks.attempts.caches import damaged_caches
from benchmarks.attempts.disk import (
    damaged_results,
    forbidden_results,
    full_disk,
    replaced_inputs,
)
from benchmarks.attempts.kills import kills
from benchmarks.attempts.nodes import nodes
from benchmarks.attempts.two_processes import two_processes
from benchmarks.reliability import tally_of
from tests.hostile import experiments
from tests.hostile.experiments import TinyExperiment, answers, differing
from tests.hostile.mutated_pictures import mutated_picture
from tl_keras.errors import ConfigError
from tl_keras.results_layout import inner, place

Tried = Callable[[Part, int, str], int]

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are seen in /proc")
# root of a container may not mount either; the part then says so
needs_disks = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only the superuser mounts a file system"
)


@pytest.fixture
def failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    """`failures(part, count, fault)`: how many attempts fail with the stand-in."""
    stand_in, fault_now = Path(experiments.__file__).with_name("stand_in.py"), [""]

    def command(experiment: TinyExperiment, *arguments: str) -> list[str]:
        return [sys.executable, str(stand_in), str(experiment.folder), *fault_now]

    @contextmanager
    def cluster(count: int) -> Iterator[Nodes]:
        yield Nodes(tmp_path / "experiment", count)

    def weights(path: Path, seed: int = 0) -> None:
        path.write_bytes(bytes([seed % 256]))

    monkeypatch.setattr(experiments, "write_weights", weights)
    monkeypatch.setattr(disk, "write_weights", weights)
    monkeypatch.setattr(disk, "DAMAGES", {"another digit": _other_digit})
    monkeypatch.setattr(TinyExperiment, "command", command)
    monkeypatch.setattr(nodes_part, "cluster", cluster)
    monkeypatch.setattr(nodes_part, "LATEST_SECONDS", 0.1)
    monkeypatch.setattr(nodes_part, "find_spec", lambda name: name)
    monkeypatch.setattr(caches, "tl_keras", lambda *arguments: [sys.executable, "-c", ""])

    def failing(part: Part, count: int, fault: str) -> int:
        fault_now[0] = fault
        tally = tally_of(part, count, 0, tmp_path)
        assert tally.tried >= count
        return tally.failed

    return failing


class Nodes:
    """In place of a cluster: what went is a file in the folder of the experiment."""

    def __init__(self, folder: Path, count: int) -> None:
        self.address, self.nodes, self._gone = "none", [*range(count)], folder / "gone"

    def add(self, count: int = 1) -> None:
        self.nodes += range(count)

    def remove(self, node: int) -> None:
        self.nodes.remove(node)
        self._gone.touch()

    def kill_one(self, chance: random.Random) -> bool:
        self._gone.touch()
        return True


def _other_digit(folder: Path) -> bool:
    table = place(folder, "runs.csv")
    table.write_text(table.read_text().replace("\n1,", "\n6,"))
    return True


NO_FAULT = "none"
WITH_A_FAULT: list[tuple[Part, int, str]] = [
    (kills, 8, "deaf to SIGTERM"),
    (kills, 8, "another number after a kill"),
    (nodes, 4, "another number after a loss"),
    (two_processes, 1, "no lock"),
    (replaced_inputs, 4, "damage and other photos unseen"),
    (damaged_results, 1, "damage and other photos unseen"),
    (damaged_caches, 4, "cache believed"),
]
ON_DISKS: list[tuple[Part, int, str]] = [
    (full_disk, 3, "half files kept"),
    (forbidden_results, 3, "write errors unseen"),
]


@needs_linux
@pytest.mark.parametrize(("part", "count", "fault"), WITH_A_FAULT)
def test_a_part_fails_with_its_fault_alone(
    failures: Tried, part: Part, count: int, fault: str
) -> None:
    assert failures(part, count, fault) > 0


@needs_linux
@pytest.mark.parametrize(("part", "count", "fault"), WITH_A_FAULT)
def test_a_part_finds_nothing_where_nothing_is_wrong(
    failures: Tried, part: Part, count: int, fault: str
) -> None:
    assert failures(part, count, NO_FAULT) == 0


@needs_disks
@pytest.mark.parametrize(("part", "count", "fault"), ON_DISKS)
def test_a_part_on_a_disk_fails_with_its_fault_alone(
    failures: Tried, part: Part, count: int, fault: str
) -> None:
    assert failures(part, count, fault) > 0


@needs_disks
@pytest.mark.parametrize(("part", "count", "fault"), ON_DISKS)
def test_a_part_on_a_disk_finds_nothing_where_nothing_is_wrong(
    failures: Tried, part: Part, count: int, fault: str
) -> None:
    assert failures(part, count, NO_FAULT) == 0


@needs_linux
@pytest.mark.slow
def test_the_tiny_experiment_is_a_whole_one(tmp_path: Path) -> None:
    experiment = TinyExperiment.make(tmp_path / "experiment")
    assert ended(experiment.command()).problem([0]) is None
    found = answers(experiment.results)
    tables = ("runs.csv", "trials.csv", "probes.csv", "splits.csv", "learning_curve.csv")
    assert found.keys() >= {*map(inner, tables)} | {"export/1/variables/variables.index"}
    assert any(name.endswith("probabilities.npz") for name in found)
    assert [*experiment.cache.iterdir()]


@pytest.mark.parametrize(
    "end",
    [
        Ended(None, "still at it"),
        Ended(1, "Traceback (most recent call last): ..."),
        Ended(0, "Traceback (most recent call last): ..."),
        Ended(1, "error: a sentence"),
        Ended(-signal.SIGSEGV, ""),
        Ended(0, "a" * (MOST_BYTES + 1)),
    ],
)
def test_ends_that_are_wrong(end: Ended) -> None:
    assert end.problem([0, 2]) is not None


def test_ends_that_are_right() -> None:
    assert Ended(0, "done").problem([0, 2]) is None
    assert Ended(2, "error: a sentence").problem([0, 2]) is None


def test_without_ray_its_part_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes_part, "find_spec", lambda name: None)
    with pytest.raises(CannotBeTriedError):
        tally_of(nodes, 1, 0, tmp_path)


def test_failed_attempts_are_counted_and_figures_kept_at_their_largest(tmp_path: Path) -> None:
    def part(count: int, seed: int, folder: Path) -> Iterator[Attempt]:
        for number in range(count):
            yield Attempt("a", "wrong" if number % 2 else None, {"seconds": float(-number)})

    tally = tally_of(part, 5, 0, tmp_path)
    assert (tally.tried, tally.failed) == (5, 2)
    assert tally.figures == {"seconds": 0.0}


def test_a_configuration_that_is_answered_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(error: Exception) -> Callable[[Path], None]:
        def load(path: Path) -> None:
            raise error

        return load

    def slow(path: Path) -> None:
        time.sleep(0.02)
        raise ConfigError("a sentence")

    path = tmp_path / "experiment.json"
    for load in (raising(RecursionError()), raising(ConfigError("a" * 20_000))):
        monkeypatch.setattr(configurations, "load_config", load)
        assert configurations.problem_with(path) is not None
    monkeypatch.setattr(configurations, "load_config", slow)
    assert configurations.problem_with(path) is None
    monkeypatch.setattr(configurations, "MOST_SECONDS", 0.01)
    assert configurations.problem_with(path) is not None


def test_a_configuration_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configurations, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(configurations, "load_config", lambda path: time.sleep(60))
    assert configurations.problem_with(tmp_path) is not None


def test_mutations_follow_from_their_seed() -> None:
    texts = [configurations.mutated(seed) for seed in range(50)]
    assert texts == [configurations.mutated(seed) for seed in range(50)]
    assert len(set(texts)) > 40
    files = [mutated_picture(seed) for seed in range(200)]
    assert files == [mutated_picture(seed) for seed in range(200)]
    assert len(set(files)) > 190


def test_answers_leave_times_out_and_nothing_else(tmp_path: Path) -> None:
    def written(name: str, loss: float, seconds: float) -> dict[str, object]:
        folder = tmp_path / name
        (folder / "runs").mkdir(parents=True)
        (folder / "runs.csv").write_text(f"run,loss,phase_1_seconds\na,{loss},{seconds}\n")
        (folder / "row.json").write_text(f'{{"a": [{{"loss": {loss}, "seconds": {seconds}}}]}}')
        np.savez(folder / "runs" / "p.npz", test=np.array([loss]))
        (folder / "report.html").write_text(str(seconds))
        return answers(folder)

    sound = written("sound", 0.5, 1.0)
    assert differing(sound, written("later", 0.5, 2.0)) == []
    other = differing(sound, written("other", 0.25, 1.0))
    assert other == ["row.json differs", "runs.csv differs", "runs/p.npz differs"]
    (tmp_path / "other" / "row.json").write_text("[" * 100_000)
    (tmp_path / "other" / "runs" / "p.npz").write_bytes(b"PK")
    (tmp_path / "other" / "runs.csv").write_bytes(b"")
    assert differing(sound, answers(tmp_path / "other")) == other
    assert differing(sound, {}) == [f"{name} is missing" for name in sorted(sound)]
    assert differing({}, sound) == [f"{name} is there as well" for name in sorted(sound)]


def test_a_good_picture_that_is_answered_otherwise() -> None:
    alone = pictures.Answered({"a.png": ("amber", 0.75)}, Ended(0, ""))
    beside = {"a.png": ("amber", 0.75 + 1e-7), "hostile.png": ("", 0.0)}
    assert pictures.Answered(beside, Ended(0, "")).differs_from(alone) is None
    for wrong in ({}, {"a.png": ("blue", 0.75)}, {"a.png": ("amber", 0.74)}):
        assert pictures.Answered(wrong, Ended(0, "")).differs_from(alone) is not None


def test_a_servers_answers_that_are_wrong() -> None:
    bad, good = {"label": "", "probabilities": [0.5]}, {"label": "a", "probabilities": [0.75]}
    other = {"label": "a", "probabilities": [0.5]}
    assert pictures.problem_of([bad, good], [good], 1, 10.0) is None
    for answers_, megabytes in (
        ([bad, other], 10.0),
        ([good], 10.0),
        ("status 500", 10.0),
        ([bad, good], pictures.MOST_MEGABYTES + 1),
    ):
        assert pictures.problem_of(answers_, [good], 1, megabytes) is not None
    assert pictures.problem_of([bad, good], "no answer", 1, 10.0) is not None
