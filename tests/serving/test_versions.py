"""Versions are found, published under the next free number, and never overwritten."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tl_keras.errors import ExportError
from tl_keras.serving import versions
from tl_keras.serving.versions import find_version, latest_version, publish


def unfinished(directory: Path, content: bytes = b"new") -> Path:
    folder = directory / ".writing"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(content)
    return folder


def test_next_number_is_published_and_recorded(tmp_path: Path) -> None:
    for number in ("1", "2"):
        assert publish(unfinished(tmp_path), tmp_path) == tmp_path / number
        assert (tmp_path / "latest").read_text() == f"{number}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "latest"]


def test_version_taken_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(unfinished(tmp_path, b"of another process"), tmp_path)
    look = versions._versions
    before: Iterator[dict[int, Path]] = iter([{}])
    monkeypatch.setattr(versions, "_versions", lambda folder: next(before, look(folder)))
    assert publish(unfinished(tmp_path), tmp_path).name == "2"
    assert (tmp_path / "1" / "saved_model.pb").read_bytes() == b"of another process"
    assert (tmp_path / "latest").read_text() == "2\n"


def test_version_is_found_by_itself_or_in_its_folder(tmp_path: Path) -> None:
    for _ in range(10):
        publish(unfinished(tmp_path), tmp_path)
    assert find_version(tmp_path) == tmp_path / "10"
    assert find_version(tmp_path / "2") == tmp_path / "2"


@pytest.mark.parametrize("content", ["absent", "empty"])
def test_folder_without_versions_is_refused(tmp_path: Path, content: str) -> None:
    directory = tmp_path / "export"
    if content == "empty":
        directory.mkdir()
    for find in (find_version, latest_version):
        with pytest.raises(ExportError, match=r"No exported model in .*Export a model first"):
            find(directory)
