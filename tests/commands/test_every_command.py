"""Every sub-command once, on one tiny experiment: each takes what the one before it left."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tl_keras.commands.console import SUBCOMMANDS, main
from tl_keras.results_layout import place

pytestmark = [
    pytest.mark.smoke,
    # KerasTuner asks for the current thread by its old name.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]


@pytest.fixture(scope="module")
def experiment(photos: Path, tiny_backbone: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an experiment with every strategy, in a folder of its own."""
    folder = tmp_path_factory.mktemp("everything")
    short = {"epochs": 2, "learning_rate": 0.05}
    config = {
        "name": "colours",
        "data": {"folder": str(photos), "train_per_class": 5, "validation_per_class": 3},
        "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
        "training": {"phase_1": short, "phase_2": short, "from_scratch": short},
        "strategies": [
            "majority_class",
            "from_scratch",
            "linear_probe",
            "feature_extraction",
            "fine_tuning",
            "searched",
        ],
        "fine_tuning": {"unfrozen_blocks": [1]},
        "search": {"max_trials": 2, "unfrozen_blocks": [0, 1], "folds": 2},
        "seeds": 1,
        "learning_curve": False,
        "cache": {"folder": str(folder / "features")},
        "results_dir": str(folder / "results"),
    }
    path = folder / "colours.json"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    """What the run prints."""
    return io.StringIO()


@pytest.fixture(scope="module")
def finished(experiment: Path, said: io.StringIO) -> Path:
    """The folder of the experiment, which was run."""
    with redirect_stdout(said):
        assert main(["run", str(experiment)]) == 0
    return experiment.parent / "results" / "colours"


def test_every_subcommand_is_tried_here() -> None:
    assert {f"test_{name}" for name in SUBCOMMANDS} <= set(globals())


def test_audit(experiment: Path, tmp_path: Path) -> None:
    words = ["audit", str(experiment), "--output", str(tmp_path), "--no-network"]
    assert main(words) == 0
    assert (tmp_path / "audit.html").is_file()


def test_advise(experiment: Path, tmp_path: Path) -> None:
    advice = tmp_path / "advice.json"
    assert main(["advise", str(experiment), "--json", str(advice)]) == 0
    blocks = [row["block"] for row in json.loads(advice.read_text())["blocks"]]
    assert blocks == ["stem", "block1", "top"]


def test_run(finished: Path, said: io.StringIO) -> None:
    runs = pd.read_csv(place(finished, "runs.csv"))
    assert len(runs) == runs["strategy"].nunique() == 6
    assert (finished / "report.html").is_file()
    exported = finished / "export" / "1"
    assert (exported / "saved_model.pb").is_file()
    assert f"SavedModel, checked: {exported}" in said.getvalue().replace("\n", "")


def test_report(finished: Path, tmp_path: Path) -> None:
    page = tmp_path / "again.html"
    assert main(["report", str(finished), "--output", str(page)]) == 0
    assert page.read_text(encoding="utf-8").count("<h2") >= 5


def test_export(finished: Path) -> None:
    assert main(["export", str(finished)]) == 0
    assert (finished / "export" / "2" / "saved_model.pb").is_file()


def test_predict(finished: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(finished / "export" / "1"), str(photos / "blue"), "--format", "csv"]
    assert main(words) == 0
    answers = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(answers) == 14
    assert {answer["label"] for answer in answers} <= {"amber", "blue", "green"}


def test_serve(finished: Path) -> None:
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    pytest.importorskip("uvicorn", reason="the extra serve is not installed")
    command = [sys.executable, "-m", "tl_keras", "serve", str(finished / "export"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        welcome = next((line for line in process.stdout if "Ctrl-C" in line), "")
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            process.kill()
    assert welcome
    assert process.returncode == 130


def test_cache(experiment: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(experiment.parent / "features")
    assert main(["cache", "list", "--folder", folder]) == 0
    assert "colours" in capsys.readouterr().out


def test_pretrain(
    photos: Path, tmp_path: Path, source_config: Callable[..., Any], tiny_backbone: None
) -> None:
    photographed = {"backbone": "Tiny", "generated": None, "data": {"folder": str(photos)}}
    path = tmp_path / "tiny.json"
    path.write_text(source_config(**photographed).model_dump_json())
    assert main(["pretrain", str(path)]) == 0
    assert json.loads((tmp_path / "model" / "card.json").read_text())["images"] == 30
