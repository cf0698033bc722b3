"""The command line of the feature cache."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tl_keras.commands.cache
from tests.hostile.damaged_caches import NO_FACTS, a_folder, a_link_to_nowhere, zip_signature
from tl_keras.commands.cache import main
from tl_keras.data.cache_entries import CacheEntry, entries, record_type

DAY = 86_400


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Of three entries, the first of them used ten days ago, the others just now."""
    keys = []
    for number, block in enumerate(("stem", "block1", "top")):
        facts = {"backbone": "Tiny", "block": block, "image_size": 96}
        entry = CacheEntry.of(tmp_path, facts)
        entry.use({**facts, "row_shape": [1000], "made_by": "parts"})
        entry.write(np.zeros(number + 1, record_type((1000,))))
        keys.append(entry.key)
    long_ago = time.time() - 10 * DAY
    os.utime(tmp_path / keys[0] / "entry.json", (long_ago, long_ago))
    return keys


def left(folder: Path) -> set[str]:
    return {entry.key for entry in entries(folder)}


def test_list_shows_what_the_entries_are(
    tmp_path: Path,
    keys: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list", "--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if keys[2] in line)
    for text in ("parts", "Tiny up to top, 96 px", " 3 ", "0.0"):
        assert text in row
    assert lines[-1].startswith("3 entries, 0.0 MB in ")


@pytest.mark.parametrize("content", NO_FACTS, ids=range(len(NO_FACTS)))
def test_damaged_entries_are_listed_and_removed(
    tmp_path: Path, keys: list[str], content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / keys[0] / "entry.json").write_bytes(content)
    (tmp_path / keys[1] / "entry.json").unlink()
    (tmp_path / keys[1] / "entry.json").mkdir()
    for damage in (a_folder, a_link_to_nowhere, zip_signature):
        entry = CacheEntry(tmp_path / keys[2])
        damage(entry.write(np.zeros(2, record_type((1000,)))))
    assert main(["list", "--folder", str(tmp_path)]) == 0
    assert "3 entries" in capsys.readouterr().out
    assert main(["remove", *keys, "--folder", str(tmp_path)]) == 0
    assert left(tmp_path) == set()


def test_a_file_is_no_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for command in (["list"], ["remove", "--all"]):
        assert main([*command, "--folder", str(tmp_path / "file")]) == 2
        assert "must be a folder" in capsys.readouterr().err


def test_a_linked_entry_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (target := tmp_path / "elsewhere").mkdir()
    (target / "file").touch()
    (cache := tmp_path / "cache").mkdir()
    (cache / ("0" * 16)).symlink_to(target)
    assert main(["remove", "--all", "--folder", str(cache)]) == 0
    assert left(cache) == set()
    assert (target / "file").exists()


def test_what_cannot_be_removed_is_said(
    tmp_path: Path,
    keys: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *arguments, **settings: None)
    assert main(["remove", keys[0], "--folder", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("removed 0 of 3")
    assert keys[0] in shown.err


@pytest.mark.parametrize("command", [["list"], ["remove", "--all"]])
def test_without_a_home_the_folder_is_asked_for(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tl_keras.commands.cache, "default_folder", lambda: None)
    assert main(command) == 2
    assert "--folder" in capsys.readouterr().err


def test_list_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--folder", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.startswith("0 entries")


def test_entries_are_removed_by_name(
    tmp_path: Path, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remove", keys[0], keys[2], "--folder", str(tmp_path)]) == 0
    assert left(tmp_path) == {keys[1]}
    assert capsys.readouterr().out.startswith("removed 2 of 3 entries, 0.0 MB")


def test_an_unknown_name_removes_nothing(
    tmp_path: Path, keys: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remove", keys[0], "other", "--folder", str(tmp_path)]) == 2
    assert left(tmp_path) == set(keys)
    message = f"has no entry other; `tl-keras cache list --folder {tmp_path}` shows them"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_days_below_zero_remove_nothing(
    tmp_path: Path, keys: list[str], days: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remove", "--older-than", days, "--folder", str(tmp_path)]) == 2
    assert left(tmp_path) == set(keys)
    assert f"must be 0 days or more; got {days}" in capsys.readouterr().err


def test_a_narrow_terminal_shows_whole_names(
    tmp_path: Path,
    keys: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["list", "--folder", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert all(key in shown for key in keys)


def test_all_entries_are_removed(tmp_path: Path, keys: list[str]) -> None:
    assert main(["remove", "--all", "--folder", str(tmp_path)]) == 0
    assert left(tmp_path) == set()


@pytest.mark.parametrize(("days", "removed"), [("11", 0), ("9.5", 1), ("0", 3)])
def test_old_entries_are_removed(tmp_path: Path, keys: list[str], days: str, removed: int) -> None:
    assert main(["remove", "--older-than", days, "--folder", str(tmp_path)]) == 0
    assert left(tmp_path) == set(keys[removed:])


@pytest.mark.parametrize("mistake", [[], ["remove"], ["remove", "--all", "--older-than", "3"]])
def test_a_mistake_is_explained(mistake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(mistake)
    assert stop.value.code == 2
    assert "usage: tl-keras cache" in capsys.readouterr().err


def test_the_command_loads_no_tensorflow() -> None:
    code = "import sys, tl_keras.commands.cache; print('tensorflow' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
