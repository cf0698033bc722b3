"""Entries of the cache folder: what they are named by, listed as, and removed."""

import os
from pathlib import Path

import numpy as np
import pytest

from tl_keras.data.cache_entries import CacheEntry, entries, read, record_type

FACTS = {"backbone": "Tiny", "block": "stem"}


def entry_of(folder: Path, rows: int, **facts: str) -> CacheEntry:
    entry = CacheEntry.of(folder, {**FACTS, **facts})
    entry.use({**FACTS, **facts})
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
    known = read(entry.write(records))
    assert known is not None
    np.testing.assert_array_equal(known, records)


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_file_that_is_no_segment_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "segment.npy").write_bytes(content)
    assert read(tmp_path / "segment.npy") is None


def test_entries_tell_what_they_are(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, 5)
    entry.write(np.zeros(2, record_type((2,))))
    (found,) = entries(tmp_path)
    assert (found.key, found.facts(), found.images()) == (entry.key, FACTS, 7)
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
    assert (found.facts(), found.images(), found.megabytes()) == ({}, 0, 0)


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    entry = CacheEntry.of(tmp_path, FACTS)
    entry.use(FACTS)
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        entry.write(np.zeros(1, record_type((2,))))
    assert [path.name for path in entry.path.iterdir()] == ["entry.json"]


def test_removal_may_come_twice(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, 1)
    entry.remove()
    entry.remove()
    assert entries(tmp_path) == []
