"""Rows in memory and on disk: right whoever wrote them, within the budget, found again."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.damaged_caches import DAMAGES, Damage, a_folder, a_pipe, flipped_bytes
from tl_keras.data import row_cache
from tl_keras.data.cache_entries import CacheEntry
from tl_keras.data.row_cache import RowCache
from tl_keras.data.rows import Rows, whole
from tl_keras.errors import CacheError

SHAPE = (3,)
FACTS = {"block": "stem"}
# 16 bytes of digest, three numbers and a checksum
RECORD_BYTES = 32

# What other processes run: rows of the images whose numbers they are given.
OTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from tl_keras.data import row_cache

def digests(numbers):
    return np.array([int(n).to_bytes(16, "big") for n in numbers], "V16")

row_cache.SEGMENT_BYTES = 0
row_cache.BATCH = 4
images = digests(range(int(sys.argv[2]), int(sys.argv[3])))

def compute(wanted, rows):
    rows[:] = [[images[k].tobytes()[-1], 1, 2] for k in wanted]

cache = row_cache.RowCache(folder=Path(sys.argv[1]))
"""
ASK = 'cache.rows({"block": "stem"}, (3,), images, compute)\n'
STOP_HALFWAY = """
import time
from contextlib import contextmanager
from tl_keras.data import cache_entries
replacing, written = cache_entries.replacing, []

@contextmanager
def stopping(path):
    with replacing(path) as unfinished:
        written.append(path)
        if len(written) < 3:
            yield unfinished
            return
        unfinished.write_bytes(bytes(100))
        print("half written", flush=True)
        time.sleep(60)

cache_entries.replacing = stopping
"""


def digests(numbers: range | list[int]) -> np.ndarray:
    return np.array([number.to_bytes(16, "big") for number in numbers], "V16")


def expected(numbers: range | list[int]) -> np.ndarray:
    return np.array([[number, 1, 2] for number in numbers], np.float32)


class Computing:
    """Computes rows, and notes how many images each call took."""

    def __init__(self, images: np.ndarray) -> None:
        self.images, self.calls = images, list[int]()

    def __call__(self, wanted: np.ndarray, rows: np.ndarray) -> None:
        self.calls.append(len(wanted))
        rows[:] = [[self.images[k].tobytes()[-1], 1, 2] for k in wanted]


def ask(
    cache: RowCache, numbers: range | list[int], block: str = "stem"
) -> tuple[np.ndarray, list[int]]:
    """The rows, and the sizes of the parts in which they were computed."""
    computing = Computing(digests(numbers))
    rows = cache.rows({"block": block}, SHAPE, computing.images, computing)
    return whole(rows), computing.calls


def stored(cache: RowCache, numbers: range, block: str) -> Rows:
    images = digests(numbers)
    return cache.rows({"block": block}, SHAPE, images, Computing(images))


@pytest.fixture(autouse=True)
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_cache, "SEGMENT_BYTES", 0)
        patch.setattr(row_cache, "BATCH", 4)
        yield


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str, int, int], "subprocess.Popen[str]"]:
    """Start another process on the same folder: `start(code, first, end)`."""

    def started(code: str, first: int, end: int) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", OTHER_PROCESS + code, str(tmp_path), str(first), str(end)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    return started


def test_rows_come_in_the_order_of_the_images_also_repeated() -> None:
    rows, _ = ask(RowCache(), [9, 2, 9, 25, 0, 2])
    np.testing.assert_array_equal(rows, expected([9, 2, 9, 25, 0, 2]))


@pytest.mark.parametrize("memory", [0, 2**20])
def test_some_columns_are_read_alone(memory: int) -> None:
    images = digests(range(6))
    rows = RowCache(memory).rows(FACTS, SHAPE, images, Computing(images))
    columns = rows.columns(slice(0, 2))
    assert columns.shape == (6, 2)
    np.testing.assert_array_equal(columns[np.array([5, 0, 5])], [[5, 1], [0, 1], [5, 1]])
    assert rows.shape == (6, 3), "the others are still there"
    np.testing.assert_array_equal(whole(rows), expected(range(6)))


def test_each_row_is_computed_once_in_parts() -> None:
    cache = RowCache()
    assert ask(cache, range(10))[1] == [4, 4, 2]
    assert ask(cache, [3, 11, 3, 12])[1] == [2]
    assert ask(cache, range(13))[1] == [1]


def test_kinds_do_not_mix() -> None:
    cache = RowCache()
    ask(cache, range(3))
    assert ask(cache, range(3), "top")[1] == [3]


def test_another_process_finds_the_rows(tmp_path: Path) -> None:
    ask(RowCache(folder=tmp_path), range(10))
    rows, calls = ask(RowCache(folder=tmp_path), [8, 3])
    assert calls == []
    np.testing.assert_array_equal(rows, expected([8, 3]))


