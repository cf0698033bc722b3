"""Tasks made in a process of its own, which stays alive between them."""

import os
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import resource_tracker
from typing import Any

# Processes that it starts need no guard in the script of the user, as those of Python do. Its own
# executor would replace a worker that takes more memory than at first, as one does that has traced.
from joblib.externals.loky.backend import get_context
from joblib.externals.loky.backend import resource_tracker as loky_tracker

from tl_keras.child_processes import starting
from tl_keras.engine.carrying_out import carry_out
from tl_keras.engine.tasks import Answer, Load
from tl_keras.invocation import settings
from tl_keras.quiet import no_standard_error

# How long to wait for what belongs to a process that was ended.
_PATIENCE_SECONDS = 5.0
# How often a process looks whether the one that started it is still there.
_WATCH_SECONDS = 1.0


class WorkerProcess:
    """A process for one task at a time: if it dies, it is known which task it was making."""

    def __init__(
        self,
        warm_up: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
        scratch: str | None = None,
    ) -> None:
        """Start it.

        Args:
            warm_up: called in the process at once; may take long.
            environment: variables that it has besides those of this process, before it loads
                anything else.
            scratch: a folder that it removes where the process that started it was killed, and
                could not.

        Raises:
            WorkerError: it cannot be started.
        """
        self._warm_up = warm_up or _nothing
        self._begins = os.getpid(), dict(environment or {}), scratch
        self._load: Load = _nothing
        self._start()

    def share(self, load: Load) -> None:
        """Give tasks what `load` gives."""
        self._load = load

    def ready(self) -> bool:
        """Always: what is begun sooner waits in its queue."""
        return True

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        """Begin; a process that dies answers with a `BrokenExecutor`."""
        future: Future[Answer] = self._executor.submit(carry_out, self._load, call)
        return future

    def restart(self) -> None:
        """Start another process in its place.

        Raises:
            WorkerError: none can be started.
        """
        self.close()
        self._start()

    def close(self) -> None:
        """End it, whatever it is making."""
        for process in self._started:
            process.terminate()
        with suppress(OSError, RuntimeError):
            _see_to_the_trackers()
        # Waiting without end could be for ever. Without any, Python may complain where it ends
        # meanwhile: it wakes the executor's thread by a pipe that this thread is about to close.
        ending = threading.Thread(target=_end, args=(self._executor,), daemon=True)
        try:
            ending.start()
            ending.join(_PATIENCE_SECONDS)
        except RuntimeError:  # no thread can be started
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        with starting(_remedy()) as self._started:
            _see_to_the_trackers()
            self._executor = ProcessPoolExecutor(1, get_context("loky"), _begin, self._begins)
            self._executor.submit(self._warm_up)


def _end(executor: ProcessPoolExecutor) -> None:
    try:
        executor.shutdown(cancel_futures=True)
    except RuntimeError:  # its thread could not be started
        executor.shutdown(wait=False)


def _see_to_the_trackers() -> None:
    """Let the processes that Python and loky have for their semaphores be there, and say nothing.

    One that comes in the place of another that was killed would report, with a traceback each, the
    semaphores of which it does not know.
    """
    with warnings.catch_warnings(action="ignore"), no_standard_error():
        if os.name == "posix":
            resource_tracker.ensure_running()
        loky_tracker.ensure_running()


def _begin(parent: int, environment: Mapping[str, str], scratch: str | None) -> None:
    """Leave Ctrl-C to the process that started this one, and end with it; say nothing of itself."""
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", **environment})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = partial(_end_with, parent, scratch)
    threading.Thread(target=watch, daemon=True).start()


def _end_with(parent: int, scratch: str | None) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    # whatever is being made is nobody's any more
    os.kill(os.getpid(), signal.SIGTERM)


def _nothing() -> None:
    """Nothing to load."""


def _remedy() -> str:
    return (
        f"One run at a time, in one process, needs the least: {settings({'engine.workers': 1})}. "
        "What is finished is kept: it goes on when it is started again."
    )
