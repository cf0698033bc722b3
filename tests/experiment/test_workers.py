"""Experiments whose runs are made by several processes."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.engine.calls import Load, own_gpu
from tests.hostile.clusters import Cluster, cluster
from tests.hostile.experiments import (
    TinyExperiment,
    answers_of_runs,
    children_of,
    differing,
    started,
)
from tl_keras.config.files import parse_config
from tl_keras.engine.here import Here
from tl_keras.engine.tasks import Task
from tl_keras.errors import ConfigError
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.monitor import Silent
from tl_keras.experiment.workers import starting_workers, trainings_left, worker_count
from tl_keras.results_layout import place

# Of one command with the tiny experiment, on a busy machine.
PATIENCE = 300
STRATEGIES = ["linear_probe", "from_scratch", "feature_extraction", "fine_tuning", "searched"]


class Listener(Silent):
    """Keeps what is said of workers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.warnings: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def count(results: Path, monitor: Silent | None = None, gpus: int = 0, **keys: Any) -> int:
    looked = look(results, **keys)
    return worker_count(looked.config, monitor or Silent(), trainings_left(looked), gpus)


def look(results: Path, **keys: Any) -> FirstLook:
    photos = {"name": "x", "data": {"folder": "photos"}, "results_dir": str(results)}
    return FirstLook(parse_config(photos | keys))


def test_as_many_workers_as_asked_and_no_more_than_trainings(tmp_path: Path) -> None:
    two: dict[str, Any] = {"strategies": ["from_scratch"], "seeds": 2}
    assert count(tmp_path, engine={"workers": 1}) == 1
    assert count(tmp_path, engine={"workers": 3}) == 3
    assert count(tmp_path, engine={"workers": 3}, **two) == 2
    assert count(tmp_path, engine={"workers": 3}, strategies=["linear_probe"]) == 1


def test_a_number_of_workers_is_said_too(tmp_path: Path) -> None:
    listener = Listener()
    two: dict[str, Any] = {"strategies": ["from_scratch"], "seeds": 2}
    assert count(tmp_path, listener, engine={"workers": 3}, **two) == 2
    assert [text.partition(" (")[0] for text in listener.stages] == ["Training in 2 processes"]


def test_a_search_has_work_for_several(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"strategies": ["searched"], "seeds": 1}
    assert count(tmp_path, engine={"workers": 9}, search={"max_trials": 2, "folds": 2}, **keys) == 5


@pytest.mark.parametrize(
    ("processors", "room", "expected"), [(4, 9, 4), (4, 2, 2), (4, 0, 1), (64, 64, 9)]
)
def test_auto_takes_what_there_is_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, room: int, expected: int
) -> None:
    monkeypatch.setattr("tl_keras.engine.capacity.processors", lambda: processors)
    monkeypatch.setattr("tl_keras.engine.capacity.room_for", lambda: room)
    listener = Listener()
    strategies: dict[str, Any] = {"strategies": ["from_scratch", "fine_tuning"], "seeds": 3}
    assert count(tmp_path, listener, **strategies) == expected
    assert bool(listener.stages) == (expected > 1)
    if expected > 1:
        assert f"{expected} processes" in listener.stages[0]


# Of a training each.
EIGHT: dict[str, Any] = {"strategies": ["from_scratch"], "seeds": 8}


@pytest.mark.parametrize(
    ("gpus", "room", "seeds", "expected"),
    [(1, 9, 8, 1), (2, 9, 8, 2), (16, 99, 8, 8), (4, 3, 8, 3), (4, 9, 3, 3), (4, 0, 8, 1)],
)
def test_auto_makes_one_run_on_each_gpu_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    room: int,
    seeds: int,
    expected: int,
) -> None:
    monkeypatch.setattr("tl_keras.engine.capacity.processors", lambda: 5)
    monkeypatch.setattr("tl_keras.engine.capacity.room_for", lambda: room)
    listener = Listener()
    assert count(tmp_path, listener, gpus, **EIGHT | {"seeds": seeds}) == expected
    said = [f"Training in {expected} processes ({seeds} trainings, {gpus} GPUs, memory for {room})"]
    assert listener.stages == (said if expected > 1 else [])
    assert listener.warnings == []


def test_as_many_workers_as_asked_share_the_gpus(tmp_path: Path) -> None:
    assert count(tmp_path, gpus=1, engine={"workers": 3}, **EIGHT) == 3
    assert count(tmp_path, gpus=4, engine={"workers": 1}, **EIGHT) == 1