def test_when_images_change_only_the_new_ones_are_computed(tmp_path: Path) -> None:
    ask(RowCache(folder=tmp_path), range(10))
    assert ask(RowCache(folder=tmp_path), range(7, 12))[1] == [2]


def test_rows_that_another_process_added_meanwhile_are_found(tmp_path: Path) -> None:
    first, second = RowCache(folder=tmp_path), RowCache(folder=tmp_path)
    ask(first, range(2))
    ask(second, range(2, 6))
    assert ask(first, range(6))[1] == []


def test_a_temporary_folder_goes_with_its_cache() -> None:
    cache = RowCache()
    ask(cache, range(3))
    folder = cache.folder
    rows = stored(cache, range(3), "stem")
    del cache
    np.testing.assert_array_equal(whole(rows), expected(range(3)))
    del rows
    assert not folder.exists()


def test_memory_stays_within_the_budget_for_all_kinds_together() -> None:
    cache = RowCache(memory_bytes=10 * RECORD_BYTES)
    for block in ("stem", "middle", "top"):
        np.testing.assert_array_equal(ask(cache, range(7), block)[0], expected(range(7)))
        assert 0 < cache.memory_used <= cache.memory_bytes


def test_what_was_used_least_recently_leaves_memory_first() -> None:
    cache = RowCache(memory_bytes=8 * RECORD_BYTES)
    for block in ("stem", "middle", "stem", "top"):
        ask(cache, range(4), block)
    held = {entry.disk.path.name: entry.memory for entry in cache._entries.values()}
    sizes = [held[CacheEntry.of(cache.folder, {"block": b}).key] for b in ("stem", "middle", "top")]
    assert sizes == [4 * RECORD_BYTES, 0, 4 * RECORD_BYTES]


def test_what_does_not_fit_is_read_from_the_disk() -> None:
    cache = RowCache(memory_bytes=0)
    rows, _ = ask(cache, range(10))
    np.testing.assert_array_equal(rows, expected(range(10)))
    assert cache.memory_used == 0


def test_rows_in_use_survive_that_they_leave_memory() -> None:
    cache = RowCache(memory_bytes=4 * RECORD_BYTES)
    rows = stored(cache, range(4), "stem")
    stored(cache, range(4), "top")
    np.testing.assert_array_equal(whole(rows), expected(range(4)))


def test_what_is_asked_for_again_comes_back_into_memory() -> None:
    cache = RowCache(memory_bytes=4 * RECORD_BYTES)
    for block in ("stem", "top", "stem"):
        ask(cache, range(4), block)
    assert cache._entries.popitem()[1].memory == 4 * RECORD_BYTES


def test_killed_writer_leaves_only_finished_rows(
    tmp_path: Path, start: Callable[[str, int, int], "subprocess.Popen[str]"]
) -> None:
    process = start(STOP_HALFWAY + ASK, 0, 20)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "half written\n"
        process.kill()
        process.wait()
    rows, calls = ask(RowCache(folder=tmp_path), range(20))
    np.testing.assert_array_equal(rows, expected(range(20)))
    assert sum(calls) == 12


def test_two_processes_at_once(
    tmp_path: Path, start: Callable[[str, int, int], "subprocess.Popen[str]"]
) -> None:
    processes = [start(ASK, first, first + 80) for first in (0, 40)]
    for process in processes:
        assert process.communicate(timeout=60)[0] == ""
        assert process.returncode == 0
    rows, calls = ask(RowCache(folder=tmp_path), range(120))
    assert calls == []
    np.testing.assert_array_equal(rows, expected(range(120)))


@pytest.mark.parametrize("memory", [0, 2**20])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: str(damage.__name__))
def test_damaged_file_is_computed_again_with_one_note(
    tmp_path: Path, damage: Damage, memory: int
) -> None:
    numbers = range(1, 9)
    ask(RowCache(folder=tmp_path), numbers)
    segment, sound = sorted(tmp_path.rglob("*.rows"))
    damage(segment)
    told: list[str] = []
    cache = RowCache(memory, tmp_path, warn=told.append)
    for computed in ([4], []):
        rows, calls = ask(cache, numbers)
        np.testing.assert_array_equal(rows, expected(numbers))
        assert calls == computed
    assert len(told) == 1
    assert str(segment) in told[0]
    assert sound.exists()
    # what stands in the way and is no file of ours stays, and nothing is computed a third time
    assert segment.exists() == (damage in (a_folder, a_pipe))
    rows, calls = ask(RowCache(memory, tmp_path, warn=told.append), numbers)
    np.testing.assert_array_equal(rows, expected(numbers))
    assert calls == []


