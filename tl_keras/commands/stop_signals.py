"""The signals that end a command as Ctrl-C does: what is finished is kept."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What Ctrl-C, `kill` or a job's time limit, and a closed terminal send; Windows lacks some.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# Until a stop that Python could not pass on is tried again.
_RETRY_SECONDS = 0.05


class Stopped(KeyboardInterrupt):
    """A signal asked the process to end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(stop: KeyboardInterrupt) -> int:
    """As a shell gives it: 128 and the number of the signal."""
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)


@contextmanager
def stopping() -> Iterator[None]:
    """Let signals raise `Stopped`, in the block; the second one ends the process at once.

    Code in other languages may make another error of it on its way, which is a stop all the same.

    Those that the caller has the process ignore, as `nohup` does, stay ignored. Outside of the main
    thread nothing changes, because Python handles signals nowhere else.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    present = {
        found: signal.getsignal(found)
        for name in _NAMES
        if (found := getattr(signal, name, None)) is not None
    }
    caught = {number: old for number, old in present.items() if old is not signal.SIG_IGN}
    hook, came = sys.unraisablehook, list[int]()

    def listen() -> None:
        for number in caught:
            signal.signal(number, stop)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_DFL)
        came.append(number)
        raise Stopped(number)

    def again(unraisable: Any) -> None:
        """A stop that came in a destructor is lost: send it once more, after that."""
        if not isinstance(unraisable.exc_value, Stopped):
            hook(unraisable)
            return
        listen()
        # to the whole process, so that it wakes the main thread
        arguments = (os.getpid(), unraisable.exc_value.number)
        threading.Timer(_RETRY_SECONDS, os.kill, arguments).start()

    sys.unraisablehook = again
    listen()
    try:
        yield
    except Exception as error:
        if came:
            raise Stopped(came[0]) from error
        raise
    finally:
        sys.unraisablehook = hook
        for number, old in caught.items():
            # None is a handler that was not set from Python
            signal.signal(number, signal.SIG_DFL if old is None else old)
