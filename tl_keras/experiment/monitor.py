"""Who hears how an experiment goes on."""

import warnings
from typing import Protocol

from tl_keras.engine.tasks import Note
from tl_keras.results.runs_table import FinishedRun
from tl_keras.transfer.advice import Advice
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.trials import Trial


class Monitor(Protocol):
    """Hears how an experiment goes on."""

    def stage(self, text: str) -> None:
        """Something starts that is not a run."""

    def warn(self, text: str) -> None:
        """Something that the user should know about the images or the weights."""

    def advise(self, advice: Advice) -> None:
        """What to borrow, before anything is trained."""

    def plan(self, runs: tuple[Run, ...], finished: int, seconds: float) -> None:
        """What there is to do.

        Args:
            runs: all there are.
            finished: how many of them a former start has finished.
            seconds: about how long all the rest takes, the export included, if one thing is done
                after the other.
        """

    def progress(self, seconds: float) -> None:
        """Something is done that was planned to take so long."""

    def trial(self, trial: Trial) -> None:
        """A trial of the search is finished."""

    def run(self, run: Run, finished: FinishedRun) -> None:
        """A run is finished."""


class Silent:
    """A monitor that ignores everything."""

    def stage(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def advise(self, advice: Advice) -> None: ...
    def plan(self, runs: tuple[Run, ...], finished: int, seconds: float) -> None: ...
    def progress(self, seconds: float) -> None: ...
    def trial(self, trial: Trial) -> None: ...
    def run(self, run: Run, finished: FinishedRun) -> None: ...


class Warned(Silent):
    """Keeps what it is warned of, in `warnings`."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Keep it."""
        self.warnings.append(text)


class Notes(Silent):
    """Of a worker process: what it is warned of goes back with the task."""

    def warn(self, text: str) -> None:
        """Note it."""
        warnings.warn(text, Note, stacklevel=2)
