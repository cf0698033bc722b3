"""Tasks and workers: who makes what, in which order, and what becomes of a death."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from tl_keras.engine import pool as pools
from tl_keras.engine.here import Here
from tl_keras.engine.pool import Pool
from tl_keras.engine.tasks import Answer, IdleDeathError, Load, Task
from tl_keras.errors import WorkerError


class Slow:
    """A worker whose tasks end when the test says so; their call is their name."""

    def __init__(self) -> None:
        self.making: list[tuple[Any, Future[Answer]]] = []
        self.starts = 1
        self.closed = False
        self.is_ready = True

    def share(self, load: Load) -> None:
        raise NotImplementedError

    def ready(self) -> bool:
        return self.is_ready

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        self.making.append((call(None), Future()))
        return self.making[-1][1]

    def end(self, *notes: str) -> None:
        name, future = self.making[-1]
        future.set_result(Answer(name, notes))

    def die(self) -> None:
        self.making[-1][1].set_exception(BrokenProcessPool("killed"))

    def restart(self) -> None:
        self.starts += 1

    def close(self) -> None:
        self.closed = True

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.making]


class Desk:
    """A pool of slow workers, and what came of it."""

    def __init__(self, workers: int) -> None:
        self.workers = [Slow() for _ in range(workers)]
        self.warnings: list[str] = []
        self.made: list[str] = []
        self.pool = Pool(self.workers, self.warnings.append)

    def submit(self, name: str, seconds: float = 1, kind: Any = None, key: Any = None) -> None:
        task = Task(name, lambda shared: name, self.made.append, seconds, kind or name, key)
        self.pool.submit(task)


def test_the_longest_is_made_first() -> None:
    desk = Desk(2)
    for name, seconds in {"short": 1, "long": 9, "middle": 5}.items():
        desk.submit(name, seconds)
    desk.pool.look()
    assert [worker.names for worker in desk.workers] == [["long"], ["middle"]]
    desk.workers[1].end()
    desk.pool.look()
    assert desk.made == ["middle"]
    assert desk.workers[1].names == ["middle", "short"]


def test_a_worker_stays_with_a_kind_and_helps_when_its_own_is_done() -> None:
    desk = Desk(2)
    for number in range(3):
        desk.submit(f"a{number}", 9 - number, "a")
        desk.submit(f"b{number}", 5 - number, "b")
    desk.submit("b3", 1, "b")
    desk.pool.look()
    first, second = desk.workers
    assert (first.names, second.names) == (["a0"], ["b0"])
    for _ in range(2):
        second.end()
        desk.pool.look()
    assert second.names == ["b0", "b1", "b2"]
    first.end()
    desk.pool.look()
    assert first.names == ["a0", "a1"]
    for _ in range(2):
        second.end()
        desk.pool.look()
    assert second.names == ["b0", "b1", "b2", "b3", "a2"]


def test_a_worker_helps_with_much_before_it_begins_with_little() -> None:
    desk = Desk(2)
    for number in range(3):
        desk.submit(f"long{number}", 9, "long")
    desk.submit("short", 2, "short")
    desk.submit("middle", 14, "middle")
    desk.pool.look()
    first, second = desk.workers
    assert (first.names, second.names) == (["long0"], ["middle"])
    second.end()
    desk.pool.look()
    assert second.names == ["middle", "long1"]


def test_the_same_computation_waits_for_the_worker_that_remembers_it() -> None:
    desk = Desk(2)
    desk.submit("run", 9, key="same")
    desk.submit("trial", 8, key="same")
    desk.submit("other", 1)
    desk.pool.look()
    first, second = desk.workers
    assert (first.names, second.names) == (["run"], ["other"])
    second.end()
    desk.pool.look()
    assert second.names == ["other"]
    first.end()
    desk.pool.look()
    assert first.names == ["run", "trial"]


def test_who_dies_over_a_task_costs_that_task_only() -> None:
    desk = Desk(2)
    desk.submit("unlucky", 9)
    desk.submit("other", 5)
    desk.pool.look()
    desk.workers[0].die()
    desk.pool.look()
    assert desk.workers[0].starts == 2
    assert desk.workers[0].names == ["unlucky", "unlucky"]
    assert "unlucky" in desk.warnings[0]
    desk.workers[0].end()
    desk.workers[1].end()
    desk.pool.wait()
    assert sorted(desk.made) == ["other", "unlucky"]


def test_a_second_death_over_a_task_ends_with_its_name() -> None:
    desk = Desk(1)
    desk.submit("unlucky")

    class Deadly(Slow):
        def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
            future = super().submit(call)
            self.die()
            return future

    pool = Pool([Deadly()], desk.warnings.append)
    pool.submit(Task("unlucky", lambda shared: None, desk.made.append))
    with pytest.raises(WorkerError, match="unlucky"):
        pool.wait()
    assert desk.made == []


def test_a_worker_that_is_dead_when_it_is_asked_is_replaced() -> None:
    class Dead(Slow):
        def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
            if self.starts == 1:
                raise BrokenProcessPool("killed while it waited")
            future = super().submit(call)
            self.end()
            return future

    made: list[str] = []
    pool = Pool([Dead()], print)
    pool.submit(Task("task", lambda shared: "made", made.append))
    pool.wait()
    assert made == ["made"]


class NeverBegins(Slow):
    """Is dead by the time it gets its first tasks, so many of them."""

    def __init__(self, deaths: int) -> None:
        super().__init__()
        self.deaths = deaths

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        future = super().submit(call)
        if len(self.making) <= self.deaths:
            future.set_exception(IdleDeathError("the machine is gone"))
        elif len(self.making) == self.deaths + 1:
            self.die()
        else:
            self.end()
        return future


def test_deaths_before_a_task_began_are_not_counted_as_its_own() -> None:
    made: list[str] = []
    worker = NeverBegins(2)
    pool = Pool([worker], print)
    pool.submit(Task("task", lambda shared: "made", made.append))
    pool.wait()
    assert made == ["made"]
    assert worker.starts == 4


def test_workers_that_never_begin_are_given_up() -> None:
    worker, said = NeverBegins(1000), list[str]()
    pool = Pool([worker], said.append)
    pool.submit(Task("unlucky", lambda shared: "made", print))
    with pytest.raises(WorkerError, match="unlucky"):
        pool.wait()
    assert worker.starts == len(said) + 1 < 10


def test_no_room_for_anybody_is_said_and_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(pools, "_NOTICE_SECONDS", 0.01)
    monkeypatch.setattr(pools, "_MOST_SECONDS", 0.1)
    desk = Desk(2)
    for worker in desk.workers:
        worker.is_ready = False
    desk.submit("task")
    with pytest.raises(WorkerError, match="it goes on when it is started again"):
        desk.pool.wait()
    assert len(desk.warnings) == 1
    assert "engine.processors" in desk.warnings[0]


def test_who_works_is_waited_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(pools, "_MOST_SECONDS", 0.02)
    desk = Desk(2)
    desk.workers[1].is_ready = False
    desk.submit("long", 9)
    desk.submit("short", 1)
    desk.pool.look()
    threading.Timer(0.1, desk.workers[0].end).start()
    desk.pool.wait(lambda: desk.made == ["long"])
    assert desk.made == ["long"]


def test_who_is_not_ready_gets_nothing_until_it_is() -> None:
    desk = Desk(2)
    desk.workers[0].is_ready = False
    desk.submit("long", 9)
    desk.submit("short", 1)
    desk.pool.look()
    assert [worker.names for worker in desk.workers] == [[], ["long"]]
    desk.workers[0].is_ready = True
    desk.pool.look()
    assert desk.workers[0].names == ["short"]


def test_notes_of_workers_are_said_once() -> None:
    desk = Desk(2)
    desk.submit("first")
    desk.submit("second")
    desk.pool.look()
    for worker in desk.workers:
        worker.end("the cache is damaged")
    desk.pool.wait()
    assert desk.warnings == ["the cache is damaged"]


def test_waiting_ends_when_it_is_enough() -> None:
    made: list[int] = []
    pool = Pool([Here()], print)
    pool.share(lambda: 10)
    for number in range(5):
        pool.submit(Task(str(number), number.__add__, made.append, seconds=-number))
    pool.wait(lambda: len(made) == 2)
    assert made == [10, 11]
    assert not pool.idle
    pool.wait()
    assert made == [10, 11, 12, 13, 14]
    assert pool.idle


def test_what_a_task_raises_is_raised_and_the_workers_end() -> None:
    desk = Desk(2)
    with pytest.raises(ZeroDivisionError), desk.pool as pool:
        pool.submit(Task("wrong", lambda shared: 1 / 0, desk.made.append))
        pool.wait()
    assert all(worker.closed for worker in desk.workers)
