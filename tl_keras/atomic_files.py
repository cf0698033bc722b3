"""Files that are there whole or not at all, for every reader and after every kill."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_keras.csv_tables import csv_text

if TYPE_CHECKING:
    import pandas as pd

# How a folder beside what is written begins; later writers remove what killed ones left.
UNFINISHED = ".tl_keras-unfinished-"
_ABANDONED_SECONDS = 24 * 3600


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
        OSError: it cannot be written; what was there stays.
    """
    with scratch_folder(path.parent) as scratch:
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
    _remove_abandoned(directory)
    with tempfile.TemporaryDirectory(
        prefix=UNFINISHED, dir=directory, ignore_cleanup_errors=True
    ) as scratch:
        yield Path(scratch)


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


def _remove_abandoned(directory: Path) -> None:
    for folder in directory.glob(f"{UNFINISHED}*"):
        try:
            if time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            pass  # its writer has just finished
