"""How far what takes long has come: told where it is done, heard by whoever shows it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Listener(Protocol):
    """Shows what is told; within a stage whose name it knows."""

    def making(self, what: str) -> None:
        """Something of several begins, such as a run."""

    def far(self, text: str) -> None:
        """It has come so far, such as "20 of 300 photos"."""


# Not handed through: what takes long lies below everything that shows anything.
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let somebody hear what the block tells in this thread; else nobody does."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def making(what: str) -> None:
    """Tell what begins."""
    if (listener := _LISTENER.get()) is not None:
        listener.making(what)


def far(text: str) -> None:
    """Tell how far it has come, in words."""
    if (listener := _LISTENER.get()) is not None:
        listener.far(text)


def far_of(done: int, total: int, unit: str) -> None:
    """Tell how far it has come, as a number of so many."""
    far(f"{done:,} of {total:,} {unit}")


def counted(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """The items; whenever the next one is asked for, it is told how many are done, until all are.

    Args:
        items: to go through.
        total: how many they are.
        unit: what they are, such as "photos".
    """
    for done, item in enumerate(items, 1):
        yield item
        far_of(done, total, unit)
    far("")
