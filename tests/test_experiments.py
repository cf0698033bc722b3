"""The experiment files that are shipped."""

import importlib.util
import json
from pathlib import Path

import pytest

from tl_keras.config.files import json_schema, load_config

FOLDER = Path(__file__).parents[1] / "experiments"
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != "source_textures.json")


def test_the_experiments_are_there() -> None:
    assert {path.stem for path in FILES} >= {
        "cats_vs_dogs",
        "colorectal_histology",
        "data_size",
        "defects",
        "digits",
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
    import tl_keras.data.surface_defects  # noqa: F401

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
