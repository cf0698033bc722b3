"""The tasks of an experiment and their workers: who makes what next, and what becomes of it."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from types import TracebackType

from tl_keras.engine.here import Here
from tl_keras.engine.tasks import Answer, IdleDeathError, Load, Task, Worker
from tl_keras.errors import WorkerError
from tl_keras.invocation import settings
from tl_keras.progress import making

# Of workers that die while they make one task, before it is given up.
_MOST_DEATHS = 2
# Of workers in one place that die before they begin with anything.
_MOST_IDLE_DEATHS = 5
# How often it is looked whether a worker has become ready.
_LOOK_SECONDS = 0.2
# While no worker can begin: until that is said, and until it is given up.
_NOTICE_SECONDS, _MOST_SECONDS = 30.0, 600.0
_NO_ROOM = (
    "No worker can begin: what one reserves (engine.processors, engine.accelerators) is taken, or "
    "no machine of the cluster has it."
)
_KEPT = "What is finished is kept: it goes on when it is started again."


@dataclass(eq=False)
class _Desk:
    """A worker, and what it has made since it was started.

    Attributes:
        kinds: of tasks.
        keys: of tasks.
        task: what it is making; None is nothing.
        idle_deaths: since something was made here.
    """

    worker: Worker
    kinds: set[Hashable] = field(default_factory=set)
    keys: set[Hashable] = field(default_factory=set)
    task: Task | None = None
    idle_deaths: int = 0


class Pool:
    """Hands tasks to workers, longest first, and what they make back; use it as a context.

    A worker stays with a kind of task while there are any, so that what it has loaded and traced
    serves again. Everything happens in the thread that calls, while it waits.
    """

    def __init__(self, workers: Sequence[Worker], warn: Callable[[str], None]) -> None:
        """Begin with nothing to do.

        Args:
            workers: one or more.
            warn: is told of workers that died.
        """
        self._desks = [_Desk(worker) for worker in workers]
        self._waiting: list[Task] = []
        self._said: set[str] = set()
        self._running: dict[Future[Answer], _Desk] = {}
        self._deaths: dict[Task, int] = {}
        self._warn = warn

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, whatever they are making."""
        for desk in self._desks:
            desk.worker.close()
        self._desks.clear()

    def share(self, load: Load) -> None:
        """Give all tasks from now on what `load` gives."""
        for desk in self._desks:
            desk.worker.share(load)

    @property
    def elsewhere(self) -> bool:
        """Whether tasks are made while this process does something else."""
        return not any(isinstance(desk.worker, Here) for desk in self._desks)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._desks)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._waiting and not self._running

    def submit(self, task: Task) -> None:
        """Have a task made; it begins while somebody waits for any."""
        self._waiting.append(task)

    def look(self) -> None:
        """Hand back what is made by now, and let those who are free begin the next."""
        self._give()
        self._take(wait(self._running, timeout=0).done)
        self._give()

    def wait(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Hand back what is made until it is enough, or nothing is left.

        Raises:
            WorkerError: two workers died over one task, or none could begin.
            Exception: whatever a task raised.
        """
        at_work = time.monotonic()
        while not enough():
            self._give()
            if self.idle:
                return
            if self._running:
                at_work = time.monotonic()
            else:
                self._look_out(time.monotonic() - at_work)
            # who is not ready now may be so soon
            patience = _LOOK_SECONDS if self._waiting else None
            self._take(wait(self._running, patience, FIRST_COMPLETED).done)

    def _look_out(self, seconds: float) -> None:
        """Wait a little for a worker that can begin, as none could for so long."""
        if seconds > _MOST_SECONDS:
            raise WorkerError(f"{_NO_ROOM} {_KEPT}")
        if seconds > _NOTICE_SECONDS:
            self._say(
                f"{_NO_ROOM} The experiment waits, for {_MOST_SECONDS / 60:.0f} minutes at most."
            )
        time.sleep(_LOOK_SECONDS)

    def _say(self, note: str) -> None:
        """Once, whichever workers say it."""
        if note not in self._said:
            self._said.add(note)
            self._warn(note)

    def _give(self) -> None:
        """Give every free worker the next task."""
        for desk in self._desks:
            if (
                desk.task is None
                and desk.worker.ready()
                and (task := self._next_for(desk)) is not None
            ):
                self._waiting.remove(task)
                self._begin(desk, task)

    def _begin(self, desk: _Desk, task: Task) -> None:
        desk.task = task
        making(", ".join(other.task.name for other in self._desks if other.task))
        try:
            future = desk.worker.submit(task.call)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(IdleDeathError(str(error)))
        self._running[future] = desk

    def _next_for(self, desk: _Desk) -> Task | None:
        """The longest of a kind that it knows, else of that of which most is left for each worker.

        Those who know it count, and this one.
        """
        others = [other for other in self._desks if other is not desk]
        elsewhere = {key for other in others for key in _keys_at(other)}
        open_ = [task for task in self._waiting if task.key is None or task.key not in elsewhere]
        makers = Counter(kind for other in others for kind in _kinds_at(other))
        left = defaultdict[Hashable, float](float)
        # what is under way as well: whoever makes it comes to the rest later
        for task in (*open_, *(other.task for other in others if other.task)):
            left[task.kind] += task.seconds

        def preference(task: Task) -> tuple[bool, float, float]:
            kind = task.kind
            return kind in desk.kinds, left[kind] / (1 + makers[kind]), task.seconds

        return max(open_, key=preference, default=None)

    def _take(self, futures: set[Future[Answer]]) -> None:
        """Hand back what is made, in the order in which it was begun."""
        for future in [running for running in self._running if running in futures]:
            desk = self._running.pop(future)
            task, desk.task = desk.task, None
            assert task is not None
            try:
                answer = future.result()
            except BrokenExecutor as error:
                self._bury(desk, task, error)
            else:
                desk.idle_deaths = 0
                desk.kinds.add(task.kind)
                desk.keys.add(task.key)
                for note in answer.notes:
                    self._say(note)
                task.done(answer.result)

    def _bury(self, desk: _Desk, task: Task, error: BrokenExecutor) -> None:
        """Start another worker in place of one that died, and have its task made."""
        if isinstance(error, IdleDeathError):
            desk.idle_deaths += 1
            deaths, most = desk.idle_deaths, _MOST_IDLE_DEATHS
            when, which = f"before it began with {task.name}", f"the {most}th in a row"
        else:
            self._deaths[task] = deaths = self._deaths.get(task, 0) + 1
            most = _MOST_DEATHS
            when, which = f"while it made {task.name}", "the second over it"
        why = "it was killed, or the memory was full"
        if deaths == most:
            raise WorkerError(
                f"A worker process ended {when}, {which}: {why}. {_KEPT} With fewer at a time they "
                f"need less memory: {settings({'engine.workers': 1})}"
            ) from error
        self._warn(f"A worker process ended {when}: {why}. Another one makes it.")
        desk.kinds.clear()
        desk.keys.clear()
        desk.worker.restart()
        self._waiting.append(task)


def _keys_at(desk: _Desk) -> set[Hashable]:
    return desk.keys | ({desk.task.key} if desk.task else set())


def _kinds_at(desk: _Desk) -> set[Hashable]:
    return desk.kinds | ({desk.task.kind} if desk.task else set())
