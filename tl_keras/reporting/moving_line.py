"""What is done at the moment, and how far: a line that moves, or plain ones now and then."""

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tl_keras.progress import heard_by
from tl_keras.reporting.safe_console import SafeConsole
from tl_keras.safe_text import one_line, visible

# Where no line can move: after so many seconds without a word one is said, then less often, so that
# a log file stays short.
FIRST_SECONDS, NEXT_SECONDS = 10.0, 30.0
LOOK_SECONDS = 0.5
THREAD = "what is done, now and then"


class _TwoLines(Progress):
    """What is done stands above its bar: beside it, there would be room for neither."""

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            yield Text(task.description, no_wrap=True, overflow="ellipsis")
        yield self.make_tasks_table(self.tasks)


class MovingLine:
    """Shows what is done in a terminal, a log file or a pipe; use it as a context."""

    def __init__(self, console: SafeConsole, *, takes_prints: bool = True) -> None:
        """Begin with nothing.

        Args:
            console: to show it on.
            takes_prints: whether what others print in a terminal goes out above the line.
        """
        self._console, self._inside = console, ExitStack()
        self._moves = console.is_interactive
        self._stage, self._what, self._far = "Starting", "", ""
        self._began, self._ended = time.monotonic(), threading.Event()
        self._bar = _TwoLines(
            BarColumn(),
            TextColumn("{task.fields[made]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            transient=True,
            redirect_stdout=takes_prints,
            redirect_stderr=takes_prints,
            speed_estimate_period=3600,
        )
        self._task = self._bar.add_task(self._stage, total=None, made="")

    def __enter__(self) -> "MovingLine":
        self._inside.enter_context(heard_by(self))
        if self._moves:
            self._inside.enter_context(self._bar)
        else:
            thread = threading.Thread(target=self._remind, name=THREAD, daemon=True)
            # where threads are used up, a log file does without
            with suppress(RuntimeError):
                thread.start()
                self._inside.callback(thread.join)
                self._inside.callback(self._ended.set)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside.close()

    def stage(self, text: str, said: bool = True) -> None:
        """Something begins.

        Args:
            text: what.
            said: whether a log file has a line of it at once.
        """
        if said and not self._moves:
            self._console.print(f"{visible(text)} ...", soft_wrap=True)
        self._stage = text
        self.making("")

    def making(self, what: str) -> None:
        """Something of several within the stage begins; nothing, where it is empty."""
        self._what, self._began = what, time.monotonic()
        self.far("")

    def far(self, text: str) -> None:
        """It has come so far."""
        self._far = text
        self.show(description=one_line(self._text))

    def show(self, **fields: Any) -> None:
        """Change what the bar shows, as `rich.progress.Progress.update`."""
        self._bar.update(self._task, **fields)

    def advance(self, amount: float) -> None:
        """Of the bar's total, so much more is done."""
        self._bar.advance(self._task, amount)

    @property
    def _text(self) -> str:
        what = f"{self._stage}: {self._what}" if self._what else self._stage
        return f"{what}, {self._far}" if self._far else what

    def _remind(self) -> None:
        """Say what is done whenever nothing was said for long, until the end."""
        reminded = 0.0
        # a reader who has enough is noticed where the work is done
        with suppress(OSError, ValueError):
            while not self._ended.wait(LOOK_SECONDS):
                wait = NEXT_SECONDS if self._console.said == reminded else FIRST_SECONDS
                if time.monotonic() >= self._console.said + wait:
                    minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
                    text = f"  {visible(self._text)} ({minutes}:{seconds:02d})"
                    self._console.print(text, soft_wrap=True)
                    reminded = self._console.said
