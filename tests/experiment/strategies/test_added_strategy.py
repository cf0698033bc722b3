"""A strategy that is added at run time, a row and a module, goes through everything."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tl_keras.config.files import parse_config
from tl_keras.data.splits import Draw
from tl_keras.errors import ConfigError
from tl_keras.experiment.dry_run import as_json, in_words, make_plan
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.experiment.strategies.fitted import Fitted
from tl_keras.results.runs_table import FinishedRun, load_runs
from tl_keras.serving.exported_classifier import ExportedClassifier
from tl_keras.strategy_table import STRATEGIES, StrategySpec
from tl_keras.transfer.run_plan import Run

NAME, MODULE = "nearest_colour", "nearest_colour_strategy"
SECONDS = 7.0


def nearest_colour(means: np.ndarray) -> keras.Model:
    """The nearer the mean colour of an image is to that of a class, the more probable it is."""
    images = keras.Input((32, 32, 3))
    colours = keras.layers.GlobalAveragePooling2D()(images)
    answer = keras.layers.Dense(len(means), name="means")
    model = keras.Model(images, keras.layers.Softmax()(answer(colours)))
    # the squared distance, without what all classes share
    answer.set_weights([2 * means.T / 1000, -np.sum(means**2, axis=1) / 1000])
    return model


def fit(prepared: Prepared, run: Run, draw: Draw) -> Fitted:
    pixels, labels = prepared.bench.images.pixels, prepared.labels
    means = np.stack(
        [
            pixels[draw.train[labels[draw.train] == k]].mean(axis=(0, 1, 2))
            for k in range(len(prepared.classes))
        ]
    )
    network = nearest_colour(means)
    validation, test = (
        np.asarray(network(pixels[rows].astype(np.float32)))
        for rows in (draw.validation, prepared.test_of(run))
    )
    columns = {"cut": "none", "trainable_parameters": means.size}
    return Fitted(validation, test, {"means": means}, columns)


def model(prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]) -> keras.Model:
    return nearest_colour(weights["means"])


def seconds(run: Run, config: Any, train: int, validation: int) -> float:
    return SECONDS


@pytest.fixture(scope="module")
def added() -> Iterator[None]:
    module = ModuleType(MODULE)
    vars(module).update(fit=fit, model=model, seconds=seconds)
    spec = StrategySpec(
        NAME, "nearest colour", "a mean colour per class", MODULE, borrows=False, by_steps=False
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, MODULE, module)
        patch.setitem(STRATEGIES, NAME, spec)
        yield


@pytest.fixture(scope="module")
def config(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {
        "name": "colours",
        "data": {"folder": str(photos), "train_per_class": 4, "validation_per_class": 4},
        "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
        "strategies": ["majority_class", NAME],
        "seeds": 2,
        "learning_curve": False,
        "results_dir": str(tmp_path_factory.mktemp("results")),
    }


@pytest.fixture(scope="module")
def result(
    added: None, config: dict[str, Any], tiny_backbone: None, checked_here: None
) -> ExperimentResult:
    return run_experiment(config)


def test_without_its_row_it_is_refused(config: dict[str, Any], tiny_backbone: None) -> None:
    with pytest.raises(ConfigError, match=NAME):
        parse_config(config)


def test_its_runs_are_rows_of_the_table(result: ExperimentResult) -> None:
    own = result.runs[result.runs["strategy"] == NAME]
    assert own["run_id"].tolist() == [f"{NAME}-n4-s0", f"{NAME}-n4-s1"]
    assert own["trainable_parameters"].tolist() == [9, 9]
    assert (own["test_accuracy"] > 0.5).all()
    stored = load_runs(result.folder.parent)
    pd.testing.assert_series_equal(
        stored["run_id"], result.runs["run_id"], check_dtype=False, check_names=False
    )


def test_it_is_compared_and_chosen(result: ExperimentResult) -> None:
    (comparison,) = result.comparisons.to_dict("records")
    assert (comparison["a_name"], comparison["b_name"]) == ("nearest colour", "majority class")
    assert comparison["difference"] > 0.2
    assert result.choice.run_id.startswith(NAME)
    assert result.summary["strategy"].tolist() == ["majority_class", NAME]


def test_the_report_names_it(result: ExperimentResult) -> None:
    assert "nearest colour" in (result.folder / "report.html").read_text()


def test_its_export_answers_as_it_does(result: ExperimentResult, photos: Path) -> None:
    assert result.export is not None
    card = json.loads((result.export / "assets.extra" / "model_card.json").read_text())
    assert card["run"]["strategy"] == NAME
    files = sorted(photos.rglob("*.png"))
    answers = ExportedClassifier(result.export).classify([file.read_bytes() for file in files])
    right = [file.parent.name == label for file, label in zip(files, answers.labels, strict=True)]
    assert np.mean(right) > 0.5


def test_a_plan_takes_its_word_on_how_long_it_takes(
    result: ExperimentResult, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = parse_config(config | {"seeds": 100})
    plan = make_plan(FirstLook(asked))
    assert f"{NAME}-n4-s99" in as_json(plan)["runs"]
    # 100 runs of 7 seconds and the start
    assert "About 12 minutes" in in_words(plan)