@pytest.mark.parametrize(
    ("workers", "gpus", "warned"),
    [("auto", 2, True), (3, 1, True), ("auto", 1, False), (1, 2, False)],
)
def test_where_this_process_holds_the_memory_of_the_gpus_it_makes_all_runs_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int | str,
    gpus: int,
    warned: bool,
) -> None:
    monkeypatch.setattr("tl_keras.experiment.workers.share_memory", lambda: False)
    monkeypatch.setattr("tl_keras.engine.capacity.room_for", lambda: 9)
    listener = Listener()
    assert count(tmp_path, listener, gpus, engine={"workers": workers}, **EIGHT) == 1
    assert len(listener.warnings) == warned
    assert listener.stages == []


@pytest.mark.parametrize(
    ("workers", "gpus", "expected"),
    [
        ("auto", ("2", "3"), ["2", "3"]),
        (3, ("GPU-a", "GPU-b"), ["GPU-a", "GPU-b", "GPU-b"]),
        (2, (), ["-1", "-1"]),
    ],
)
def test_every_worker_sees_one_gpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int | str,
    gpus: tuple[str, ...],
    expected: list[str],
) -> None:
    module = "tl_keras.experiment.workers"
    monkeypatch.setattr(f"{module}.accelerators", lambda: gpus)
    monkeypatch.setattr(f"{module}.load_all", own_gpu)
    monkeypatch.setattr(f"{module}.InFolder.write", lambda folder, prepared: Load(str(tmp_path)))
    monkeypatch.setattr("tl_keras.engine.capacity.room_for", lambda: 9)
    seen: list[tuple[int, str]] = []
    looked = look(tmp_path, engine={"workers": workers}, **EIGHT)
    prepared: Any = None
    with starting_workers(looked, Silent()) as pool_for:
        pool = pool_for(prepared)
        for _ in expected:
            pool.submit(Task("a run", own_gpu, seen.append))
        # all begin before any of them is done
        pool.look()
        pool.wait()
    assert len({process for process, _ in seen}) == len(expected)
    assert sorted(gpu for _, gpu in seen) == expected


@pytest.mark.parametrize(("reserved", "shared"), [(0.5, False), (1, True), (0, False)])
def test_workers_of_ray_that_need_gpus_are_left_memory_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reserved: float, shared: bool
) -> None:
    module, listener = "tl_keras.experiment.workers", Listener()
    monkeypatch.setattr(f"{module}.ray_cluster", lambda address: nullcontext())
    monkeypatch.setattr(f"{module}.places", lambda **reserved: 2)
    monkeypatch.setattr(f"{module}.RayWorker", lambda warm_up, **reserved: Here())
    monkeypatch.setattr(f"{module}.share_memory", lambda: shared)
    looked = look(tmp_path, engine={"backend": "ray", "accelerators": reserved}, **EIGHT)
    with starting_workers(looked, listener):
        assert len(listener.warnings) == (reserved > 0 and not shared)


@pytest.mark.parametrize(
    ("reserved", "named"),
    [
        ({"accelerators": 1}, ["engine.accelerators"]),
        ({"processors": 8}, ["engine.processors"]),
        ({"processors": 2.5, "accelerators": 0.5}, ["engine.processors", "engine.accelerators"]),
        ({"processors": 2}, []),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_this_machine_alone_cannot_be_waited_for_to_grow(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    alone: bool,
    reserved: dict[str, float],
    named: list[str],
) -> None:
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    module, listener = "tl_keras.experiment.workers", Listener()
    monkeypatch.setattr(f"{module}.ray_cluster", lambda address: nullcontext(alone))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(f"{module}.places", lambda **reserved: int(not named))
    monkeypatch.setattr(f"{module}.RayWorker", lambda warm_up, **reserved: Here())
    looked = look(tmp_path, engine={"backend": "ray"} | reserved, **EIGHT)
    message = ""
    try:
        with starting_workers(looked, listener):
            assert len(listener.stages) == 1
            assert len(listener.warnings) == bool(named)
    except ConfigError as error:
        message = str(error)
    assert bool(message) == (alone and bool(named))
    assert not message or all(f"{key} must be" in message for key in named)


def test_auto_starts_none_for_what_is_done_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tl_keras.engine.capacity.processors", lambda: 8)
    quick = {"epochs": 1, "learning_rate": 0.1}
    keys: dict[str, Any] = {"strategies": ["fine_tuning"], "seeds": 2}
    keys["training"] = {"phase_2": quick}
    assert count(tmp_path, data={"folder": "photos", "train_per_class": 1}, **keys) == 1
    assert count(tmp_path, **keys | {"seeds": 20}) == 8


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> TinyExperiment:
    folder = tmp_path_factory.mktemp("workers") / "experiment"
    return TinyExperiment.make(folder, strategies=STRATEGIES, head={"pooling": "search"})


@pytest.fixture(scope="module")
def expected(experiment: TinyExperiment) -> dict[str, Any]:
    """All that a run in one process leaves."""
    code, output = ran(experiment, 1)
    assert code == 0, output
    return answers_of_runs(experiment.results)


def ran(
    experiment: TinyExperiment,
    workers: int,
    meanwhile: Callable[[int], None] = lambda process: None,
    *settings: str,
    anew: bool = True,
) -> tuple[int, str]:
    """Run it with so many workers.

    Args:
        experiment: the experiment.
        workers: processes.
        meanwhile: called again and again with the id of the process of the command.
        settings: after `--set`.
        anew: whether what is there is removed first.

    Returns:
        Exit code and output.
    """
    if anew:
        experiment.begin_anew()
    with tempfile.TemporaryFile() as file:
        command = experiment.command_with(f"engine.workers={workers}", *settings)
        process, end = started(command, file), time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < end
            meanwhile(process.pid)
            time.sleep(0.02)
        file.seek(0)
        return process.returncode, file.read().decode()


def workers_of(process: int) -> list[int]:
    """Processes of a command that make runs."""
    return [child for child in children_of(process) if _is_worker(child)]


def _is_worker(process: int) -> bool:
    try:
        return "popen_loky" in Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False


@pytest.mark.slow
def test_the_number_of_workers_changes_no_bit(
    experiment: TinyExperiment, expected: dict[str, Any]
) -> None:
    together = [0]
    code, output = ran(experiment, 2, lambda process: together.append(len(workers_of(process))))
    assert code == 0, output
    assert max(together) >= 2
    assert differing(expected, answers_of_runs(experiment.results)) == []


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_run(
    experiment: TinyExperiment, expected: dict[str, Any]
) -> None:
    killed: list[int] = []

    def kill(process: int) -> None:
        if not killed and _is_training(experiment) and (workers := workers_of(process)):
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])

    code, output = ran(experiment, 2, kill)
    assert killed
    assert code == 0, output
    assert "A worker process ended while it made" in " ".join(output.split())
    assert differing(expected, answers_of_runs(experiment.results)) == []


