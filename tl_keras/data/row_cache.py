"""Rows by the digest of their image: in memory within one budget, and in a folder beyond it."""

import copy
import shutil
import tempfile
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.data.cache_entries import CacheEntry, read, record_type
from tl_keras.errors import CacheError

MEMORY_BYTES = 2**30
# What is computed at a time, and what a killed process loses at most.
SEGMENT_BYTES = 2**25
# Rows are computed in batches of up to so many.
BATCH = 64

# (positions of images, where their rows go): computes them.
Compute = Callable[[np.ndarray, np.ndarray], None]


@dataclass(eq=False)
class _Segment:
    """Rows of some images: in memory, or in a file that is mapped while it is read."""

    path: Path | None
    held: np.ndarray | None

    @property
    def memory(self) -> int:
        return 0 if self.held is None else self.held.nbytes

    def records(self) -> np.ndarray:
        if self.held is not None:
            return self.held
        records = None if self.path is None else read(self.path)
        if records is None:
            raise CacheError(
                f"{self.path} is gone: the feature cache was changed while it was in use. Run the "
                "same command again"
            )
        return records


@dataclass(eq=False)
class _Entry:
    """What is known of one kind of row."""

    disk: CacheEntry
    shape: tuple[int, ...]
    segments: list[_Segment] = field(default_factory=list)
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    @property
    def memory(self) -> int:
        return sum(segment.memory for segment in self.segments)

    @property
    def rows_per_segment(self) -> int:
        batches = SEGMENT_BYTES // (record_type(self.shape).itemsize * BATCH)
        return BATCH * max(1, batches)

    def missing(self, images: np.ndarray) -> np.ndarray:
        """Positions of the images whose rows are not there, each image once."""
        _, first = np.unique(images.view(f"S{images.itemsize}"), return_index=True)
        return np.array([k for k in sorted(first) if images[k].tobytes() not in self.places], int)

    def look(self) -> None:
        """Find the segments that other processes have written, in this run or an earlier one."""
        for path in self.disk.segments():
            records = None if path in self._seen else read(path)
            if records is not None and records.dtype == record_type(self.shape):
                self.add(_Segment(path, None), records["image"])

    def forget_removed(self) -> None:
        """Let go of rows whose files were deleted, so that they are computed again."""
        gone = {
            number
            for number, segment in enumerate(self.segments)
            if segment.held is None and segment.path is not None and not segment.path.exists()
        }
        if gone:
            self.places = {k: place for k, place in self.places.items() if place[0] not in gone}

    def add(self, segment: _Segment, images: np.ndarray) -> None:
        if segment.path is not None:
            self._seen.add(segment.path)
        for row, image in enumerate(images):
            self.places.setdefault(image.tobytes(), (len(self.segments), row))
        self.segments.append(segment)

    def leave_memory(self) -> None:
        for segment in self.segments:
            if segment.path is not None:
                segment.held = None


class StoredRows:
    """Rows of an entry, copied when they are read, from wherever they are at that moment."""

    def __init__(self, cache: "RowCache", entry: _Entry, images: np.ndarray) -> None:
        self._cache = cache  # whose folder may be a temporary one
        self.shape = (len(images), *entry.shape)
        self._segments = entry.segments
        places = [entry.places[image.tobytes()] for image in images]
        self._places = np.array(places, np.int64).reshape(-1, 2)
        self._columns = slice(None)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        segments, places = self._places[rows].T
        values = np.empty((len(segments), *self.shape[1:]), np.float32)
        for number in np.unique(segments):
            mine = segments == number
            values[mine] = self._segments[number].records()["row"][places[mine], self._columns]
        return values

    def columns(self, columns: slice) -> "StoredRows":
        """The same with some columns alone, which must have a start and an end."""
        part = copy.copy(self)
        part._columns, part.shape = columns, (len(self), columns.stop - columns.start)
        return part

    @property
    def segments(self) -> list[_Segment]:
        """Those that the rows are in."""
        return [self._segments[number] for number in np.unique(self._places[:, 0])]


