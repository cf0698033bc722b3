"""`tl-keras advise`: what to borrow, before anything is trained."""

import json
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tl_keras.experiment.advise
from tests.own_networks import residual
from tl_keras.commands.advise import main
from tl_keras.config.files import load_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.experiment.stages import run_experiment
from tl_keras.results_layout import place
from tl_keras.transfer.trainer import Trainer

Written = Callable[..., Path]


@pytest.fixture
def written(
    photos: Path, tiny_backbone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Written:
    """`written(**keys)`: the file of an experiment, of which nothing can be trained."""
    monkeypatch.setattr(Trainer, "train", lambda *given: pytest.fail("advice trains nothing"))

    def write(**keys: Any) -> Path:
        config = {
            "name": "colours",
            "data": {"folder": str(photos), "train_per_class": 4, "validation_per_class": 2},
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "strategies": ["feature_extraction"],
            "seeds": 1,
            "export": False,
            "results_dir": str(tmp_path / "results"),
        }
        path = tmp_path / "experiment.json"
        path.write_text(json.dumps(config | keys))
        return path

    return write


def test_a_paragraph_and_a_row_per_block(
    written: Written, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([str(written()), "--json", str(tmp_path / "advice.json")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    advice = json.loads((tmp_path / "advice.json").read_text())

    assert "Advice: linear probe" in shown
    assert "similar low-level features: not available" not in shown
    assert "source larger than target: not fulfilled" in shown
    assert [row["block"] for row in advice["blocks"]] == ["stem", "block1", "top"]
    assert all(f"{row['accuracy']:.3f}" in shown for row in advice["blocks"])
    assert (advice["training_images"], advice["images_per_class"]) == (18, 6)
    assert not (tmp_path / "results").exists(), "nothing is written where it was not asked for"


def test_an_experiment_says_and_keeps_the_same_advice(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written()
    main([str(path), "--json", str(tmp_path / "advice.json")])
    monkeypatch.undo()
    alone = json.loads((tmp_path / "advice.json").read_text())
    with pytest.raises(KeyboardInterrupt):
        run_experiment(path, monitor=_Stopping())
    kept = json.loads(place(tmp_path / "results" / "colours", "advice.json").read_text())

    assert kept == alone


class _Stopping:
    """Ends the experiment when it has given its advice."""

    def advise(self, advice: object) -> None:
        raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *heard: None


def test_test_images_are_not_looked_at(
    written: Written, photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Advice on a table whose test images are replaced by noise is the same."""
    rows = [(path, path.parent.name) for path in sorted(photos.rglob("*.png"))]
    rng = np.random.default_rng(0)
    texts = []
    for noisy in (False, True):
        lines = ["path,label,split"]
        for number, (path, label) in enumerate(rows):
            test = number % 2 == 0
            shown = path
            if test and noisy:
                shown = tmp_path / f"noise{number}.png"
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(shown)
            lines.append(f"{shown},{label},{'test' if test else 'train'}")
        (tmp_path / "images.csv").write_text("\n".join(lines))
        data = {"table": str(tmp_path / "images.csv"), "train_per_class": 3}
        assert main([str(written(data=data))]) == 0
        texts.append(capsys.readouterr().out)

    assert texts[0] == texts[1]


@pytest.mark.parametrize("where", ["missing/advice.json", "."])
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    written: Written,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    monkeypatch.setattr(tl_keras.experiment.advise, "advise", lambda *given, **keys: pytest.fail())
    assert main([str(written()), "--json", str(tmp_path / where)]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / where) in said and "--json" in said
    assert not (tmp_path / "missing").exists()


def test_a_mistake_is_a_sentence(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written()), "--set", "backbone.image_size=0"]) == 2
    assert "backbone.image_size" in capsys.readouterr().err


@pytest.mark.slow
def test_networks_have_a_table_and_commands_that_can_be_pasted(
    written: Written, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    residual(named=True).save(tmp_path / "own.keras")
    keys = {"weights": None, "scaling": "tf", "image_size": 32}
    networks = f"Tiny,{tmp_path / 'own.keras'}"
    path = written(backbone=keys)
    words = [str(path), "--networks", networks, "--sizes", "32,40", "--set", "seeds=2"]
    assert main([*words, "--json", str(tmp_path / "advice.json")]) == 0
    shown = capsys.readouterr().out
    rows = json.loads((tmp_path / "advice.json").read_text())["networks"]
    # of random weights, both side by side may be worth a row or not
    single = [row for row in rows if row["beside"] is None]
    assert [row["image_size"] for row in single] == [32, 40, 32, 40]
    assert all(f"{row['accuracy_low']:.3f}-{row['accuracy_high']:.3f}" in shown for row in rows)
    lines = shown[: shown.index("To follow it")].splitlines()
    # a warning is one line, wherever it is read
    assert max(len(line) for line in lines if not line.startswith("warning")) <= 80

    follow, *each, report = (
        shlex.split(line) for line in shown.splitlines() if line.startswith("tl-keras")
    )
    (taken,) = (row for row in rows if row["chosen"])
    config = typed_config(follow)
    assert next(iter(config.backbone.networks)) in ("file", taken["network"])
    assert (config.backbone.side, config.seeds) == (taken["image_size"], 2)
    configs = [typed_config(words) for words in each]
    assert [config.backbone.label for config in configs] == ["Tiny", "own"]
    assert report[2:] == [str(config.results_folder) for config in configs]


def typed_config(words: list[str]) -> ExperimentConfig:
    """Of a command that was printed."""
    assert words[:2] == ["tl-keras", "run"]
    given = [text for option, text in pairwise(words) if option == "--set"]
    config = load_config(words[2], given)
    assert len(config.backbone.candidates) == 1
    return config
