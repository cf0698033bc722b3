"""The cache folder on disk: an entry per kind of row, and its rows in segments.

    <folder>/<key>/entry.json      what the rows are
    <folder>/<key>/<name>.npy      a segment: records of an image's digest and its row

A segment gets its name when it is complete, and is never changed: a killed writer leaves nothing
that looks finished, and processes that write at once write different segments. A row that two of
them computed is in both, which costs room and does no harm.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import platformdirs

from tl_keras.atomic_files import replacing, write_json

DIGEST_BYTES = 16
_FACTS, _SEGMENTS = "entry.json", "*.npy"


def record_type(shape: Sequence[int]) -> np.dtype[Any]:
    """Records of `image`, a digest, and `row`, float32 of this shape."""
    return np.dtype([("image", f"V{DIGEST_BYTES}"), ("row", "<f4", tuple(shape))])


@dataclass(frozen=True)
class CacheEntry:
    """The rows of one kind, such as one block's activations for one set of weights.

    Attributes:
        path: its folder.
    """

    path: Path

    @classmethod
    def of(cls, folder: Path, facts: Mapping[str, Any]) -> "CacheEntry":
        """The entry in `folder` for rows that these facts, JSON types, determine."""
        text = json.dumps(facts, sort_keys=True)
        return cls(folder / hashlib.sha256(text.encode()).hexdigest()[:16])

    @property
    def key(self) -> str:
        return self.path.name

    def use(self, facts: Mapping[str, Any]) -> None:
        """Make its folder if there is none, and note the time.

        Raises:
            OSError: the folder cannot be written.
        """
        record = self.path / _FACTS
        if not record.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(record, facts)
        os.utime(record)

    def segments(self) -> list[Path]:
        """The files of rows that are complete."""
        return sorted(self.path.glob(_SEGMENTS))

    def write(self, records: np.ndarray) -> Path:
        """Add a segment of records (see `record_type`).

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        path = self.path / f"{uuid4().hex}.npy"
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, records)
        return path

    def remove(self) -> None:
        """Delete it; nothing happens where another process did so."""
        shutil.rmtree(self.path, ignore_errors=True)

    def facts(self) -> dict[str, Any]:
        """What the rows are; empty where a killed process left a folder without it."""
        try:
            return dict(json.loads((self.path / _FACTS).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def images(self) -> int:
        """Rows in all segments."""
        return sum(len(records) for path in self.segments() if (records := read(path)) is not None)

    def megabytes(self) -> float:
        return sum(path.stat().st_size for path in self.path.iterdir()) / 1e6

    def last_used(self) -> float:
        """Seconds since 1970."""
        record = self.path / _FACTS
        return (record if record.exists() else self.path).stat().st_mtime


def default_folder() -> Path:
    """Where the features of all experiments are kept unless they say otherwise."""
    return platformdirs.user_cache_path("tl_keras", appauthor=False) / "features"


def entries(folder: Path) -> list[CacheEntry]:
    """Every entry in a cache folder, the one that was used last at the end."""
    if not folder.is_dir():
        return []
    found = [CacheEntry(path) for path in folder.iterdir() if _is_entry(path)]
    return sorted(found, key=CacheEntry.last_used)


def read(segment: Path) -> np.ndarray | None:
    """The records of a segment, mapped; None where the file is gone or damaged."""
    try:
        records = np.load(segment, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return records if records.dtype.names == ("image", "row") else None


def _is_entry(path: Path) -> bool:
    name = path.name
    return path.is_dir() and len(name) == 16 and not set(name) - set("0123456789abcdef")
