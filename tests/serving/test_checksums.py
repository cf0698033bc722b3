"""What is not as it was exported, and what of a version is the user's to remove."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tl_keras.serving.checksums import SUMS, damaged_files, write_checksums
from tl_keras.serving.versions import EXTRA

FILES = (
    "saved_model.pb",
    "variables/variables.index",
    f"{EXTRA}/decision.json",
    f"{EXTRA}/classifier.onnx",
    f"{EXTRA}/portable/classifier.tflite",
)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    write_checksums(tmp_path / "1")
    return tmp_path / "1"


def test_a_version_as_it_was_exported_has_no_damage(version: Path) -> None:
    assert damaged_files(version) == []
    subprocess.run(["sha256sum", "--check", "--strict", f"{EXTRA}/{SUMS}"], cwd=version, check=True)


@pytest.mark.parametrize("name", FILES)
def test_other_content_is_damage(version: Path, name: str) -> None:
    (version / name).write_text("other")
    assert damaged_files(version) == [name]


@pytest.mark.parametrize("name", FILES[:3])
def test_a_model_that_lacks_a_file_is_damaged(version: Path, name: str) -> None:
    (version / name).unlink()
    assert damaged_files(version) == [name]


def test_other_formats_are_the_users(version: Path) -> None:
    (version / EXTRA / "classifier.onnx").unlink()
    shutil.rmtree(version / EXTRA / "portable")
    (version / EXTRA / "notes.txt").write_text("mine")
    assert damaged_files(version) == []


def test_nothing_is_known_of_a_version_without_a_list(version: Path) -> None:
    (version / EXTRA / SUMS).unlink()
    (version / "saved_model.pb").write_text("other")
    assert damaged_files(version) == []
