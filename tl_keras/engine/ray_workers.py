"""Tasks made by actors of Ray, on this machine or on those of a cluster. Imports Ray when used.

Every worker is an actor that stays alive between tasks. What the tasks share lies in Ray's store,
so no machine needs the files of another.
"""

import importlib.util
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from typing import Any

from tl_keras.engine.carrying_out import carry_out
from tl_keras.engine.tasks import Answer, IdleDeathError, Load
from tl_keras.errors import ConfigError, WorkerError, installing
from tl_keras.invocation import settings
from tl_keras.safe_text import brief

_ADDRESS = (
    'engine.address must be that of a running Ray cluster, such as "auto" on one of its machines '
    "or ray://head:10001 from elsewhere;"
)
# An address that Ray takes where it is given none.
_FROM_ELSEWHERE = "RAY_ADDRESS"
# For a machine to answer.
_PATIENCE_SECONDS = 10.0
# Letters of what Ray has to say.
_BRIEF = 300


def check_ray() -> None:
    """Nothing, if Ray is installed.

    Raises:
        ConfigError: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            "engine.backend ray, and engine.address, need the package ray, which is not installed: "
            f"{installing('ray')}, or leave them out to use the processors of this machine."
        )


@contextmanager
def ray_cluster(address: str | None) -> Iterator[bool]:
    """A connection to a cluster; one that the process has already is used and left as it is.

    Args:
        address: of a cluster that exists; None starts one on this machine, which ends with the
            block.

    Yields:
        Whether it is this machine alone, which nobody adds others to.

    Raises:
        ConfigError: no cluster answers there.
        WorkerError: it was lost on the way.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    found = ray.is_initialized()
    alone = not found and address is None and _FROM_ELSEWHERE not in os.environ
    if not found:
        _connect(address)
    try:
        yield alone and len(ray.nodes()) == 1
    except ray.exceptions.RayError as error:
        raise WorkerError(
            f"Ray ended, or cannot go on ({brief(str(error), _BRIEF)}). What is finished is kept: "
            "it goes on when it is started again."
        ) from error
    finally:
        if not found:
            ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    start = (
        "Start one with `ray start --head`, or leave engine.address out "
        f"({settings({'engine.address': None})}) to use this machine alone."
    )
    try:
        _reach(address)
        with termination_kept():
            ray.init(address=address, logging_level="ERROR", log_to_driver=False)
    except ConnectionError as error:
        raise ConfigError(f"{_ADDRESS} got {address}, where none answers. {start}") from error
    except (OSError, ValueError, RuntimeError) as error:
        why = brief(str(error), _BRIEF)
        if address is None:
            raise WorkerError(f"Ray could not be started on this machine: {why}") from error
        raise ConfigError(f"{_ADDRESS} got {address}: {why}. {start}") from error


@contextmanager
def termination_kept() -> Iterator[None]:
    """Let SIGTERM do what it did before the block, in which Ray takes it for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # None is a handler that was not set from Python
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _reach(address: str | None) -> None:
    """Nothing, if something listens at a host and port: Ray would knock there for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), _PATIENCE_SECONDS).close()


def places(processors: float, accelerators: float) -> int:
    """Workers that a connected cluster has room for.

    Args:
        processors: that each reserves.
        accelerators: GPUs that each reserves; 0 is none.
    """
    import ray

    def room(there: dict[str, float]) -> int:
        by_processors = there.get("CPU", 0) / processors
        if not accelerators:
            return int(by_processors)
        return int(min(by_processors, there.get("GPU", 0) / accelerators))

    # a worker is on one machine: what several have left over is no room
    return sum(room(node["Resources"]) for node in ray.nodes() if node["Alive"])


def check_room(processors: float, accelerators: float) -> None:
    """Nothing, if this machine, which Ray has alone, can have a worker at all.

    Args:
        processors: that each reserves.
        accelerators: GPUs that each reserves.

    Raises:
        ConfigError: it can have none.
    """
    import ray

    there = ray.cluster_resources()
    rows = (
        ("engine.processors", processors, there.get("CPU", 0), "processors"),
        ("engine.accelerators", accelerators, there.get("GPU", 0), "GPUs"),
    )
    problems = [
        f"{key} must be at most {most:g}: each worker reserves so many {what}, and this machine "
        f"has {most:g}; got {asked:g}"
        for key, asked, most, what in rows
        if asked > most
    ]
    if problems:
        raise ConfigError(
            f"{'. '.join(problems)}. Lower it, or name a cluster that has more: engine.address."
        )


class RayWorker:
    """An actor for one task at a time."""

    # answers when the actor, so far as is known, is alive and free
    _began: Future[None]

    def __init__(
        self,
        warm_up: Callable[[], None],
        *,
        processors: float,
        accelerators: float,
    ) -> None:
        """Start it, as soon as the cluster has room.

        Args:
            warm_up: called at once in the actor; may take long.
            processors: that it reserves.
            accelerators: GPUs that it reserves.
        """
        self._warm_up = warm_up
        self._load: Load = lambda: None
        self._reserved = {"num_cpus": processors, "num_gpus": accelerators}
        self._start()

    def share(self, load: Load) -> None:
        """Give tasks what `load` gives."""
        self._load = load

    def ready(self) -> bool:
        """Whether it has begun, or failed to."""
        return self._began.done()

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        """Begin; an actor that dies, or whose machine does, answers with a `BrokenExecutor`."""
        answer = Future[Answer]()
        # it answers in this order: who is dead already does not begin
        self._began = began = self._actor.began.remote().future()
        found = self._actor.carry_out.remote(self._load, call).future()
        found.add_done_callback(lambda done: _pass_on(began, done, answer))
        return answer

    def restart(self) -> None:
        """Start another one, wherever there is room."""
        self.close()
        self._start()

    def close(self) -> None:
        """End it, whatever it is making."""
        import ray

        ray.kill(self._actor)

    def _start(self) -> None:
        import ray

        kind = ray.remote(max_restarts=0, **self._reserved)(_Carrier)
        self._actor = kind.remote(self._warm_up)
        self._began = self._actor.began.remote().future()


class _Carrier:
    """What runs in the actor."""

    def __init__(self, warm_up: Callable[[], None]) -> None:
        warm_up()

    def began(self) -> None:
        """Answer, which it does when it has begun."""

    def carry_out(self, load: Load, call: Callable[[Any], Any]) -> Answer:
        return carry_out(load, call)


def _pass_on(began: "Future[None]", done: "Future[Answer]", answer: "Future[Answer]") -> None:
    """The result, or what was raised, in the words of `concurrent.futures`."""
    from ray.exceptions import RayError, RayTaskError

    error = done.exception()
    if isinstance(error, RayTaskError):
        error = error.cause
    if error is None:
        answer.set_result(done.result())
    elif getattr(error, "actor_init_failed", False):
        answer.set_exception(_not_begun(error))
    elif isinstance(error, RayError):
        # with its machine went the worker, its answer or what it was to read
        begun = began.done() and began.exception() is None
        answer.set_exception((BrokenExecutor if begun else IdleDeathError)(str(error)))
    else:
        answer.set_exception(error)


def _not_begun(error: BaseException) -> WorkerError:
    """What was raised while a worker loaded, without Ray's traceback of it."""
    why = str(error).strip().rsplit("\n", maxsplit=1)[-1]
    return WorkerError(
        f"A worker could not begin on its machine: {brief(why, _BRIEF)}. Every machine of the "
        "cluster must have the same versions of Python, Ray and tl_keras as this one."
    )