@pytest.mark.slow
def test_workers_that_always_die_end_the_experiment_which_goes_on_afterwards(
    experiment: TinyExperiment, expected: dict[str, Any]
) -> None:
    def kill(process: int) -> None:
        if _is_training(experiment):
            for worker in workers_of(process):
                os.kill(worker, signal.SIGKILL)

    code, output = ran(experiment, 2, kill)
    assert code == 1
    said = " ".join(output.split())
    assert "it goes on when it is started again" in said
    assert ", seed " in said or "a trial " in said
    assert "Traceback" not in output
    code, output = ran(experiment, 2, anew=False)
    assert code == 0, output
    assert differing(expected, answers_of_runs(experiment.results)) == []


@pytest.mark.slow
def test_workers_end_with_a_command_that_is_killed(experiment: TinyExperiment) -> None:
    workers: list[int] = []

    def kill(process: int) -> None:
        if _is_training(experiment) and len(found := workers_of(process)) == 2:
            workers.extend(found)
            os.kill(process, signal.SIGKILL)

    assert ran(experiment, 2, kill)[0] == -signal.SIGKILL
    end = time.monotonic() + 60
    while any(map(_is_worker, workers)):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def two_machines() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with cluster(2) as made:
        yield made


@pytest.mark.slow
def test_a_machine_of_a_cluster_that_goes_costs_its_run(
    experiment: TinyExperiment, expected: dict[str, Any], two_machines: Cluster
) -> None:
    def go(process: int) -> None:
        if len(two_machines.nodes) == 2 and _is_training(experiment):
            two_machines.remove(two_machines.nodes[0])

    code, output = ran(experiment, 2, go, f"engine.address={two_machines.address}")
    assert code == 0, output
    assert len(two_machines.nodes) == 1
    assert differing(expected, answers_of_runs(experiment.results)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_nobody_is_left_at_work_for_a_driver_that_ends(
    experiment: TinyExperiment, two_machines: Cluster, number: signal.Signals, code: int
) -> None:
    stopped: list[int] = []

    def stop(process: int) -> None:
        if not stopped and _is_training(experiment) and len(two_machines.actors()) == 2:
            # once: the second one does not wait for anything
            os.kill(process, number)
            stopped.append(process)

    found, output = ran(experiment, 2, stop, f"engine.address={two_machines.address}")
    assert stopped
    assert found == code, output
    assert number == signal.SIGKILL or "the same command goes on" in output
    end = time.monotonic() + 60
    while two_machines.actors():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_an_address_where_nothing_is_is_refused(experiment: TinyExperiment) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    code, output = ran(experiment, 2, lambda process: None, "engine.address=127.0.0.1:9")
    assert code == 2
    assert "engine.address" in output
    assert "Traceback" not in output


def _is_training(experiment: TinyExperiment) -> bool:
    return place(experiment.results, "runs.csv").exists()
