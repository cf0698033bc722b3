"""One attempt to make the package fail, and how a command must end."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.experiments import started

# Of any command with a tiny experiment, on a busy machine.
PATIENCE_SECONDS = 300
# A message that tells more than this tells nothing.
MOST_BYTES = 100_000
KILOBYTES_PER_MEGABYTE = 1024
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Attempt:
    """What was tried.

    Attributes:
        case: in words, so that it can be tried again.
        problem: what the package did wrong; None where it did well.
        figures: what was measured, units in the names; the largest of each is kept.
    """

    case: str
    problem: str | None
    figures: Mapping[str, float] = field(default_factory=dict)


# From how many, the seed and an empty folder.
Part = Callable[[int, int, Path], Iterator[Attempt]]


class CannotBeTriedError(Exception):
    """This machine does not allow it; the text says what it lacks."""


@dataclass(frozen=True)
class Ended:
    """A process that is over.

    Attributes:
        code: its exit code, minus the signal where one ended it; None where it had to be killed
            because it did not end.
        output: of both its streams.
        peak_megabytes: the largest memory that it had.
    """

    code: int | None
    output: str
    peak_megabytes: float = 0.0

    def problem(self, allowed: Collection[int]) -> str | None:
        """What is wrong with such an end, where these exit codes are right; None if nothing is."""
        if self.code is None:
            return f"did not end within {PATIENCE_SECONDS} s"
        if "Traceback" in self.output:
            return f"a traceback: {last_words(self.output)}"
        if self.code not in allowed:
            return f"exit code {self.code}: {last_words(self.output)}"
        if len(self.output) > MOST_BYTES:
            return f"{len(self.output)} bytes of output"
        return None


def last_words(output: str) -> str:
    """The end of an output, in one line."""
    return " ".join(output.split())[-300:]


class Process:
    """A command that runs beside this one, and can be killed."""

    def __init__(self, command: list[str]) -> None:
        """Start it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self.began = time.time()
        self._process = started(command, self._log)
        self.pid = self._process.pid
        self._peak_megabytes = 0.0

    def runs(self) -> bool:
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self._peak_megabytes = usage.ru_maxrss / KILOBYTES_PER_MEGABYTE
        return self._process.returncode is None

    def said(self, pattern: str) -> str:
        """Wait until it has printed something; the first group of its match.

        Raises:
            RuntimeError: it ended before, or took too long.
        """
        while self.runs() and time.time() < self.began + PATIENCE_SECONDS:
            if found := re.search(pattern, self._output()):
                return str(found[1])
            time.sleep(_POLL_SECONDS)
        raise RuntimeError(f"it did not say what it should: {last_words(self._output())}")

    def has_spoken(self) -> bool:
        return bool(self._output())

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        if self.runs():
            self._process.send_signal(signal.SIGINT)

    def ended(self) -> Ended:
        """Wait for its end, and for no longer than it may take."""
        moment = time.time() + PATIENCE_SECONDS
        try:
            while self.runs() and time.time() < moment:
                time.sleep(_POLL_SECONDS)
        except BaseException:
            # whoever stops the harness does not want to find it at work later
            self._process.kill()
            raise
        in_time = not self.runs()
        if not in_time:
            self._process.kill()
            self._process.wait()
        output = self._output()
        self._log.close()
        code = self._process.returncode if in_time else None
        return Ended(code, output, self._peak_megabytes)

    def _output(self) -> str:
        # the place to write at is the process's own as well: it must not be moved
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")


def ended(command: list[str]) -> Ended:
    """Run a command to its end."""
    return Process(command).ended()
