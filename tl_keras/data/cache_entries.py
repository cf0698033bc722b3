"""The cache folder on disk: an entry per kind of row, and its rows in segments.

    <folder>/<key>/entry.json      what the rows are
    <folder>/<key>/<name>.rows     a segment: nothing but records of an image's digest, its row and
                                   the checksum of both

A segment gets its name when it is complete, and is never changed: a killed writer leaves nothing
that looks finished, and processes that write at once write different segments. A row that two of
them computed is in both, which costs room and does no harm. What happens to a file later, the
checksums tell. The layout is one of the facts that the key comes from, so that no version of the
package reads what another one laid out differently.
"""

import hashlib
import json
import math
import os
import shutil
import stat
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import platformdirs

from tl_keras.atomic_files import replacing, write_json
from tl_keras.digests import known_json

DIGEST_BYTES = 16
_FACTS, _SEGMENTS = "entry.json", "*.rows"
_LAYOUT = 2


def record_type(shape: Sequence[int]) -> np.dtype[Any]:
    """Records of `image`, a digest, `row`, float32 of this shape, and `check`, their checksum."""
    fields = ("image", f"V{DIGEST_BYTES}"), ("row", "<f4", tuple(shape)), ("check", "<u4")
    return np.dtype(list(fields))


def checksums(records: np.ndarray) -> np.ndarray:
    """What `check` of each record must be, uint32 (n,): CRC-32, some 3 GB/s."""
    covered = records.dtype.itemsize - records.dtype["check"].itemsize
    # no map of a file: taking a part of one is slow
    content = np.asarray(np.ascontiguousarray(records)).view(np.uint8).reshape(len(records), -1)
    return np.array([zlib.crc32(record[:covered].data) for record in content], np.uint32)


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
        text = json.dumps({**facts, "layout": _LAYOUT}, sort_keys=True)
        return cls(folder / hashlib.sha256(text.encode()).hexdigest()[:16])

    @property
    def key(self) -> str:
        return self.path.name

    def use(self, facts: Mapping[str, Any]) -> None:
        """Make its folder if there is none, write down what the rows are, and note the time.

        Raises:
            OSError: the folder cannot be written.
        """
        record = self.path / _FACTS
        written = json.loads(json.dumps(facts))
        # whoever made it stays its maker
        if {**self.facts(), "made_by": None} != {**written, "made_by": None}:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(record, facts)
        os.utime(record)

    def segments(self) -> list[Path]:
        """The files of rows that are complete."""
        return sorted(self.path.glob(_SEGMENTS))

    def write(self, records: np.ndarray) -> Path:
        """Add a segment of records (see `record_type`), whose checksums are set.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        path = self.path / f"{uuid4().hex}.rows"
        records["check"] = checksums(records)
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            file.write(records.data)
        return path

    def remove(self) -> bool:
        """Delete it, by whatever process; whether nothing of it is left."""
        if self.path.is_symlink():
            self.path.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        return not os.path.lexists(self.path)

    def facts(self) -> dict[str, Any]:
        """What the rows are; empty where that was not written, or is damaged."""
        return known_json(self.path / _FACTS)

    def images(self) -> int | None:
        """Rows in all segments; None where it is not known what a row is, or was laid out so."""
        shape = self.facts().get("row_shape")
        if not isinstance(shape, list) or not all(type(side) is int for side in shape):
            return None
        record = DIGEST_BYTES + 4 * math.prod(shape) + 4
        return sum(_size(path) // record for path in self.segments()) if record > 0 else None

    def megabytes(self) -> float:
        return sum(map(_size, self.path.glob("*"))) / 1e6

    def last_used(self) -> float:
        """Seconds since 1970; 0 where it was removed meanwhile."""
        for path in (self.path / _FACTS, self.path):
            try:
                return path.stat().st_mtime
            except OSError:
                pass
        return 0.0


def default_folder() -> Path | None:
    """Where the features of all experiments are kept unless they say otherwise.

    None where the user has no home, as in some containers.
    """
    try:
        folder = platformdirs.user_cache_path("tl_keras", appauthor=False) / "features"
    except (RuntimeError, KeyError):
        return None
    # an unknown home is left as "~"
    return folder if folder.is_absolute() else None


def entries(folder: Path) -> list[CacheEntry]:
    """Every entry in a cache folder, the one that was used last at the end.

    Raises:
        OSError: the folder cannot be read.
    """
    if not os.path.isdir(folder):  # noqa: PTH112
        return []
    found = [CacheEntry(path) for path in folder.iterdir() if _is_entry(path)]
    return sorted(found, key=CacheEntry.last_used)


def read(segment: Path, shape: Sequence[int]) -> np.ndarray:
    """The records of a segment of rows of this shape, mapped; their checksums are not looked at.

    Raises:
        OSError: the file cannot be read, or is none.
        ValueError: it is no whole number of records.
    """
    kind, size = record_type(shape), segment.stat()
    # opening a pipe would wait for ever
    if not stat.S_ISREG(size.st_mode):
        raise OSError("not a file")
    count, rest = divmod(size.st_size, kind.itemsize)
    if rest or not count:
        raise ValueError(f"{size.st_size} bytes are no whole number of rows")
    return np.memmap(segment, kind, "r", shape=(count,))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # removed meanwhile


def _is_entry(path: Path) -> bool:
    name = path.name
    return len(name) == 16 and not set(name) - set("0123456789abcdef") and path.is_dir()
