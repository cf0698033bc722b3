"""A block of the process that several threads are in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tl_keras.shared_block import SharedBlock


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def shared(done: list[str]) -> SharedBlock:
    @contextmanager
    def block() -> Iterator[None]:
        done.append("in")
        yield
        done.append("out")

    return SharedBlock(block)


def test_the_first_enters_and_the_last_leaves(shared: SharedBlock, done: list[str]) -> None:
    def other() -> None:
        with shared:
            inside.set()
            leave.wait(60)

    inside, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    with shared:
        thread.start()
        assert inside.wait(60)
    assert done == ["in"], "the other one is still inside"
    leave.set()
    thread.join()
    assert done == ["in", "out"]


def test_it_can_be_entered_again_and_within_itself(shared: SharedBlock, done: list[str]) -> None:
    with shared, shared:
        pass
    with shared:
        pass
    assert done == ["in", "out", "in", "out"]


def test_an_error_inside_leaves_it(shared: SharedBlock, done: list[str]) -> None:
    with pytest.raises(ZeroDivisionError), shared:
        1 / 0  # noqa: B018
    assert done == ["in", "out"]


def test_a_block_that_cannot_be_entered_is_not_counted() -> None:
    tries = iter((True, False))

    @contextmanager
    def block() -> Iterator[None]:
        if next(tries):
            raise OSError
        yield

    shared = SharedBlock(block)
    with pytest.raises(OSError), shared:
        pass
    with shared:
        pass
