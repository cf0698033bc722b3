"""Tasks made in this process, one after the other."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tl_keras.engine.tasks import Answer, Load


class Here:
    """A worker that is this process."""

    def share(self, load: Load) -> None:
        """Give tasks what `load` gives."""
        self._load = load

    def ready(self) -> bool:
        """Always."""
        return True

    def submit(self, call: Callable[[Any], Any]) -> Future[Answer]:
        """Make it now; what it raises is raised."""
        future = Future[Answer]()
        future.set_result(Answer(call(self._load())))
        return future

    def restart(self) -> None:
        """Nothing: it dies with this process."""

    def close(self) -> None:
        """Nothing is under way."""
