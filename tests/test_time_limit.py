"""A time limit ends its block, and leaves those around it as they are."""

import signal
import threading
import time

import pytest

from tl_keras.time_limit import time_limit


class _OuterError(Exception):
    """Of the block around another."""


def wait(seconds: float) -> None:
    time.sleep(seconds)


def test_a_block_that_takes_longer_is_interrupted() -> None:
    with pytest.raises(TimeoutError), time_limit(0.02):
        wait(10)


def test_what_is_done_in_time_leaves_nothing() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(10):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is before


def test_the_block_around_goes_on_with_what_is_left() -> None:
    with time_limit(100, _OuterError):
        with time_limit(50):
            wait(0.05)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 50 < left < 99.96
    with pytest.raises(_OuterError), time_limit(0.3, _OuterError):
        with pytest.raises(TimeoutError), time_limit(0.02):
            wait(10)
        wait(10)


def test_the_shorter_one_comes_first() -> None:
    with pytest.raises(_OuterError), time_limit(0.02, _OuterError), time_limit(5):
        wait(10)


def test_the_block_around_is_late_at_once_where_nothing_is_left() -> None:
    def slow(number: int, frame: object) -> None:
        wait(0.2)
        raise TimeoutError

    with pytest.raises(_OuterError), time_limit(0.1, _OuterError):
        with pytest.raises(TimeoutError), time_limit(0.02):
            signal.signal(signal.SIGALRM, slow)
            wait(10)
        wait(10)


def test_another_thread_is_not_limited() -> None:
    done = []

    def work() -> None:
        with time_limit(0.01):
            wait(0.05)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
