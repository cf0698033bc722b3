"""A path means the highest version in it, or the version that it is."""

import os
from pathlib import Path

import pytest

from tl_keras.errors import ExportError
from tl_keras.serving.version_folder import find_version


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
    assert (found.number, found.model_name()) == (1, "defects")


@pytest.mark.parametrize(
    ("folder", "expected"), [("defects/export", "defects"), ("models/parts", "parts")]
)
def test_the_name_is_that_of_the_experiment_or_the_folder(
    tmp_path: Path, folder: str, expected: str
) -> None:
    write(tmp_path / folder / "1")
    assert find_version(tmp_path / folder).model_name() == expected


def test_the_working_directory_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "defects" / "export" / "1")
    monkeypatch.chdir(tmp_path / "defects" / "export")
    assert find_version(Path(os.curdir)).model_name() == "defects"


@pytest.mark.parametrize("content", ["absent", "empty", "file"])
def test_a_path_without_versions_is_refused(tmp_path: Path, content: str) -> None:
    export = tmp_path / "export"
    if content == "empty":
        export.mkdir()
    elif content == "file":
        export.touch()
    with pytest.raises(ExportError, match=r"No exported model in .*export: .*Export a model first"):
        find_version(export)


def test_a_version_must_be_a_number(tmp_path: Path) -> None:
    write(tmp_path / "model")
    with pytest.raises(ExportError, match=r"must be named by a version number.* got 'model'"):
        find_version(tmp_path / "model")
