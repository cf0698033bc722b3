"""What worker processes load and make in the tests: they import it by its name."""

import os
import signal
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from tl_keras.engine.tasks import Note


@dataclass(frozen=True)
class Load:
    """Something shared that says how often it was loaded in a process."""

    folder: str

    def __call__(self) -> list[int]:
        mark = Path(self.folder) / f"{os.getpid()}-{time.monotonic_ns()}"
        mark.touch()
        return [os.getpid()]


def own_process(shared: list[int]) -> int:
    return shared[0]


def own_gpu(shared: object) -> tuple[int, str | None]:
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def note_gpu(folder: Path) -> None:
    """What a process sees before it makes anything, and whether TensorFlow was there before."""
    loaded = "tensorflow" in sys.modules
    (folder / f"{os.getpid()}").write_text(f"{os.environ['CUDA_VISIBLE_DEVICES']} {loaded}")


def warn_of(text: str, shared: list[int]) -> None:
    warnings.warn("of no interest", DeprecationWarning, stacklevel=1)
    warnings.warn(text, Note, stacklevel=1)


def die(shared: list[int]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(shared: list[int]) -> None:
    raise ValueError("as it was raised")


def wait(mark: Path, shared: list[int]) -> None:
    mark.write_text(str(os.getpid()))
    time.sleep(60)
