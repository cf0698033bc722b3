"""Entries of the cache folder: what they are named by, listed as, and removed."""

import os
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.damaged_caches import NO_FACTS
from tl_keras.data.cache_entries import CacheEntry, checksums, entries, read, record_type

FACTS = {"backbone": "Tiny", "block": "stem"}


def entry_of(folder: Path, rows: int, **facts: str) -> CacheEntry:
    entry = CacheEntry.of(folder, {**FACTS, **facts})
    entry.use({**FACTS, **facts, "row_shape": [2]})
    entry.write(np.zeros(rows, record_type((2,))))
    return entry


def test_key_depends_on_the_facts_and_not_on_their_order(tmp_path: Path) -> None:
    backwards = dict(reversed(FACTS.items()))
    assert CacheEntry.of(tmp_path, FACTS) == CacheEntry.of(tmp_path, backwards)
    assert CacheEntry.of(tmp_path, FACTS) != CacheEntry.of(tmp_path, FACTS | {"block": "top"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    records = np.zeros(3, record_type((2, 2)))
    records["image"] = [b"a" * 16, b"b" * 16, bytes(16)]
    records["row"] = np.arange(12).reshape(3, 2, 2)
    entry = CacheEntry.of(tmp_path, FACTS)
    entry.use(FACTS)
    known = read(entry.write(records), (2, 2))
    np.testing.assert_array_equal(known, records)
    np.testing.assert_array_equal(known["check"], checksums(records))


def test_a_checksum_is_that_of_digest_and_row() -> None:
    records = np.zeros(2, record_type((1,)))
    records["image"][1], records["row"][1] = b"a" * 16, 1.0
    ones = b"a" * 16 + np.float32(1).tobytes()
    assert checksums(records).tolist() == [zlib.crc32(bytes(20)), zlib.crc32(ones)]


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_file_that_is_no_segment_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.rows").write_bytes(content)
    with pytest.raises((OSError, ValueError)):
        read(tmp_path / "x.rows", (2,))


def test_entries_tell_what_they_are(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, 5)
    entry.write(np.zeros(2, record_type((2,))))
    (found,) = entries(tmp_path)
    assert (found.key, found.facts(), found.images()) == (
        entry.key,
        {**FACTS, "row_shape": [2]},
        7,
    )
    size = sum(path.stat().st_size for path in entry.path.iterdir())
    assert found.megabytes() == size / 1e6


def test_entries_are_in_the_order_of_their_last_use(tmp_path: Path) -> None:
    made = [entry_of(tmp_path, 1, block=str(number)) for number in range(3)]
    for entry, second in zip(made, (300, 100, 200), strict=True):
        os.utime(entry.path / "entry.json", (second, second))
    assert [entry.facts()["block"] for entry in entries(tmp_path)] == ["1", "2", "0"]
    made[1].use(FACTS)
    assert entries(tmp_path)[-1] == made[1]


def test_other_folders_are_no_entries(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / ("0" * 16)).touch()
    assert entries(tmp_path) == []
    assert entries(tmp_path / "missing") == []


def test_entry_without_facts_is_listed(tmp_path: Path) -> None:
    (tmp_path / ("0" * 16)).mkdir()
    (found,) = entries(tmp_path)
    assert (found.facts(), found.images(), found.megabytes()) == ({}, None, 0)


@pytest.mark.parametrize("content", NO_FACTS, ids=range(len(NO_FACTS)))
def test_damaged_facts_are_written_anew(tmp_path: Path, content: bytes) -> None:
    entry = entry_of(tmp_path, 1)
    (entry.path / "entry.json").write_bytes(content)
    assert entries(tmp_path) == [entry]
    assert entry.images() is None
    entry.use({**FACTS, "row_shape": [2]})
    assert entry.images() == 1


def test_the_maker_of_an_entry_stays_its_maker(tmp_path: Path) -> None:
    entry = CacheEntry.of(tmp_path, FACTS)
    for name in ("first", "second"):
        entry.use({**FACTS, "made_by": name})
    assert entry.facts()["made_by"] == "first"


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """Files may have 10,000 bytes; the disk of a test cannot be filled."""
    entry = CacheEntry.of(tmp_path, FACTS)
    entry.use(FACTS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            entry.write(np.zeros(1000, record_type((2,))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in entry.path.iterdir()] == ["entry.json"]


def test_removal_may_come_twice(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, 1)
    assert entry.remove()
    assert entry.remove()
    assert entries(tmp_path) == []
