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
    assert "config.json" in said.err
    assert "Traceback" not in said.err


def test_a_target_without_its_extra_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert export.main([str(tmp_path), "--targets", "onnx"]) != 0
    assert 'pip install ".[onnx]"' in capsys.readouterr().err
