"""Workers of Ray: where there is room for them, and what becomes of those that cannot work."""

import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.engine import calls
from tests.hostile.clusters import Cluster, cluster
from tl_keras.engine.pool import Pool
from tl_keras.engine.ray_workers import RayWorker, places, ray_cluster
from tl_keras.engine.tasks import IdleDeathError, Task
from tl_keras.errors import WorkerError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are seen in /proc"),
]
PATIENCE = 120


def load_nothing() -> None:
    """Load nothing."""


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with cluster(2) as made:
        yield made


@pytest.fixture
def connected(machines: Cluster) -> Iterator[Cluster]:
    """The cluster with two nodes, and this process connected to it."""
    machines.add(2 - len(machines.nodes))
    with ray_cluster(machines.address):
        yield machines


def worker(warm_up: Callable[[], None] = load_nothing) -> RayWorker:
    made = RayWorker(warm_up, processors=1, accelerators=0)
    made.share(list)
    return made


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_room_is_counted_by_machine(connected: Cluster) -> None:
    assert places(1, 0) == 2
    assert places(0.5, 0) == 4
    # two of one processor are no machine of two
    assert places(2, 0) == 0
    assert places(1, 1) == 0


def test_sigterm_does_what_it_did(machines: Cluster) -> None:
    def mine(number: int, frame: Any) -> None:
        raise NotImplementedError

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with ray_cluster(machines.address):
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_who_died_idle_and_who_died_over_a_task_are_told_apart(
    connected: Cluster, tmp_path: Path
) -> None:
    made, chance, mark = worker(), random.Random(0), tmp_path / "begun"
    until(made.ready)
    assert connected.kill_one(chance)
    until(lambda: not connected.actors())
    with pytest.raises(IdleDeathError):
        made.submit(len).result(PATIENCE)
    made.restart()
    until(made.ready)
    working = made.submit(partial(calls.wait, mark))
    until(mark.exists)
    assert connected.kill_one(chance)
    with pytest.raises(BrokenExecutor) as caught:
        working.result(PATIENCE)
    assert not isinstance(caught.value, IdleDeathError)
    made.close()


def test_a_machine_that_goes_before_its_worker_is_ready_hinders_nobody(connected: Cluster) -> None:
    workers = [worker(partial(time.sleep, 5)) for _ in range(2)]
    until(lambda: len(connected.actors()) == 2)
    connected.remove(connected.nodes[0])
    made: list[int] = []
    with Pool(workers, print) as pool:
        pool.share(list)
        for number in range(4):
            pool.submit(Task(str(number), len, made.append))
        pool.wait()
    assert made == [0] * 4


def test_what_goes_wrong_while_workers_load_is_said(connected: Cluster) -> None:
    made = worker(partial(calls.fail, []))
    until(made.ready)
    with pytest.raises(WorkerError, match="as it was raised"):
        made.submit(len).result(PATIENCE)
    made.close()
