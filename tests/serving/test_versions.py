"""Versions are found, published under the next free number, and never overwritten."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tl_keras.errors import ExportError
from tl_keras.serving import versions
from tl_keras.serving.versions import find_version, publish


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


def write(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").touch()


def test_the_highest_complete_version_is_taken(tmp_path: Path) -> None:
    export = tmp_path / "defects" / "export"
    write(export / "9", export / "10", export / "11.old")
    (export / "12").mkdir()
    found = find_version(export)
    assert (found.path, found.number) == (export / "10", 10)


def test_one_version_may_be_named(tmp_path: Path) -> None:
    export = tmp_path / "defects" / "export"
    write(export / "1", export / "2")
    found = find_version(export / "1")
    assert (found.number, found.model_name) == (1, "defects")


@pytest.mark.parametrize(
    ("folder", "expected"), [("defects/export", "defects"), ("models/parts", "parts")]
)
def test_the_name_is_that_of_the_experiment_or_the_folder(
    tmp_path: Path, folder: str, expected: str
) -> None:
    write(tmp_path / folder / "1")
    assert find_version(tmp_path / folder).model_name == expected


def test_the_working_directory_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "defects" / "export" / "1")
    monkeypatch.chdir(tmp_path / "defects" / "export")
    assert find_version(Path(os.curdir)).model_name == "defects"


def test_a_path_without_versions_is_refused(tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    with pytest.raises(ExportError, match=r"No exported model in .*export: .*Export a model first"):
        find_version(export)


def test_of_a_path_that_is_not_there_the_nearest_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "defects").mkdir()
    with pytest.raises(ExportError, match=r"no such path.*defects\?"):
        find_version(tmp_path / "defect")
    with pytest.raises(ExportError, match=r"no such path") as told:
        find_version(tmp_path / "nothing" / "like" / "it")
    assert "did you mean" not in str(told.value)


def test_a_version_must_be_a_number(tmp_path: Path) -> None:
    write(tmp_path / "model")
    with pytest.raises(ExportError, match=r"must be named by a version number.* got 'model'"):
        find_version(tmp_path / "model")


def test_the_folder_of_an_experiment_may_be_named(tmp_path: Path) -> None:
    write(tmp_path / "defects" / "export" / "2")
    version = find_version(tmp_path / "defects")
    assert (version.number, version.model_name) == (2, "defects")


def test_a_file_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(ExportError, match="must be a folder of exported models"):
        find_version(tmp_path / "photo.jpg")


def test_a_link_in_a_circle_holds_no_version(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ExportError):
        find_version(tmp_path / "circle")
