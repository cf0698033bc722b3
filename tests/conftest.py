"""What all tests share: the environment, set before any test imports TensorFlow, and photos."""

import atexit
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.digests import keep_json, list_in
from tl_keras.evaluation.metrics import METRICS, column_of
from tl_keras.results import summary_tables as tables
from tl_keras.results.choice import OnValidation, choose_run
from tl_keras.results.comparisons import comparison_table
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.store import Outcome, Store
from tl_keras.results.test_results import TestResults
from tl_keras.results_layout import place

# What tests share lies beside them; last, so that an installed package comes before its source.
sys.path.append(str(Path(__file__).parents[1]))
# pyarrow 17 brings a package of the same name: the first one that is imported is it.
sys.path.insert(0, str(Path(__file__).parents[1]))
importlib.import_module("benchmarks")
sys.path.pop(0)
# Without a GPU every machine computes the same.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
# As experiments have it, also where a test uses TensorFlow before the first of them.
os.environ["TF_NUM_INTRAOP_THREADS"] = "2"
os.environ["MPLBACKEND"] = "agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Graphs are many objects that live: looking through them for circles as often as usual takes a
# twentieth of the time of all tests.
gc.set_threshold(50_000, 20, 10)
# A shell that starts the tests in the background has them ignore Ctrl-C, which commands respect.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Features of test networks are nothing for the user's own cache.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="tl_keras-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

