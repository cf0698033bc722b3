"""One process at a time in the folder of an experiment.

<results_dir>/.<experiment>.lock     who is at work there; it is locked only while somebody is

It lies beside the folder, which `--fresh` moves; or in it, as `.lock`, where nothing can be written
beside it. The lock ends with its process, however that ends.
Who only reads needs none.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path

from tl_keras.errors import ResultsError
from tl_keras.file_locks import hold, release
from tl_keras.invocation import fresh, settings
from tl_keras.path_kinds import in_the_way, kind_of

# In a folder that nothing can be written beside.
LOCK = ".lock"
# Of this thread of work, so that a command and what it calls are one.
_HELD: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


@contextmanager
def alone_in(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes out of an experiment's folder; they are told who is there.

    Args:
        folder: of the experiment; it need not be there.
        warn: is told where the file system has no locks.

    Raises:
        ResultsError: another process works there, or the folder cannot be written.
    """
    place = Path(os.path.realpath(folder))
    if place in _HELD.get():
        yield
        return
    with in_a_sentence(folder):
        made = _made_folders(place.parent)
        lock = _lock_of(place)
        holder = _holder(folder, lock, warn)
    before = _HELD.set(_HELD.get() | {place})
    try:
        yield
    finally:
        _HELD.reset(before)
        if holder is not None:
            # while it is held: whoever waits for it looks whether it is still there
            with suppress(OSError):
                lock.unlink()
        release(holder)
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def at_work(folder: Path) -> str | None:
    """Which process works in an experiment's folder, in words; None where none does.

    Args:
        folder: of the experiment; it need not be there yet.
    """
    place = Path(os.path.realpath(folder))
    lock = _lock_of(place)
    if place in _HELD.get():
        return None
    try:
        release(hold(lock))
    except BlockingIOError:
        return _who(lock)
    # nobody made a lock, or it cannot be told
    except OSError:
        return None
    return None


@contextmanager
def in_a_sentence(folder: Path) -> Iterator[None]:
    """Say what is wrong with an experiment's folder, and what to do.

    Raises:
        ResultsError: the block raised an OSError or ValueError.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        wrong = in_the_way(folder)
        got = error if wrong is None else f"{wrong} is {kind_of(wrong)}"
        mend = f"Make it writable, or choose another place: {settings({'results_dir': 'FOLDER'})}"
        if wrong == folder:
            mend = f"Choose another results_dir or name, or use {fresh()} to move it aside."
        elif wrong is not None:
            mend = "Move it away, or choose another results_dir."
        raise ResultsError(
            f"{folder} must be a folder that can be written, new or with results of this package; "
            f"got: {got}. {mend}"
        ) from error


def _lock_of(place: Path) -> Path:
    beside, inside = place.with_name(f".{place.name}.lock"), place / LOCK
    return beside if os.access(place.parent, os.W_OK) or not place.is_dir() else inside


def _made_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; those that were not there, the deepest first."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _holder(folder: Path, lock: Path, warn: Callable[[str], None]) -> int | None:
    while True:
        try:
            holder = hold(lock, create=True)
        except BlockingIOError as error:
            raise ResultsError(
                f"{folder} must be written by one process at a time; {_who(lock)} is at work "
                "there. Wait until it has ended, stop it, or choose another folder or name."
            ) from error
        if holder is None:
            warn(
                f"{lock.parent} cannot lock files, so that two processes of one experiment would "
                "not notice each other: start only one."
            )
            return None
        if _is_at(holder, lock):
            break
        # its last holder removed it between our two steps
        release(holder)
    # a full disk keeps nobody from working
    with suppress(OSError):
        os.truncate(holder, 0)
        os.write(holder, _myself().encode())
    return holder


def _is_at(holder: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(holder), path.stat())
    except FileNotFoundError:
        return False


def _myself() -> str:
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})


def _who(lock: Path) -> str:
    try:
        facts = json.loads(lock.read_text())
        return f"process {facts['pid']} of {facts['host']}, since {facts['since']},"
    # it has just begun, or could not write
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
