"""An experiment with corrected labels: what it rests on, tells, and refuses to go on with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tl_keras.errors import DataError, ResultsError
from tl_keras.experiment.dry_run import in_words, make_plan
from tl_keras.experiment.first_look import look_before
from tl_keras.experiment.inputs import experiment_config
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results_layout import place

ROWS = "blue/3.png,blue,green\ngreen/5.png,green,\namber/0.png,amber,amber\n"
Run = Callable[..., ExperimentResult]


@pytest.fixture
def settings(
    photos: Path, tiny_backbone: None, without_report: None, tmp_path: Path
) -> dict[str, Any]:
    """Of an experiment of one short run."""
    correct(tmp_path, ROWS)
    return {
        "name": "colours",
        "data": {"folder": str(photos), "corrections": str(tmp_path / "corrections.csv")},
        "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
        "training": {"phase_1": {"epochs": 2}},
        "strategies": ["feature_extraction"],
        "seeds": 1,
        "learning_curve": False,
        "export": False,
        "results_dir": str(tmp_path / "results"),
    }


def correct(folder: Path, rows: str) -> None:
    (folder / "corrections.csv").write_text(f"image_id,was,label\n{rows}")


@pytest.mark.slow
def test_runs_rest_on_corrected_labels_and_go_on_with_the_same_ones_only(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    result = run_experiment(settings)
    used = result.splits.drop_duplicates("image_id").set_index("image_id")["class_index"]
    assert used["blue/3.png"] == 2
    assert "green/5.png" not in used
    assert "green/5.png" not in pd.read_csv(place(result.folder, "images.csv"))["image_id"].tolist()
    ignored = pd.read_csv(place(result.folder, "ignored_files.csv"))
    assert ignored.to_numpy().tolist() == [["green/5.png", "left out by data.corrections"]]
    finished = FinishedExperiment.open(result.folder)
    assert [row.kind for row in finished.corrections] == ["corrected", "left out", "confirmed"]
    told = "data.corrections: 1 label corrected, 1 photo left out, 1 label confirmed."
    assert told in json.loads(place(result.folder, "audit.json").read_text())["notes"]
    assert told in in_words(make_plan(look_before(experiment_config(settings))))
    answers = finished.test_answers()
    assert answers is not None
    right = (answers["answered"] == answers["class_index"]).mean()
    assert right == pytest.approx(result.runs["test_accuracy"].iloc[0])

    again = run_experiment(settings)
    assert again.runs.equals(result.runs)
    for rows in (ROWS.replace("amber,amber", "amber,blue"), ROWS.partition("\n")[0]):
        correct(tmp_path, rows)
        with pytest.raises(ResultsError, match=r"The corrections are not those .*fresh=True"):
            run_experiment(settings)
    without = {**settings, "data": {"folder": settings["data"]["folder"]}}
    with pytest.raises(ResultsError, match=r"data\.corrections: .* -> None"):
        run_experiment(without)
    (tmp_path / "corrections.csv").unlink()
    with pytest.raises(DataError, match="no such file"):
        run_experiment(settings)


@pytest.mark.slow
def test_with_folds_every_photo_has_an_answer(settings: dict[str, Any]) -> None:
    folds = {"method": "k_fold", "folds": 2, "repeats": 2}
    del settings["seeds"]
    result = run_experiment({**settings, "estimate": folds})
    answers = result.finished.test_answers()
    assert answers is not None
    assert answers["image_id"].is_unique
    assert set(answers["image_id"]) == set(result.splits["image_id"])
    first = result.runs[result.runs["seed"] < 2]
    right = (first["test_accuracy"] * first["test_images"]).sum()
    assert (answers["answered"] == answers["class_index"]).sum() == pytest.approx(right)


def test_what_does_not_fit_the_photos_is_said_before_anything_is_written(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    correct(tmp_path, "blue/3.png,green,blue\n")
    with pytest.raises(DataError, match="have changed since"):
        run_experiment(settings)
    assert not (tmp_path / "results" / "colours").exists()