LONGEST = ("test_pages_run.py", "test_shipped.py")
COLOURS = {"amber": (200, 150, 90), "blue": (110, 110, 200), "green": (110, 190, 110)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no core is left alone with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def one_worker() -> Iterator[None]:
    """Experiments that do not say otherwise train in this process: others take seconds to load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tl_keras.engine.capacity.processors", lambda: 1)
        yield


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the report takes longer than the rest; only what fixtures share has one."""
    monkeypatch.setattr("tl_keras.experiment.stages.write_report", lambda folder: folder)


@pytest.fixture(scope="module")
def never_reported() -> Iterator[None]:
    """The same for what the fixtures of a module share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tl_keras.experiment.stages.write_report", lambda folder: folder)
        yield


@pytest.fixture(scope="module")
def checked_here() -> Iterator[None]:
    """Exports are checked in the same process: a new one takes longer than all the rest."""
    from tl_keras.serving.fresh import classify_and_time

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tl_keras.serving.verify.answers_of_fresh_process", classify_and_time)
        patch.setattr(
            "tl_keras.experiment.export.fresh_process", lambda: nullcontext(classify_and_time)
        )
        yield


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fourteen noisy pictures of each colour, one sub-folder per colour."""
    folder = tmp_path_factory.mktemp("shared") / "photos"
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(14):
            shade = np.array(colour) + rng.normal(0, 30, 3)
            pixels = shade + rng.normal(0, 40, (36, 40, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def tiny_backbone() -> Iterator[None]:
    """Let Keras and the table of backbones know "Tiny" and "Tiny2", of three convolutions each."""
    import keras

    from tests.hostile.tiny_network import network
    from tests.tiny_spec import tiny_spec
    from tl_keras.backbone_table import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        for name in ("Tiny", "Tiny2"):
            spec = tiny_spec(32, name=name, alphas=(0.5, 1.0))
            patch.setitem(BACKBONES, name, spec)
            patch.setattr(keras.applications, name, network, raising=False)
        yield


@pytest.fixture
def source_config(tmp_path: Path) -> Callable[..., Any]:
    """A function that makes the configuration of a tiny source task, with some keys changed."""
    from tl_keras.pretraining.source_config import SourceConfig

    def make(**changes: Any) -> SourceConfig:
        facts = {
            "name": "tiny",
            "description": "A few shapes.",
            "generated": {"classes": 3, "images_per_class": 6, "held_out_per_class": 2, "seed": 1},
            "image_size": 32,
            "small_image_size": 32,
            "epochs": 2,
            "rounds_per_epoch": 2,
            "batch_size": 4,
            "batch_norm_images": 12,
            "seed": 1,
            "output": str(tmp_path / "model"),
            "work": str(tmp_path / "work"),
        }
        return SourceConfig.model_validate_json(json.dumps(facts | changes))

    return make


@pytest.fixture
def source_images() -> Callable[[Any], Any]:
    """A function that makes random pixels in place of what a configuration would have drawn."""
    from tl_keras.pretraining.source_images import SourceImages

    def make(config: Any) -> SourceImages:
        per_class = config.generated.images_per_class + config.generated.held_out_per_class
        rows = np.arange(config.generated.classes * per_class)
        shape = (len(rows), config.image_size, config.image_size, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        held_out = rows % per_class >= config.generated.images_per_class
        classes = tuple(map(str, range(config.generated.classes)))
        return SourceImages(pixels, rows // per_class, classes, rows[~held_out], rows[held_out])

    return make


@pytest.fixture(scope="session")
def colour_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a Keras model, version 3.

    The probabilities are the softmax of the mean of each colour channel, 0..1, times 2; calibrated,
    of the mean. From 0.4 on a picture counts as green, and near that it is for a person.
    """
    import keras

    from tl_keras.evaluation.decision_rule import DecisionRule
    from tl_keras.serving.saved_model import export_classifier

    images = keras.Input((4, 4, 3))
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(2 / 255)(images))
    model = keras.Model(images, keras.layers.Softmax()(means))
    directory = tmp_path_factory.mktemp("results") / "colours" / "export"
    labels = ("red", "grün", "blue")
    version = export_classifier(
        model,
        labels=labels,
        image_size=4,
        reading=DEFAULTS,
        directory=directory,
        rule=DecisionRule(labels, 2.0, (1.0, 1.0, 1.0), ("grün",), 0.4, 0.2),
    )
    version.rename(directory / "3")
    return directory


FINISHED_CLASSES = ("crack", "dent")
FINISHED_LABELS = np.repeat([0, 1], 20)
# Test images of 40 that the strategy answers wrongly, the first ones of class "crack".
FINISHED_WRONG = {"from_scratch": 15, "feature_extraction": 8, "fine_tuning": 2}
FINISHED_DEPTHS = {"from_scratch": "all", "feature_extraction": "0", "fine_tuning": "2"}


def _finished_row(strategy: str, seed: int, name: str) -> dict[str, Any]:
    right = 1 - FINISHED_WRONG[strategy] / len(FINISHED_LABELS)
    return {
        "experiment": name,
        "run_id": f"{strategy}-n5-s{seed}",
        "strategy": strategy,
        "seed": seed,
        "train_per_class": 5,
        "labelled_images_per_class": 10.0,
        "unfrozen_blocks": FINISHED_DEPTHS[strategy],
        "cut": "top",
        "trainable_parameters": 100,
        "validation_loss": FINISHED_WRONG[strategy] / 10,
        "validation_accuracy": right,
        "selection_loss": FINISHED_WRONG[strategy] / 10,
        "test_loss": 1.0,
        **{
            column_of(name): right
            for name, metric in METRICS.items()
            if metric.reads == "predicted"
        },
        "classes": 2,
        "training_images": 10,
        "validation_images": 10,
        "test_images": len(FINISHED_LABELS),
        "generated_images": False,
        "phase_1_seconds": 1.0,
        "phase_2_seconds": 2.0,
        "classifier_megabytes": 8.6,
        "milliseconds_per_image": 4.0,
        "configuration_hash": "abc",
    }


def _finished_outcome(strategy: str, seed: int, name: str) -> Outcome:
    right = np.arange(len(FINISHED_LABELS)) >= FINISHED_WRONG[strategy]
    answered = np.where(right, FINISHED_LABELS, 1 - FINISHED_LABELS)
    history = pd.DataFrame(
        {
            "run_id": [f"{strategy}-n5-s{seed}"] * 4,
            "phase": ["head", "head", "fine_tuning", "fine_tuning"],
            "epoch": [1, 2, 1, 2],
            "loss": [1.0, 0.8, 0.5, 0.3],
            "accuracy": [0.5, 0.6, 0.7, 0.8],
            "validation_loss": [1.1, 0.9, 0.6, 0.5],
            "validation_accuracy": [0.5, 0.6, 0.7, 0.8],
        }
    )
    probabilities = np.eye(2, dtype=np.float32)[answered] * 0.8 + 0.1
    row = _finished_row(strategy, seed, name)
    losses = np.full(20, row["selection_loss"])
    return Outcome(
        FinishedRun.from_row(row), history, probabilities[:20], losses, probabilities, {}
    )


def finished_splits(tested: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    """The test photos, and of each seed five photos of each class for training and validation."""
    test = {"seed": None, "train_per_class": None, "part": "test", "image_id": tested}
    parts = [pd.DataFrame({**test, "class_index": FINISHED_LABELS})]
    for seed in seeds:
        for part in ("train", "validation"):
            ids = [f"{part}{number}" for number in range(10)]
            drawn = {"seed": seed, "train_per_class": 5, "part": part, "image_id": ids}
            parts.append(pd.DataFrame({**drawn, "class_index": np.repeat([0, 1], 5)}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def finish(tmp_path: Path) -> Callable[..., Path]:
    """`finish(name, strategies, **keys)`: the folder of an experiment with two seeds."""

    def finished(
        name: str = "parts",
        strategies: tuple[str, ...] = tuple(FINISHED_WRONG),
        photos: str = "photo",
        **keys: Any,
    ) -> Path:
        config = ExperimentConfig.model_validate(
            {
                "name": name,
                "data": {"folder": "photos", "train_per_class": 5},
                "seeds": 2,
                "results_dir": str(tmp_path / "results"),
            }
            | keys
        )
        store = Store.open(config)
        names = [(strategy, seed) for strategy in strategies for seed in (0, 1)]
        for strategy, seed in names:
            store.add(f"{strategy}-n5-s{seed}", _finished_outcome(strategy, seed, name))
        run_ids = [f"{strategy}-n5-s{seed}" for strategy, seed in names]
        runs = runs_table([store.run(run_id) for run_id in run_ids])
        predicted = {name: store.test_probabilities(name).argmax(axis=1) for name in run_ids}
        rows = dict.fromkeys(run_ids, np.arange(len(FINISHED_LABELS)))
        results = TestResults(FINISHED_LABELS, rows, predicted, FINISHED_CLASSES)
        ids = [f"{photos}{number}" for number in range(len(FINISHED_LABELS))]
        for title, table in {
            "runs": runs,
            "summary": tables.summary_table(runs, results),
            "comparisons": comparison_table(runs, results),
            "per_class": tables.per_class_table(runs, results),
            "confusion": tables.confusion_table(runs, results),
            "history": store.histories(run_ids),
            "images": pd.DataFrame({"image_id": ids, "sha256": ids, "group": ids}),
            "splits": finished_splits(ids, sorted(set(runs["seed"]))),
        }.items():
            store.write(title, table)
        keep_json(place(store.folder, "environment.json"), {"tensorflow": "2.21", "processors": 2})
        validation = {
            run_id: OnValidation(
                store.selection_losses(run_id), np.ones(20, bool), np.array(ids[:20])
            )
            for run_id in run_ids
        }
        choice = choose_run(runs, validation, lambda run: False)
        keep_json(place(store.folder, "choice.json"), asdict(choice))
        # tests change some of it
        list_in(store.folder).unlink()
        return store.folder

    return finished
