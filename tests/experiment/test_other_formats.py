"""Photos in formats that an export does not take: trained on, exported, and said so."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tl_keras.commands.predict import main
from tl_keras.experiment.monitor import Warned
from tl_keras.experiment.stages import ExperimentResult, run_experiment

pytestmark = pytest.mark.slow

SAID = "exported model takes JPEG, PNG, BMP or GIF; some of the photos are TIFF and WEBP"


def run(folder: Path, results: Path, monitor: Warned) -> ExperimentResult:
    config: dict[str, Any] = {
        "name": "colours",
        "data": {"folder": str(folder), "train_per_class": 4, "validation_per_class": 4},
        "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
        "strategies": ["feature_extraction"],
        "training": {"phase_1": {"epochs": 2}},
        "seeds": 1,
        "learning_curve": False,
        "results_dir": str(results),
        "cache": {"folder": str(results / "cache")},
    }
    return run_experiment(config, monitor=monitor)


@pytest.fixture(scope="module")
def runs(
    photos: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_backbone: None,
    checked_here: None,
    never_reported: None,
) -> dict[str, tuple[Path, ExperimentResult, Warned]]:
    """The same photos as PNG, and half of them each as TIFF and lossless WebP."""
    place = tmp_path_factory.mktemp("formats")
    folders = {"png": place / "png", "others": place / "others"}
    shutil.copytree(photos, folders["png"])
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        target = folders["others"] / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            # names in the same order, so that the same photos are drawn
            if number % 2:
                image.save(target.with_suffix(".tif"), "TIFF", compression="tiff_lzw")
            else:
                image.save(target.with_suffix(".webp"), "WEBP", lossless=True)
    made = {}
    for name, folder in folders.items():
        monitor = Warned()
        made[name] = (folder, run(folder, place / f"results_{name}", monitor), monitor)
    return made


def test_the_same_pixels_give_the_same_numbers(
    runs: dict[str, tuple[Path, ExperimentResult, Warned]],
) -> None:
    columns = ["validation_loss", "test_loss", "test_accuracy"]
    png, others = (runs[name][1].runs[columns] for name in ("png", "others"))
    np.testing.assert_array_equal(png, others)


def test_the_export_answers_as_the_model_and_says_what_it_takes(
    runs: dict[str, tuple[Path, ExperimentResult, Warned]],
) -> None:
    for name, (_, result, monitor) in runs.items():
        assert result.export is not None
        card = json.loads((result.export / "assets.extra" / "model_card.json").read_text())
        assert card["verification"]["largest_difference"] < 1e-4
        for told in (monitor.warnings, card["known_limits"]):
            assert any(SAID in text for text in told) == (name == "others")


def test_a_folder_of_them_is_classified(
    runs: dict[str, tuple[Path, ExperimentResult, Warned]], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {}
    for name, (folder, _, _) in runs.items():
        export = runs["png"][1].export
        assert export is not None
        assert main([str(export), str(folder), "--format", "jsonl"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert not any(line["problem"] for line in lines)
        labels[name] = {
            Path(line["file"]).with_suffix("").parts[-2:]: line["label"] for line in lines
        }
    assert labels["png"] == labels["others"]
    assert len(labels["png"]) == 42
