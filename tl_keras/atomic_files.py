"""Files that are there whole or not at all, for every reader and after every kill."""

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_keras.csv_tables import csv_text
from tl_keras.file_locks import hold, release

if TYPE_CHECKING:
    import pandas as pd

# How a folder beside what is written begins; later writers remove what killed ones left.
UNFINISHED = ".tl_keras-unfinished-"
# Where no lock tells whether their writer lives.
_ABANDONED_SECONDS = 24 * 3600
# What libraries say in errors of their own, without its number.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def write_json(path: Path, content: Any) -> None:
    """Write JSON types, indented.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    if path.exists() and not path.is_file():
        # such as /dev/stdout, which nothing may take the place of
        path.write_bytes(content)
        return
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table of raw numbers, without its index; text that is a formula is guarded.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    write_text(path, csv_text(table))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to the path given; it takes the place of `path` unless the block raises.

    Yields:
        A path of the same name, which nobody else uses. It may become a file, which replaces one
        that is there, or a folder, where there is none yet.

    Raises:
        OSError: it cannot be written, with `path` as its file name; what was there stays.
    """
    with named(path), _scratch(path.parent) as scratch:
        unfinished = scratch / path.name
        yield unfinished
        unfinished.replace(path)


@contextmanager
def scratch_folder(directory: Path) -> Iterator[Path]:
    """An empty folder in `directory`, from where finished files are moved beside it.

    What is written into it gets the usual permissions, unlike a temporary file itself.

    Raises:
        OSError: `directory` is missing or cannot be written.
    """
    with named(directory), _scratch(directory) as scratch:
        yield scratch


def reserve(path: Path) -> None:
    """Take all the room that a file of holes will need.

    It is written through memory, where a full disk could not be told but would end the process.

    Raises:
        OSError: there is not as much.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with named(path), path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def check_writable(folder: Path) -> None:
    """Nothing, if files can be made in a folder, or where it is absent the folder itself.

    It is tried, because permissions do not tell of every disk, and leaves nothing.

    Raises:
        OSError: they cannot.
    """
    # a link to nowhere is there as well, and in the way
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    with scratch_folder(there):
        pass


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an error of writing name the file that was meant, whatever the library knows of it.

    Raises:
        OSError: the block raised one, with `path` as its file name where it had none.
    """
    try:
        yield
    except Exception as error:
        number = _no_room(error) or (error.errno if isinstance(error, OSError) else None)
        if number is None or _knows_its_file(error):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _no_room(error: Exception) -> int | None:
    """The number of an error that says that nothing more can be written; None of others."""
    return next((number for number in _NO_ROOM if os.strerror(number) in str(error)), None)


def _knows_its_file(error: Exception) -> bool:
    name = getattr(error, "filename", None)
    return name is not None and UNFINISHED not in str(name)


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    _remove_abandoned(directory)
    scratch, holder = _held_folder(directory)
    try:
        with scratch as name:
            yield Path(name)
    finally:
        release(holder)


def _held_folder(directory: Path) -> tuple[tempfile.TemporaryDirectory[str], int | None]:
    """A new folder, held by this process so that others see that its writer lives."""
    while True:
        scratch = tempfile.TemporaryDirectory(
            prefix=UNFINISHED, dir=directory, ignore_cleanup_errors=True
        )
        with suppress(FileNotFoundError, BlockingIOError):
            # gone, or going, where another process took it for a dead one's just now
            return scratch, _held(Path(scratch.name))
        scratch.cleanup()


def _held(folder: Path) -> int | None:
    """Hold a folder; None where the file system cannot.

    Raises:
        BlockingIOError: another process holds it.
        FileNotFoundError: it is gone.
    """
    holder = hold(folder)
    if not folder.exists():
        release(holder)
        raise FileNotFoundError(folder)
    return holder


def _remove_abandoned(directory: Path) -> None:
    """Remove the folders of writers that are no more."""
    for folder in directory.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            holder = _held(folder)
            old = time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
            if holder is not None or old:
                shutil.rmtree(folder, ignore_errors=True)
            release(holder)
