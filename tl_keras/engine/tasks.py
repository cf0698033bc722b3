"""What is to be made, and who makes it, without saying where."""

from collections.abc import Callable, Hashable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from typing import Any, Protocol

# Gives what tasks share: called in every worker, so it can be pickled and is equal to its copies.
Load = Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Task:
    """A run, or one training of a search.

    Attributes:
        name: for people.
        call: given what the tasks share, makes it; it and what it returns can be pickled.
        done: given that, in the process and thread that submitted the task.
        seconds: about how long it takes.
        kind: tasks of one kind are quicker where one of them was made before.
        key: tasks of one key are the same computation, which its worker remembers; None is like no
            other.
    """

    name: str
    call: Callable[[Any], Any]
    done: Callable[[Any], None]
    seconds: float = 0.0
    kind: Hashable = None
    key: Hashable = None


class Note(UserWarning):
    """Something that the user should know, warned of inside a task."""


@dataclass(frozen=True)
class Answer:
    """What a task came to.

    Attributes:
        result: what its call returned.
        notes: texts of its `Note`s.
    """

    result: Any
    notes: tuple[str, ...] = ()


class IdleDeathError(BrokenExecutor):
    """A worker was dead before it began with a task."""


class Worker(Protocol):
    """Makes one task at a time."""

    def share(self, load: Load) -> None:
        """Give tasks what `load` gives, which is asked once."""

    def ready(self) -> bool:
        """Whether it can begin with one now."""

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        """Begin; a worker that dies answers with a `BrokenExecutor`.

        Raises:
            BrokenExecutor: it is dead.
        """

    def restart(self) -> None:
        """Begin anew after a death."""

    def close(self) -> None:
        """Stop at once, whatever it is making."""
