"""Libraries are fetched for the computers that are asked for, or it is said how to bring them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.test_packaging import DECLARED, extra
from tl_keras.serving.wheels import COMPUTERS, NEEDED, Destination, fetch_wheels, own_computer

Asked = list[list[str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What pip was asked for; it fetches a wheel named by the first platform."""
    commands: Asked = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        place = Path(command[command.index("--dest") + 1])
        place.mkdir()
        platform = command[command.index("--platform") + 1]
        (place / f"numpy-2-cp312-cp312-{platform}.whl").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_what_is_fetched_is_what_is_declared() -> None:
    declared = {str(one) for one in [*DECLARED, *extra("litert")]}
    from packaging.requirements import Requirement

    assert {str(Requirement(text)) for text in NEEDED} <= declared


def test_each_computer_with_each_python(tmp_path: Path, asked: Asked) -> None:
    destination = Destination(("linux_x86_64", "windows_x86_64"), ("3.12", "3.13"))
    assert fetch_wheels(tmp_path / "wheels", destination) == []
    assert len(asked) == 4
    versions = [command[command.index("--python-version") + 1] for command in asked]
    assert versions == ["3.12", "3.13"] * 2
    assert all(command[:4] == [sys.executable, "-m", "pip", "download"] for command in asked)
    assert sorted(path.name for path in (tmp_path / "wheels").iterdir()) == [
        "numpy-2-cp312-cp312-manylinux_2_28_x86_64.whl",
        "numpy-2-cp312-cp312-win_amd64.whl",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]


def test_this_computer_is_meant_where_none_is_named(tmp_path: Path, asked: Asked) -> None:
    if own_computer() not in COMPUTERS:
        pytest.skip("this kind of computer is not known")
    assert fetch_wheels(tmp_path / "wheels", Destination()) == []
    assert f"3.{sys.version_info[1]}" in asked[0]


@pytest.mark.parametrize(
    "outcome",
    [
        subprocess.CompletedProcess([], 1, "", "WARNING: x\nERROR: No matching distribution\n"),
        subprocess.CompletedProcess([], 1, "", ""),
        subprocess.TimeoutExpired("pip", 600),
        FileNotFoundError("no such file"),
    ],
)
def test_without_network_it_is_said_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any
) -> None:
    def run(*_: Any, **__: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "run", run)
    folder = tmp_path / "portable" / "wheels"
    folder.parent.mkdir()
    (text,) = fetch_wheels(folder, Destination(("windows_x86_64",), ("3.12",)))
    assert "windows_x86_64 with Python 3.12" in text
    assert "pip download --only-binary :all: --python-version 3.12" in text
    assert "--platform win_amd64 --dest wheels" in text
    assert list(folder.parent.iterdir()) == []


def test_a_kind_of_computer_that_is_not_known(tmp_path: Path, asked: Asked) -> None:
    (text,) = fetch_wheels(tmp_path / "wheels", Destination(("plan9_mips",), ("3.12",)))
    assert "python -m pip install" in text
    assert asked == []