@pytest.mark.parametrize("place", [3, 17, 30])
def test_one_bit_is_noticed_in_digest_row_and_checksum(tmp_path: Path, place: int) -> None:
    """And what else is in the file is not taken either, whatever rows are asked for."""
    ask(RowCache(folder=tmp_path), range(4))
    (segment,) = tmp_path.rglob("*.rows")
    content = bytearray(segment.read_bytes())
    content[2 * RECORD_BYTES + place] ^= 1
    segment.write_bytes(content)
    told: list[str] = []
    rows, calls = ask(RowCache(folder=tmp_path, warn=told.append), [0, 1])
    np.testing.assert_array_equal(rows, expected([0, 1]))
    assert calls == [2]
    assert "1 rows of" in told[0]


def test_rows_that_left_memory_are_checked_when_they_come_back(tmp_path: Path) -> None:
    told: list[str] = []
    cache = RowCache(4 * RECORD_BYTES, tmp_path, warn=told.append)
    rows = stored(cache, range(4), "stem")
    ask(cache, range(4), "top")
    for segment in CacheEntry.of(tmp_path, FACTS).segments():
        flipped_bytes(segment)
    with pytest.raises(CacheError, match="damaged"):
        whole(rows)
    np.testing.assert_array_equal(ask(cache, range(4))[0], expected(range(4)))
    assert len(told) == 1


def test_an_older_layout_is_never_read(tmp_path: Path) -> None:
    """It named an entry by the facts alone, and held arrays of NumPy."""
    text = json.dumps(FACTS, sort_keys=True)
    older = tmp_path / hashlib.sha256(text.encode()).hexdigest()[:16]
    older.mkdir()
    records = np.zeros(4, [("image", "V16"), ("row", "<f4", SHAPE)])
    records["image"] = digests(range(4))
    for name in ("a.npy", "a.rows"):
        with (older / name).open("wb") as file:
            np.save(file, records)
    rows, calls = ask(RowCache(folder=tmp_path), range(4))
    assert calls == [4]
    np.testing.assert_array_equal(rows, expected(range(4)))


def test_removed_rows_are_computed_again(tmp_path: Path) -> None:
    cache = RowCache(0, tmp_path)
    ask(cache, range(4))
    CacheEntry.of(tmp_path, FACTS).remove()
    assert ask(cache, range(4))[1] == [4]


def test_rows_removed_while_they_are_read_are_a_message(tmp_path: Path) -> None:
    cache = RowCache(0, tmp_path)
    rows = stored(cache, range(4), "stem")
    CacheEntry.of(tmp_path, FACTS).remove()
    with pytest.raises(CacheError, match="changed while it was in use"):
        whole(rows)


def full_disk(*arguments: object, **settings: object) -> None:
    raise OSError(28, "No space left on device")


def test_full_disk_leaves_rows_in_memory_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    cache = RowCache(memory_bytes=20 * RECORD_BYTES, warn=warned.append)
    monkeypatch.setattr(CacheEntry, "write", full_disk)
    for block in ("stem", "top"):
        np.testing.assert_array_equal(ask(cache, range(10), block)[0], expected(range(10)))
    assert ask(cache, range(10))[1] == []
    assert len(warned) == 1
    assert "No space left" in warned[0]


def test_rows_in_use_stay_in_memory_where_others_cannot_leave_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = RowCache(memory_bytes=8 * RECORD_BYTES, warn=lambda text: None)
    with monkeypatch.context() as patch:
        patch.setattr(CacheEntry, "write", full_disk)
        ask(cache, range(3))
    rows, _ = ask(cache, range(6), "top")
    np.testing.assert_array_equal(rows, expected(range(6)))
    # Of "top" the first part of four fits beside the three; the second finds no room.
    assert [entry.memory // RECORD_BYTES for entry in cache._entries.values()] == [3, 4]


def test_full_disk_and_full_memory_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = RowCache(memory_bytes=0, warn=lambda text: None)
    monkeypatch.setattr(CacheEntry, "write", full_disk)
    with pytest.raises(CacheError, match=r"cache\.memory_megabytes .*No space left.*cache\.folder"):
        ask(cache, range(4))


@pytest.mark.parametrize("memory", [0, 2**20])
def test_folder_that_cannot_be_made_is_a_warning_at_once(tmp_path: Path, memory: int) -> None:
    (tmp_path / "file").touch()
    warned: list[str] = []
    cache = RowCache(memory, tmp_path / "file" / "cache", warn=warned.append)
    assert len(warned) == 1
    np.testing.assert_array_equal(ask(cache, range(4))[0], expected(range(4)))
    assert ask(cache, range(4))[1] == []
    assert len(warned) == 1


def test_without_a_temporary_folder_memory_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", full_disk)
    warned: list[str] = []
    cache = RowCache(warn=warned.append)
    assert ask(cache, range(9))[1] == [4, 4, 1]
    np.testing.assert_array_equal(ask(cache, range(9))[0], expected(range(9)))
    assert len(warned) == 1
