"""Processes that this one starts: all of them, or a sentence and none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from multiprocessing.process import BaseProcess

from tl_keras.errors import WorkerError
from tl_keras.safe_text import brief

# Threads that an executor of processes starts here; nobody would hear that one of them failed.
_THREADS = 2
# For a process that has only begun to end.
_END_SECONDS = 10.0
# Letters of what the system has to say.
_BRIEF = 200


@contextmanager
def starting(remedy: str) -> Iterator[set[BaseProcess]]:
    """A block that starts processes; where it fails none of them is left, to be waited for.

    Args:
        remedy: what else can be done than to raise a limit, as sentences.

    Yields:
        A set that holds them after the block, but for those that are dead by then.

    Raises:
        WorkerError: the system gives no memory, thread or process for one.
    """
    before = set(active_children())
    started: set[BaseProcess] = set()
    try:
        _try_threads()
        yield started
    except (OSError, RuntimeError, MemoryError) as error:
        _end(set(active_children()) - before)
        why = brief(str(error) or type(error).__name__, _BRIEF)
        raise WorkerError(
            f"A worker process could not be started ({why}): memory, threads or processes are "
            "limited here, as by ulimit -v, ulimit -u or a container. Raise the limit, or end "
            f"other programs. {remedy}"
        ) from error
    started.update(set(active_children()) - before)


def _try_threads() -> None:
    """Start as many threads as will be needed, and let them end.

    Raises:
        RuntimeError: there cannot be as many.
    """
    enough = threading.Event()
    try:
        for _ in range(_THREADS):
            threading.Thread(target=enough.wait, daemon=True).start()
    finally:
        enough.set()


def _end(processes: set[BaseProcess]) -> None:
    for process in processes:
        with suppress(OSError):
            process.terminate()
    for process in processes:
        process.join(_END_SECONDS)
