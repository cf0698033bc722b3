"""The experiment files that are shipped."""

import importlib.util
import json
from pathlib import Path

import pytest

from tl_keras.config.files import json_schema, load_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.monitor import Silent
from tl_keras.experiment.prepare import prepare_images

FOLDER = Path(__file__).parents[1] / "experiments"
DATA = FOLDER.parents[1] / "shared" / "data"
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != "source_textures.json")


def test_the_experiments_are_there() -> None:
    assert {path.stem for path in FILES} >= {
        "cats_vs_dogs",
        "colorectal_histology",
        "data_size",
        "defects",
        "digits",
        "faces",
        "faces_to_digits",
        "steel_defects",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_experiment_loads_under_the_name_of_its_file(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    assert config.description


@pytest.mark.skipif(
    importlib.util.find_spec("jsonschema") is None, reason="jsonschema is not installed"
)
def test_experiments_agree_with_the_json_schema() -> None:
    validator = importlib.import_module("jsonschema").Draft202012Validator
    validator.check_schema(json_schema())
    for path in FILES:
        validator(json_schema()).validate(json.loads(path.read_text()))


def test_defects_compares_everything_offline() -> None:
    config = load_config(FOLDER / "defects.json")
    assert (config.data.tfds, config.data.train_per_class, config.seeds) == (
        "surface_defects",
        20,
        3,
    )
    assert config.backbone.weights == "bundled"
    assert set(config.strategies) == {
        "majority_class",
        "from_scratch",
        "linear_probe",
        "feature_extraction",
        "fine_tuning",
        "searched",
    }
    assert config.search.max_trials >= 6
    assert len(config.search.unfrozen_blocks) >= 4


def test_data_size_is_a_sweep() -> None:
    config = load_config(FOLDER / "data_size.json")
    assert len(config.data.training_sizes) >= 3


@pytest.mark.parametrize(
    "experiment", ["cats_vs_dogs", "colorectal_histology", "data_size", "defects", "digits"]
)
def test_data_set_name_resolves(experiment: str) -> None:
    import tensorflow_datasets as tfds

    import tl_keras.data.handwritten_digits
    import tl_keras.drawn.surface_defects  # noqa: F401

    name = load_config(FOLDER / f"{experiment}.json").data.tfds
    assert tfds.builder_cls(name).name == name


def test_steel_defects_takes_photos_weights_and_sizes_from_the_command_line() -> None:
    config = load_config(
        FOLDER / "steel_defects.json",
        [
            "data.folder=../photos",
            "backbone.weights=../weights/a.weights.h5",
            "data.train_per_class=10",
            "backbone.image_size=96",
        ],
    )
    assert (config.data.folder, config.backbone.weights) == ("../photos", "../weights/a.weights.h5")
    assert (config.data.train_per_class, config.backbone.image_size) == (10, 96)


def test_faces_are_a_source_for_digits() -> None:
    source, target = (load_config(FOLDER / f"{name}.json") for name in ("faces", "faces_to_digits"))
    assert target.backbone.weights == str(source.results_folder)
    for key in ("name", "alpha", "image_size"):
        assert getattr(target.backbone, key) == getattr(source.backbone, key)
    assert "from_scratch" in source.strategies
    assert source.export


def test_the_bundled_source_is_the_same_file() -> None:
    changes = ["backbone.weights=bundled", "name=bundled_to_digits"]
    config = load_config(FOLDER / "faces_to_digits.json", changes)
    assert (config.name, config.backbone.weights) == ("bundled_to_digits", "bundled")


@pytest.mark.skipif(
    not ((DATA / "orl_faces").is_dir() and (DATA / "mnist_digits").is_dir()),
    reason="the faces and digits are not on this machine",
)
def test_the_faces_are_fewer_than_the_digits() -> None:
    def training_images(config: ExperimentConfig) -> set[int]:
        draws = prepare_images(FirstLook(config), Silent()).splits.draws
        return {len(draw.train) for draw in draws.values()}

    faces = load_config(FOLDER / "faces.json", [f"data.folder={DATA / 'orl_faces'}"])
    digits = load_config(FOLDER / "faces_to_digits.json", [f"data.folder={DATA / 'mnist_digits'}"])
    assert (training_images(faces), training_images(digits)) == ({240}, {320})
