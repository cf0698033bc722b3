"""Rows that are read a few at a time: of an array, of a file, or some of others."""

import mmap
import weakref
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np


class Rows(Protocol):
    """n rows, of which some are copied at a time: an array, or what is read like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray, /) -> Any:
        """A copy of the rows at these positions, (k, ...)."""


def whole(rows: Rows) -> np.ndarray:
    """All of them, (n, ...)."""
    return np.asarray(rows[np.arange(len(rows))])


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of some rows, evenly from all over: they may be sorted by class.

    >>> spread(np.arange(10, 20), 4)
    array([10, 13, 16, 19])
    """
    count = min(len(rows), most)
    return np.asarray(rows[np.linspace(0, len(rows) - 1, count).round().astype(int)])


@dataclass(frozen=True)
class ChosenRows:
    """Some rows of others.

    Attributes:
        source: (n, ...).
        positions: of k rows of `source`, in any order, also repeated.
    """

    source: Rows
    positions: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.source.shape[1:])

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        return np.asarray(self.source[self.positions[rows]])


class MappedRows:
    """Rows in a file, mapped only as far as they are being read.

    The pages of a mapped file count as memory of the process as long as it keeps them, so they
    are given back after each read; the system keeps what it has room for.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, ...], dtype: type) -> None:
        """Rows of a file, which must be open for reading and writing; of zeros if it is empty.

        What is not written takes no room on the disk.
        """
        self.shape = shape
        self._file = file
        weakref.finalize(self, file.close)
        file.truncate(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._array: np.ndarray = np.frombuffer(self._map, dtype).reshape(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        copied = np.array(self._array[rows])
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED)
        return copied

    def __setitem__(self, row: int, values: np.ndarray) -> None:
        """Write one row.

        Raises:
            OSError: the disk is full, where a write into the map would kill the process.
        """
        data = np.ascontiguousarray(values, self._array.dtype).tobytes()
        self._file.seek(row * len(data))
        self._file.write(data)
        self._file.flush()
