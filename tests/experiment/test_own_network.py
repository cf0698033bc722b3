"""A network from a file, or from Python, goes through an experiment as one of the table does."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.own_networks import nested, residual, trained, with_classifier
from tl_keras.config.schema import CacheConfig
from tl_keras.errors import ConfigError
from tl_keras.experiment.advise import advise
from tl_keras.experiment.dry_run import make_plan
from tl_keras.experiment.expected_time import expected_seconds
from tl_keras.experiment.first_look import look_before
from tl_keras.experiment.inputs import experiment_config
from tl_keras.experiment.monitor import Silent
from tl_keras.experiment.prepare import load_backbone, prepare
from tl_keras.experiment.shared_inputs import Inputs
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.results_layout import place
from tl_keras.transfer.run_plan import plan_runs
from tl_keras.transfer.transfer_classifier import TransferClassifier

pytestmark = [
    pytest.mark.usefixtures("never_reported", "checked_here"),
    # KerasTuner asks for the current thread by its old name.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]
SHORT = {"epochs": 2, "learning_rate": 0.05}
Configure = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def configure(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Configure:
    """`configure(backbone, **keys)`: an experiment with its network, of one seed."""
    folder = tmp_path_factory.mktemp("own")

    def configured(backbone: Any, **keys: Any) -> dict[str, Any]:
        return {
            "name": "own",
            "data": {"folder": str(photos), "train_per_class": 4, "test_fraction": 0.4},
            "backbone": backbone,
            "strategies": ["from_scratch", "linear_probe", "fine_tuning", "searched"],
            "fine_tuning": {"unfrozen_blocks": ["all"]},
            "search": {"max_trials": 1, "folds": 1, "unfrozen_blocks": [1]},
            "training": {"phase_1": SHORT, "phase_2": SHORT, "from_scratch": SHORT},
            "seeds": 1,
            "learning_curve": False,
            "cache": {"folder": str(folder / "features")},
            "results_dir": str(folder / "results"),
        } | keys

    return configured


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("file") / "parts.keras"
    trained(with_classifier(below=residual(named=True))).save(path)
    return str(path)


@pytest.fixture(scope="module")
def result(configure: Configure, file: str, photos: Path) -> ExperimentResult:
    backbone = {"name": "file", "weights": file, "scaling": "tf", "image_size": 40}
    # fine-tuning alone is handed over, so that it leaves a source model
    return run_experiment(configure(backbone, strategies=["fine_tuning", "from_scratch"]))


def test_every_strategy_is_run_and_one_is_exported(result: ExperimentResult) -> None:
    assert set(result.runs["backbone"]) == {"parts"}
    assert set(result.runs["image_size"]) == {40}
    classifier = result.model()
    assert classifier.inputs[0].shape[1:] == (40, 40, 3)
    assert result.export is not None
    source = json.loads(place(result.folder, "environment.json").read_text())["source"]
    assert (source["name"], source["scaling"], source["image_size"]) == ("parts.keras", "tf", 32)


def test_a_finished_experiment_is_a_source_that_is_a_file(
    result: ExperimentResult, configure: Configure
) -> None:
    backbone = {"name": "file", "weights": str(result.folder), "image_size": 40}
    found, card = load_backbone(experiment_config(configure(backbone)))
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 40, 40, 3)).astype("float32")
    first, images = result.model().get_layer("backbone"), result.model().get_layer("scaling")
    np.testing.assert_allclose(found.model(pixels), first(images(pixels)), rtol=1e-4, atol=1e-4)
    assert found.spec.scaling == "none"
    assert card is not None
    assert card.name == "own"


def test_it_goes_on_without_training(result: ExperimentResult) -> None:
    again = run_experiment(result.config)
    assert again.export == result.export


@pytest.mark.slow
def test_a_model_from_python_with_scaling_inside(configure: Configure, tmp_path: Path) -> None:
    keys = {
        "name": "given",
        "results_dir": str(tmp_path),
        "strategies": ["linear_probe", "searched"],
    }
    network = trained(nested())
    config = configure({"weights": network, "image_size": 32}, **keys, export=False)
    found = run_experiment(config)
    named = found.config.backbone
    assert (named.name, Path(str(named.weights)).parent) == ("file", tmp_path / "_networks")
    assert experiment_config(configure(network, **keys)).backbone.weights == named.weights
    source = json.loads(place(found.folder, "environment.json").read_text())["source"]
    assert source["scaling"] == "none"
    assert found.trials is not None


def test_workers_have_the_same_network(configure: Configure, file: str, tmp_path: Path) -> None:
    backbone = {"name": "file", "weights": file, "scaling": "tf", "image_size": 32}
    config = experiment_config(configure(backbone, results_dir=str(tmp_path), export=False))
    prepared = prepare(look_before(config), Silent())
    inputs = pickle.loads(pickle.dumps(Inputs.of(prepared, CacheConfig())))
    there = inputs.prepared(prepared.bench.images.pixels).backbone
    assert there.spec == prepared.backbone.spec
    assert there.source_digest() == prepared.backbone.source_digest()
    assert there.block_names == ("stem", "block1", "block2", "block3")


def test_a_wrong_scaling_is_told(configure: Configure, file: str, photos: Path) -> None:
    images = keras.Input((32, 32, 3))
    outputs = keras.layers.BatchNormalization(momentum=0.0)(images)
    network = keras.Model(images, keras.layers.Conv2D(4, 3)(outputs))
    norm = network.layers[1]
    norm.moving_mean.assign([0.485, 0.456, 0.406])
    norm.moving_variance.assign([0.08, 0.08, 0.08])
    path = Path(file).with_name("normed.keras")
    network.save(path)
    backbone = {"name": "file", "weights": str(path), "scaling": "none", "image_size": 32}
    found = advise(configure(backbone), monitor=Silent())
    (check,) = (check for check in found.checks if check.name == "same kind of input")
    assert check.finding == "not fulfilled"
    assert '{"mean": 0, "std": 255}' in check.sentence
    planned = experiment_config(configure(backbone, name="scaled"))
    assert check.sentence in make_plan(look_before(planned)).warnings
    unset = {k: v for k, v in backbone.items() if k != "scaling"}
    planned = experiment_config(configure(unset, name="scaled"))
    assert not make_plan(look_before(planned)).warnings
    right = advise(configure(unset))
    assert all(
        check.finding != "not fulfilled" or "scal" not in check.sentence for check in right.checks
    )


def test_blocks_and_time_are_known_once_the_file_is_read(configure: Configure, file: str) -> None:
    backbone = {"name": "file", "weights": file, "scaling": "tf", "image_size": 32}
    config = experiment_config(configure(backbone | {"cut": "block9"}, name="planned"))
    with pytest.raises(ConfigError, match=r"backbone.cut .*stem, block1.*got block9"):
        make_plan(look_before(config))
    plan = make_plan(look_before(experiment_config(configure(backbone, name="planned"))))
    runs = plan_runs(plan.config)
    assert all(s > 0 for s in expected_seconds(plan.config, plan.images.splits, runs).values())


def test_scikit_learn_takes_a_model(photos: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (24, 32, 32, 3)).astype("uint8")
    x[12:] //= 4
    y = np.repeat(["light", "dark"], 12)
    network = trained(residual())
    classifier = TransferClassifier(
        network, scaling="tf", image_size=32, strategy="linear_probe", random_state=0
    )
    assert classifier.fit(x, y).score(x, y) > 0.9