class RowCache:
    """Rows of many kinds, each computed once.

    Every segment is written to the folder when it has been computed, so that later processes find
    it. What was asked for also stays in memory if it fits; entries that were used less recently
    make room, whole, and are then read from their files.
    """

    def __init__(
        self,
        memory_bytes: int = MEMORY_BYTES,
        folder: Path | None = None,
        *,
        made_by: str = "",
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        """Use a folder, or start with an empty one of its own.

        Args:
            memory_bytes: for all rows together.
            folder: may be shared with other processes; None is a temporary one, which goes with
                the cache and its rows.
            made_by: the name of an experiment, to tell entries apart.
            warn: is told once when the folder cannot be written.
        """
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="tl_keras-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.memory_bytes, self.folder = memory_bytes, folder
        self._made_by, self._warn = made_by, warn
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._warned = False

    @property
    def memory_used(self) -> int:
        """Bytes of all rows in memory."""
        return sum(entry.memory for entry in self._entries.values())

    def rows(
        self, facts: Mapping[str, Any], shape: Sequence[int], images: np.ndarray, compute: Compute
    ) -> StoredRows:
        """The rows of some images, in their order.

        Args:
            facts: JSON types that, with an image, determine its row.
            shape: of a row.
            images: (k,) digests, `V16`; may repeat.
            compute: called with positions in `images` and a float32 array for their rows, in parts.

        Raises:
            CacheError: there is room neither in memory nor on the disk.
        """
        entry = self._entry(facts, shape)
        entry.forget_removed()
        if len(entry.missing(images)):
            entry.look()
        missing = entry.missing(images)
        for start in range(0, len(missing), entry.rows_per_segment):
            part = missing[start : start + entry.rows_per_segment]
            records = np.empty(len(part), record_type(shape))
            records["image"] = images[part]
            compute(part, records["row"])
            self._add(entry, records)
        stored = StoredRows(self, entry, images)
        for segment in stored.segments:
            self._bring(entry, segment)
        return stored

    def _entry(self, facts: Mapping[str, Any], shape: Sequence[int]) -> _Entry:
        disk = CacheEntry.of(self.folder, facts)
        entry = self._entries.setdefault(disk.key, _Entry(disk, tuple(shape)))
        self._entries.move_to_end(disk.key)
        try:
            disk.use({**facts, "made_by": self._made_by})
        except OSError as error:
            self._cannot_write(error)
        return entry

    def _add(self, entry: _Entry, records: np.ndarray) -> None:
        fits = self._make_room(entry, records.nbytes)
        try:
            path: Path | None = entry.disk.write(records)
        except OSError as error:
            if not fits:
                raise CacheError(
                    f"The feature cache needs {records.nbytes / 1e6:.0f} MB more than the "
                    f"{self.memory_bytes / 1e6:.0f} MB of cache.memory_megabytes and cannot write "
                    f"to {self.folder} ({error}). Make room there (tl-keras cache), or "
                    "set cache.folder to a folder with room"
                ) from error
            self._cannot_write(error)
            path = None
        entry.add(_Segment(path, records if fits else None), records["image"])

    def _bring(self, entry: _Entry, segment: _Segment) -> None:
        """Into memory, if it fits."""
        if segment.held is None:
            records = segment.records()
            if self._make_room(entry, records.nbytes):
                segment.held = np.array(records)

    def _make_room(self, entry: _Entry, size: int) -> bool:
        """Whether so many bytes of an entry fit, after less recently used entries left memory."""
        if entry.memory + size > self.memory_bytes:
            return False
        for other in self._entries.values():
            if self.memory_used + size <= self.memory_bytes:
                break
            if other is not entry:
                other.leave_memory()
        return self.memory_used + size <= self.memory_bytes

    def _cannot_write(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._warn(
                f"The feature cache {self.folder} cannot be written ({error}): features stay in "
                "memory and will be computed again in the next run."
            )
