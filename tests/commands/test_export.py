"""The command that exports a finished experiment once more."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tl_keras.commands import export
from tl_keras.commands.export import main


def test_help_needs_no_tensorflow() -> None:
    program = (
        "import sys\n"
        "from tl_keras.commands.export import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    sys.exit('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"--targets" in done.stdout


def test_a_folder_without_results_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert str(tmp_path) in said.err
    assert "Traceback" not in said.err


def test_a_target_without_its_extra_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert export.main([str(tmp_path), "--targets", "onnx"]) != 0
    assert 'pip install ".[onnx]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--computers", "linux_x86_64"], "got no --targets portable"),
        (["--pythons", "3.12"], "got no --targets portable"),
        (["--targets", "portable", "--pythons", "3.9"], "from 3.11 on, such as 3.12, got 3.9"),
        (["--targets", "portable", "--pythons", "3.12", "3.10"], "got 3.12 3.10"),
        (["--targets", "portable", "--pythons", "three"], "got three"),
    ],
)
def test_what_no_folder_can_be_for_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    pytest.importorskip("ai_edge_litert")
    assert main([str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
