"""What a block does to the whole process, done once however many threads are inside."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager


class SharedBlock:
    """A context manager that the first thread enters and the last one leaves.

    Each for itself, the last to leave could put back what another one had set.
    """

    def __init__(self, block: Callable[[], AbstractContextManager[object]]) -> None:
        self._block, self._inside, self._lock = block, 0, threading.Lock()
        self._open = block()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._open = self._block()
                self._open.__enter__()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._open.__exit__(None, None, None)
