"""Rows by the digest of their image: in memory within one budget, and in a folder beyond it."""

import copy
import os
import shutil
import tempfile
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.atomic_files import check_writable
from tl_keras.data.cache_entries import CacheEntry, checksums, read, record_type
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
    shape: tuple[int, ...]
    count: int
    # whether what lies in the file was found right, once
    checked: bool = False

    @property
    def memory(self) -> int:
        return 0 if self.held is None else self.held.nbytes

    def records(self) -> np.ndarray:
        """The records, found right when they were first read from their file.

        Raises:
            CacheError: the file is gone or damaged.
        """
        if self.held is not None:
            return self.held
        records = None if self.damaged() else self._mapped()
        if records is None:
            raise CacheError(
                f"{self.path} is gone or damaged: the feature cache was changed while it was in "
                "use. Start it again"
            )
        return records

    def damaged(self) -> int:
        """Rows that are not what was written, where that is not known yet: all if it is gone."""
        if self.held is not None:
            return 0
        records = self._mapped()
        if records is None:
            return self.count
        if self.checked:
            return 0
        wrong = sum(
            int(np.sum(checksums(part) != part["check"]))
            for start in range(0, self.count, BATCH)
            for part in [records[start : start + BATCH]]
        )
        self.checked = not wrong
        return wrong

    def _mapped(self) -> np.ndarray | None:
        try:
            records = None if self.path is None else read(self.path, self.shape)
        except (OSError, ValueError):
            return None
        return records if records is not None and len(records) == self.count else None


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

    def look(self) -> list[Path]:
        """Find the segments that other processes have written, in this run or an earlier one.

        Returns:
            Files that are none; what is certainly damaged is removed.
        """
        unreadable = []
        for path in self.disk.segments():
            if path in self._seen:
                continue
            try:
                records = read(path, self.shape)
            except FileNotFoundError:
                continue  # another process removed it
            except (OSError, ValueError) as error:
                self._seen.add(path)
                unreadable.append(path)
                if isinstance(error, ValueError):
                    _remove(path)
            else:
                segment = _Segment(path, None, self.shape, len(records))
                self.add(segment, records["image"])
        return unreadable

    def damaged(self, images: np.ndarray) -> dict[int, int]:
        """Segments with rows that are not what was written, and how many they are.

        Those with rows of these images are looked at, and all where any is missing: its digest may
        be what is damaged.
        """
        found = self.places.values() if len(self.missing(images)) else self._places_of(images)
        wanted = sorted({segment for segment, _ in found})
        counts = {number: self.segments[number].damaged() for number in wanted}
        return {number: count for number, count in counts.items() if count}

    def _places_of(self, images: np.ndarray) -> list[tuple[int, int]]:
        return [self.places[image.tobytes()] for image in images]

    def forget(self, segments: Collection[int]) -> None:
        """Let go of the rows of some segments, so that they are computed again."""
        if segments:
            self.places = {k: p for k, p in self.places.items() if p[0] not in segments}

    def removed(self) -> set[int]:
        """Segments whose files were deleted."""
        return {
            number
            for number, segment in enumerate(self.segments)
            if segment.held is None
            and segment.path is not None
            and not os.path.lexists(segment.path)
        }

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
            warn: is told once when the folder cannot be written, and of files that are damaged.
        """
        self.memory_bytes = memory_bytes
        self.folder = folder or self._temporary_folder()
        self._made_by, self._warn = made_by, warn
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._warned = False
        if folder is not None:
            try:
                check_writable(folder)
            except OSError as error:
                self._cannot_write(error)

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
        entry.forget(entry.removed())
        unreadable = entry.look() if len(entry.missing(images)) else []
        self._leave_out(entry, entry.damaged(images), unreadable)
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
            disk.use({**facts, "row_shape": list(shape), "made_by": self._made_by})
        except OSError as error:
            self._cannot_write(error)
        return entry

    def _leave_out(
        self, entry: _Entry, damaged: Mapping[int, int], unreadable: Sequence[Path]
    ) -> None:
        """Files that are not what was written: said once, and removed where that is certain."""
        if not damaged and not unreadable:
            return
        entry.forget(damaged)
        paths = [path for number in damaged if (path := entry.segments[number].path)]
        for path in paths:
            _remove(path)
        counted = f"{sum(damaged.values())} rows of " if damaged else ""
        files = [*paths, *unreadable]
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        self._warn(
            f"The feature cache is damaged: {counted}{files[0]}{more} cannot be read as they were "
            "written. What they held is computed anew."
        )

    def _add(self, entry: _Entry, records: np.ndarray) -> None:
        fits = self._make_room(entry, records.nbytes)
        path = self._written(entry, records, needed=not fits)
        held = records if fits else None
        entry.add(_Segment(path, held, entry.shape, len(records)), records["image"])

    def _written(self, entry: _Entry, records: np.ndarray, *, needed: bool) -> Path | None:
        """The file of a new segment: what memory does not hold may be a temporary one."""
        try:
            return entry.disk.write(records)
        except OSError as error:
            self._cannot_write(error)
        if not needed:
            return None
        try:
            spare = CacheEntry(self._spare / entry.disk.key)
            spare.path.mkdir(exist_ok=True)
            return spare.write(records)
        except OSError as error:
            raise CacheError(
                f"The feature cache needs {records.nbytes / 1e6:.0f} MB more than the "
                f"{self.memory_bytes / 1e6:.0f} MB of cache.memory_megabytes and cannot write "
                f"to {self.folder}, nor to {self._spare} ({error}). Make room there "
                "(tl-keras cache), or set cache.folder to a folder with room"
            ) from error

    @cached_property
    def _spare(self) -> Path:
        """Where what does not fit goes if the folder cannot be written."""
        return self._temporary_folder()

    def _temporary_folder(self) -> Path:
        try:
            folder = Path(tempfile.mkdtemp(prefix="tl_keras-"))
        except OSError:
            return Path(os.devnull)  # below which nothing can be written
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

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
                f"The feature cache {self.folder} cannot be written ({error}): features are kept "
                "for this run alone, and will be computed again in the next. Set cache.folder to "
                "a folder that can be written."
            )


def _remove(segment: Path) -> None:
    with suppress(OSError):
        segment.unlink()
