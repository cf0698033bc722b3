"""Blocks that are interrupted after a time, also one within another."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(seconds: float, error: type[BaseException] = TimeoutError) -> Iterator[None]:
    """Interrupt the block by a signal, which regular expressions look out for.

    Does nothing outside the main thread of a Unix process. The limit of a block around this one
    holds as well, and comes first where it is the shorter one.

    Args:
        seconds: that the block may take.
        error: raised in it then.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    known = in_main_thread and hasattr(signal, "setitimer")
    around = signal.getitimer(signal.ITIMER_REAL)[0] if known else 0.0
    if not known or 0 < around <= seconds:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise error

    before, began = signal.signal(signal.SIGALRM, interrupt), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if around:
            signal.setitimer(signal.ITIMER_REAL, max(began + around - time.monotonic(), 1e-6))
