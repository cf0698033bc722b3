"""The file of a source task."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tl_keras.errors import ConfigError
from tl_keras.pretraining.source_config import SourceConfig, read_source_config

ROOT = Path(__file__).parents[2]
Make = Callable[..., SourceConfig]


def written(folder: Path, facts: Any) -> Path:
    path = folder / "task.json"
    path.write_text(facts if isinstance(facts, str) else json.dumps(facts))
    return path


def test_shipped_configuration_is_valid() -> None:
    config = read_source_config(ROOT / "experiments" / "source_textures.json")

    assert config.generated is not None
    assert config.generated.classes >= 200
    assert config.image_size >= 96


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "unknown key epoch; did you mean epochs\\?"),
        ({"epochs": 0}, "epochs must be a whole number from 1 to 100000; got 0"),
        ({"epochs": "3"}, 'epochs must be a whole number from 1 to 100000; got "3"'),
        ({"generated": None}, "generated or data must be given, and not both; got neither"),
        ({"data": {"folder": "photos"}}, "generated or data must be given, and not both; got both"),
        ({"data": {"folder": "a", "seed": 3}, "generated": None}, "unknown key data.seed; "),
        ({"backbone": "Resnet"}, "backbone must be one of MobileNet, .*; got Resnet"),
        ({"backbone": "Xception"}, "image_size must be at least 71 for Xception; got 32"),
        (
            {"backbone": "Xception", "image_size": 96, "full_size_part": 0.5},
            "small_image_size must be at least 71 for Xception; got 32",
        ),
        ({"auxiliary_blocks": ["stem", "stem"]}, "auxiliary_blocks must name each block once"),
        ({"seed": 2**32}, "seed must be a whole number from 0 to 2147483647; got 4294967296"),
        (
            {"generated": None, "data": {"folder": "a", "train_per_class": 5}},
            "data.train_per_class has no meaning here",
        ),
        (
            {"generated": {"clases": 3}},
            "unknown key generated.clases; did you mean generated.classes\\?",
        ),
        ({"alpha": 0.3}, "alpha must be one of .* for MobileNetV2; got 0.3"),
        ({"backbone": "ResNet50", "alpha": 1.0}, "alpha must be null for ResNet50"),
        ({"auxiliary_blocks": ["block_99"]}, "auxiliary_blocks must be of stem, .*; got block_99"),
        ({"crop_area": [0.9, 0.5]}, "crop_area must rise"),
        ({"crop_area": 0.5}, "crop_area must be a list of 2 values, each a number above 0 and"),
        ({"crop_area": [0.5, 2]}, r"crop_area\[1\] must be a number above 0 and at most 1; got 2"),
        ({"data": {"folders": "a"}}, "unknown key data.folders; did you mean data.folder\\?"),
        ({"folder": "photos"}, "unknown key folder; it belongs at data.folder"),
        ({"name": "My model"}, 'name must be a string .*; got "My model"'),
        ({"replicas": 3}, "batch_size must be a multiple of replicas .3., .* got 4"),
    ],
)
def test_a_bad_file_is_refused(
    tmp_path: Path, source_config: Make, changes: dict[str, Any], message: str
) -> None:
    facts = source_config().model_dump(mode="json") | changes
    path = written(tmp_path, facts)

    with pytest.raises(ConfigError, match=message):
        read_source_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON: expected a key"),
        ("[]", r"must hold one JSON object, such as .*; got \[\]"),
        ("{}", "epochs is missing; it must be a whole number from 1 to 100000"),
        ('{"epochs": 1, "epochs": 2}', "epochs must be given once; it is already on line 1"),
        ("[" * 100_000, "nested more than 50 deep"),
        ('{"data":' * 800 + "1" + "}" * 800, "nested more than 50 deep"),
    ],
)
def test_a_file_that_is_no_task_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_source_config(written(tmp_path, text))


def test_keys_can_be_overridden(tmp_path: Path, source_config: Make) -> None:
    path = written(tmp_path, source_config().model_dump(mode="json"))
    changed = read_source_config(
        path, ["epochs=7", "generated.classes=5", "output=models/mine", "crop_area=[0.3, 0.5]"]
    )

    assert changed.generated is not None
    assert (changed.epochs, changed.generated.classes) == (7, 5)
    assert (changed.output, changed.crop_area) == ("models/mine", (0.3, 0.5))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "must be key=value"),
        ("name.part=3", "name has no keys of its own"),
        ("epoks=3", "--set epoks=3: unknown key epoks; did you mean epochs\\?"),
    ],
)
def test_a_bad_override_is_refused(
    tmp_path: Path, source_config: Make, override: str, message: str
) -> None:
    path = written(tmp_path, source_config().model_dump(mode="json"))

    with pytest.raises(ConfigError, match=message):
        read_source_config(path, [override])


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 10**30},
        {"rounds_per_epoch": 10**30},
        {"batch_size": 10**30},
        {"batch_norm_images": 10**30},
        {"learning_rate": 1e-300},
        {"output": "a" * 5000},
        {"work": "a\0"},
        {"output": ""},
        {"description": "a" * 100_000},
    ],
)
def test_what_no_machine_can_bear_is_refused(
    tmp_path: Path, source_config: Make, changes: dict[str, Any]
) -> None:
    path = written(tmp_path, source_config().model_dump(mode="json") | changes)
    with pytest.raises(ConfigError) as refused:
        read_source_config(path)
    assert next(iter(changes)) in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_places_and_texts_do_not_change_the_fingerprint(source_config: Make) -> None:
    one = source_config()
    moved = source_config(output="elsewhere", work="there", licence="MIT", description="New.")
    other = source_config(epochs=3)

    assert one.fingerprint() == moved.fingerprint() != other.fingerprint()


def test_younger_keys_change_the_fingerprint_where_they_change_what_is_learned(
    source_config: Make,
) -> None:
    older = {"folder": "photos", "exif_rotation": "ignore"}
    one = source_config(generated=None, data=older)
    learned = one.as_learned()
    younger = ("class_level", "merge_labels", "exif_rotation", "range_16_bit", "max_megapixels")
    for key in (*younger, "columns", "corrections"):
        del learned["data"][key]
    text = json.dumps(learned, sort_keys=True)
    assert one.fingerprint() == hashlib.sha256(text.encode()).hexdigest()[:12]
    turned = source_config(generated=None, data={"folder": "photos"})
    assert turned.fingerprint() != one.fingerprint()
