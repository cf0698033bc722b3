"""Every key of an experiment: one other value that is accepted and one that is refused."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tl_keras.backbone_table import MeanAndStd
from tl_keras.config.files import json_schema, parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import ConfigError
from tl_keras.invocation import in_json


@pytest.fixture(autouse=True)
def as_in_a_file() -> Iterator[None]:
    """What is asked for here stands for what is written in a file."""
    with in_json():
        yield


TEXT = "a string (not empty, at most 200 characters)"
PLACE = "a string (not empty, at most 3000 characters)"
STRATEGIES = (
    '"majority_class", "from_scratch", "linear_probe", "feature_extraction", "fine_tuning", '
    '"searched"'
)
COST = "a number from 1e-09 to 1000000000"
SHARE = "a number of at least 1e-09 and below 1, or null"
RATE = "a number from 1e-09 to 1"
IMAGES, EPOCHS = "a whole number from 1 to 1000000", "a whole number from 1 to 100000"
SOME = "a list of one or more values, at most 100, each"
SEED = "a whole number from 0 to 2147483647"

# key: (another valid value, an invalid value, what the message says is allowed)
KEYS: dict[str, tuple[Any, Any, str]] = {
    "name": ("other-1.0", "a b", 'letters, digits, ".", "_" and "-"'),
    "description": ("For people.", 3, "a string"),
    "data.folder": ("elsewhere", "", f"{PLACE}, or null"),
    "data.table": ("images.csv", 1, f"{PLACE}, or null"),
    "data.columns.path": ("filename", 7, TEXT),
    "data.columns.label": ("cell_type", 7, TEXT),
    "data.columns.group": ("slide", "", TEXT),
    "data.columns.split": ("part", None, TEXT),
    "data.corrections": ("corrections.csv", 1, f"{PLACE}, or null"),
    "data.tfds": ("cats_vs_dogs", ["a"], f"{TEXT}, or null"),
    "data.data_dir": ("datasets", True, f"{PLACE}, or null"),
    "data.root": ("photos", {}, f"{PLACE}, or null"),
    "data.class_level": (2, 0, "a whole number from 1 to 9, or null"),
    "data.merge_labels": (True, "yes", "true or false, or null"),
    "data.group_pattern": (r"part(\d+)", "(", "a regular expression"),
    "data.keep_duplicates_together": (False, 1, "true or false"),
    "data.resize": ("pad", "squash", 'one of "stretch", "pad", "crop"'),
    "data.exif_rotation": ("ignore", "turn", 'one of "apply", "ignore"'),
    "data.range_16_bit": (
        [0, 4095],
        "14_bit",
        'one of "full", "12_bit", "per_file", or a list of 2 values, each a whole number from 0 to '
        "65535",
    ),
    "data.max_megapixels": (400.5, 0, "a number above 0 and at most 500"),
    "data.split_seed": (7, -1, SEED),
    "data.test_fraction": (0.5, 1, "a number above 0 and below 1"),
    "data.max_test_per_class": (50, 1, "a whole number from 2 to 1000000, or null"),
    "data.train_per_class": ([5, 10], "ten", f"{IMAGES}, or a list of values, at most 100"),
    "data.validation_per_class": (5, 0, f"{IMAGES}, or null"),
    "data.skip_unreadable": (True, "yes", "true or false"),
    "backbone.name": ("VGG16", "VGG17", 'one of "MobileNet", "MobileNetV2"'),
    "backbone.alpha": (0.35, "wide", "a number, or null"),
    "backbone.weights": (None, 1, f"{PLACE}, or null"),
    "backbone.scaling": (
        "torch",
        "imagenet",
        'one of "tf", "caffe", "torch", "none", or an object',
    ),
    "backbone.scaling.mean": ([1.0, 2.0, 3.0], "gray", "a number from -1000000 to 1000000"),
    "backbone.scaling.std": (128.0, 0, "a number above 0 and at most 1000000"),
    "backbone.scaling.scale": (0.5, -1, "a number above 0 and at most 1000000"),
    "backbone.trust_code": (True, "yes", "true or false"),
    "backbone.image_size": (
        [96, 160],
        31,
        'a whole number from 32 to 1024, or "search", or a list of one or more values, at most 10, '
        "each a whole number from 32 to 1024",
    ),
    "backbone.cut": ("block_7", "", TEXT),
    "probe.pooling": (["mean"], "max", f'one of "mean", "mean_std", or "search", or {SOME} one of'),
    "probe.views": (
        ["turns", "none"],
        True,
        f'one of "none", "flip", "turns", or "search", or {SOME} one of',
    ),
    "probe.penalty": (
        [0.5, 2],
        0,
        f'a number above 0 and at most 1000000, or "search", or {SOME} a number above 0',
    ),
    "probe.train_on": ("training", "validation", 'one of "all", "training"'),
    "head.pooling": ("search", "max", 'one of "mean", "mean_std", or "search"'),
    "head.hidden_units": (
        [64],
        64,
        "a list of values, at most 10, each a whole number from 1 to 16384",
    ),
    "head.dropout": (0, 1, "a number of at least 0 and below 1"),
    "training.batch_size": (4096, 4097, "a whole number from 1 to 4096"),
    "training.optimizer": ("sgd", "SGD", 'one of "adam", "adamw", "sgd", "rmsprop"'),
    "training.weight_decay": (0.01, -0.01, "a number from 0 to 1"),
    "training.label_smoothing": (0.1, 1.0, "a number of at least 0 and below 1"),
    "training.class_weights": ("none", None, 'one of "balanced", "none"'),
    "training.augmentation": ("search", "heavy", 'one of "none", "light", "strong", "search"'),
    "training.layer_decay": (0.75, 1.25, RATE),
    "training.threads": (4, 0, 'a whole number from 1 to 256, or "auto", or null'),
    **{
        f"training.{phase}.{key}": row
        for phase in ("phase_1", "phase_2", "from_scratch")
        for key, row in {
            "epochs": (7, 0, EPOCHS),
            "learning_rate": (0.5, 0, RATE),
            "patience": (3, 2.5, EPOCHS),
            "keep": ("best" if phase == "phase_2" else "last", "first", 'one of "best", "last"'),
        }.items()
    },
    "strategies": (["searched"], [], f"{SOME} one of {STRATEGIES}"),
    "fine_tuning.unfrozen_blocks": (
        [1],
        [],
        f'{SOME} a whole number from 1 to 1000, or "all", or a range of blocks "first:last"',
    ),
    "search.oracle": ("grid", "bayes", 'one of "random", "bayesian", "hyperband", "grid"'),
    "search.max_trials": (20, 0, "a whole number from 1 to 10000"),
    "search.unfrozen_blocks": ([0, "all"], "all", 'each a whole number from 0 to 1000, or "all"'),
    "search.cuts": (["block_7", "top"], "probed", f"{SOME} {TEXT}"),
    "search.layer_decays": ([0.7, 1], [], f"{SOME} {RATE}, or null"),
    "search.folds": (1, 0, "a whole number from 1 to 20"),
    "search.choice": ("best", "cheapest", 'one of "one_standard_error", "best"'),
    "search.learning_rates": ([1e-3], [], f"{SOME} {RATE}"),
    "search.hidden_units": (
        [0, 64],
        0,
        f"{SOME} a whole number from 0 to 16384",
    ),
    "search.augmentations": (["light"], "light", 'each one of "none", "light", "strong"'),
    "search.seed": (2**31 - 1, 2**31, SEED),
    "estimate.method": ("k_fold", "bootstrap", 'one of "seeds", "k_fold"'),
    "estimate.folds": (10, 1, "a whole number from 2 to 20, or null"),
    "estimate.repeats": (1, 0, "a whole number from 1 to 20, or null"),
    "cache.memory_megabytes": (0, -1, "a whole number from 0 to 10000000"),
    "cache.folder": ("features", "", f"{PLACE}, or null"),
    "engine.workers": (8, 0, "a whole number from 1 to 1024"),
    "engine.backend": ("ray", "dask", 'one of "processes", "ray", or null'),
    "engine.address": ("auto", "", f"{TEXT}, or null"),
    "engine.processors": (0.5, 0, "a number from 0.0001 to 256"),
    "engine.accelerators": (1, -1, "a number from 0 to 64"),
    "decision.positive": (
        ["dent"],
        "dent",
        "a list of one or more values, at most 1000, each a string (not empty, at most 1000 "
        "characters), or null",
    ),
    "decision.miss_cost": (10, 0, COST),
    "decision.false_alarm_cost": (0.5, -1, COST),
    "decision.target_recall": (0.99, 1, SHARE),
    "decision.positive_share": (0.02, 0, SHARE),
    "decision.review_share": (0, 1, "a number of at least 0 and below 1"),
    "decision.stranger_share": (0, 1, "a number of at least 0 and below 1"),
    "seeds": (100, 101, "a whole number from 1 to 100"),
    "learning_curve": (False, "no", "true or false"),
    "results_dir": ("elsewhere", "", PLACE),
    "export": (False, 0, "an object {...} with keys among train_on, or true or false"),
    "export.train_on": ("training", "test", 'one of "all", "training"'),
    "export_targets": (
        ["onnx"],
        "onnx",
        'a list of values, at most 100, each one of "litert", "litert_int8", "onnx"',
    ),
    "deterministic": (False, None, "true or false"),
}
# keys that are valid beside others only
BESIDE: dict[str, dict[str, Any]] = {
    "estimate.folds": {"method": "k_fold"},
    "estimate.repeats": {"method": "k_fold"},
    "engine.processors": {"backend": "ray"},
    "engine.accelerators": {"backend": "ray"},
    "backbone.scaling.mean": {"std": 128.0},
}
SOURCES: dict[str, dict[str, Any]] = {
    "data.table": {"table": "t.csv"},
    "data.tfds": {"tfds": "surface_defects"},
    "data.data_dir": {"tfds": "surface_defects"},
    "data.root": {"table": "t.csv"},
    **{f"data.columns.{name}": {"table": "t.csv"} for name in ("path", "label", "group", "split")},
}


def leaf_keys(node: Mapping[str, Any], schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    # a section, or one that may be left out
    branches = node.get("anyOf", [node])
    if any("$ref" in branch for branch in branches) and "anyOf" in node:
        for branch in branches:
            yield from leaf_keys(branch, schema, path)
        return
    if "properties" not in node:
        yield path
    for key, child in node.get("properties", {}).items():
        yield from leaf_keys(child, schema, f"{path}.{key}".lstrip("."))


def experiment(key: str, value: Any) -> dict[str, Any]:
    """A valid experiment in which one key, given as a dotted path, has another value."""
    raw: dict[str, Any] = {"name": "parts", "data": SOURCES.get(key, {"folder": "photos"}).copy()}
    if key.startswith(("backbone.scaling", "backbone.trust_code")):
        raw["backbone"] = {"name": "file", "weights": "net.keras"}
    *sections, last = key.split(".")
    section = raw
    for part in sections:
        section = section.setdefault(part, {})
    section[last] = value
    section.update(BESIDE.get(key, {}))
    return raw


def value_of(config: ExperimentConfig, key: str) -> Any:
    value: Any = config.as_dict()
    for part in key.split("."):
        value = None if value is None else value[part]
    return value


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_config(raw)
    return str(refused.value)


def test_table_covers_every_key() -> None:
    schema = json_schema()
    assert set(KEYS) == set(leaf_keys(schema, schema))


@pytest.mark.parametrize("key", KEYS)
def test_another_value_is_accepted(key: str) -> None:
    value = KEYS[key][0]
    config = parse_config(experiment(key, value))
    assert value_of(config, key) == value
    default = parse_config({"name": "parts", "data": {"folder": "photos"}})
    assert value_of(default, key) != value


@pytest.mark.parametrize("key", KEYS)
def test_invalid_value_is_refused_with_key_allowed_and_received(key: str) -> None:
    _, value, allowed = KEYS[key]
    message = refusal(experiment(key, value))
    assert message.startswith(f"configuration: {key} must be ")
    assert allowed in message
    assert f"; got {json.dumps(value)}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("sources", "received"),
    [
        ({}, "none"),
        ({"folder": "a", "tfds": "b"}, "folder and tfds"),
        ({"folder": None}, "none"),
    ],
)
def test_exactly_one_source_of_images(sources: dict[str, Any], received: str) -> None:
    message = refusal({"name": "parts", "data": sources})
    assert message == (
        f"configuration: data must have exactly one of folder, table, tfds; got {received}"
    )


@pytest.mark.parametrize(
    ("key", "owner"),
    [("data_dir", "tfds"), ("root", "table")],
)
def test_companion_of_another_source_is_refused(key: str, owner: str) -> None:
    message = refusal({"name": "parts", "data": {"folder": "a", key: "b"}})
    assert message == f'configuration: data.{key} goes with {owner} only; got "b"; remove it'


@pytest.mark.parametrize("gpus", [0.00001, 1.5])
def test_gpus_of_a_worker_are_whole_or_a_share_of_one(gpus: float) -> None:
    assert refusal(experiment("engine.accelerators", gpus)) == (
        "configuration: engine.accelerators must be a whole number, or a share from 0.0001 to 1; "
        f"got {json.dumps(gpus)}"
    )
    assert parse_config(experiment("engine.accelerators", 0.5)).engine.accelerators == 0.5


@pytest.mark.parametrize(("key", "value"), [("processors", 8), ("accelerators", 1)])
@pytest.mark.parametrize("beside", [{}, {"backend": "processes"}, {"workers": 2}])
def test_what_a_worker_of_ray_reserves_is_refused_without_ray(
    key: str, value: float, beside: dict[str, Any]
) -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "engine": {key: value} | beside}
    assert refusal(raw) == (
        f"configuration: engine.{key} goes with engine.backend ray or engine.address only; got "
        f"{value}; remove it"
    )


@pytest.mark.parametrize("beside", [{"backend": "ray"}, {"address": "auto"}])
def test_what_a_worker_of_ray_reserves_is_accepted_with_it_and_as_it_is_stored(
    beside: dict[str, Any],
) -> None:
    reserved = {"processors": 8.0, "accelerators": 1.0}
    raw = {"name": "parts", "data": {"folder": "a"}, "engine": reserved | beside}
    config = parse_config(raw)
    assert config.engine.on_ray
    assert parse_config(config.as_dict()) == config
    default = parse_config({"name": "parts", "data": {"folder": "a"}})
    assert not default.engine.on_ray
    assert parse_config(default.as_dict()) == default


def test_an_address_is_no_processes_of_this_machine() -> None:
    engine = {"backend": "processes", "address": "auto"}
    message = refusal({"name": "parts", "data": {"folder": "a"}, "engine": engine})
    assert message.startswith("configuration: engine.address must be left out beside")


@pytest.mark.parametrize("sizes", [[10, 5], [5, 5], []])
def test_training_sizes_must_rise(sizes: list[int]) -> None:
    message = refusal({"name": "parts", "data": {"folder": "a", "train_per_class": sizes}})
    assert message == (
        "configuration: data.train_per_class must be a list of rising numbers without repeats, "
        f"such as [5, 10]; got {json.dumps(sizes)}"
    )


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            {"name": "Xception", "image_size": 70},
            "backbone.image_size must be at least 71 for Xception; got 70",
        ),
        (
            {"alpha": 0.3},
            "backbone.alpha must be one of 0.35, 0.5, 0.75, 1.0, 1.3, 1.4 for MobileNetV2; got 0.3",
        ),
        ({"name": "VGG16", "alpha": 1}, "backbone.alpha must be null for VGG16; got 1.0"),
        (
            {"name": "VGG16", "cut": "block9"},
            "backbone.cut must be top, search or one of block1, block2, block3, block4, block5 for "
            "VGG16; got block9",
        ),
        (
            {"name": "ResNet50", "weights": "bundled"},
            'backbone.weights "bundled" are for MobileNetV2 with alpha 1.0 only; got ResNet50 with '
            'alpha 1.0; use "imagenet", a weights file or null',
        ),
    ],
)
def test_impossible_backbone_is_refused(backbone: dict[str, Any], message: str) -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "backbone": backbone}
    assert refusal(raw) == f"configuration: {message}"


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            {},
            'weights must be the .keras or .h5 file of the network for name "file"; got "imagenet"',
        ),
        (
            {"weights": None},
            'weights must be the .keras or .h5 file of the network for name "file"; got null',
        ),
        ({"weights": "a.keras", "alpha": 1.0}, 'alpha must be null for name "file"; got 1.0'),
        (
            {"weights": "a.keras", "scaling": {"mean": 1}},
            "scaling must have one of std and scale beside mean; got neither",
        ),
        (
            {"name": "VGG16", "scaling": "tf"},
            'scaling goes with name "file" or a preset only; got VGG16; remove it',
        ),
        (
            {"name": "keras_hub:resnet_18_imagenet", "weights": "a.keras"},
            'weights must be "preset" or null for a preset of KerasHub; got "a.keras"; for a '
            'network in a file set name to "file"',
        ),
        (
            {"name": "keras_hub:resnet_18_imagenet", "trust_code": True},
            'trust_code goes with name "file" only; got keras_hub:resnet_18_imagenet; remove it',
        ),
        (
            {"name": "VGG16", "trust_code": True},
            'trust_code goes with name "file" only; got VGG16; remove it',
        ),
    ],
)
def test_an_impossible_network_from_a_file_is_refused(
    backbone: dict[str, Any], message: str
) -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "backbone": {"name": "file"} | backbone}
    assert refusal(raw) == f"configuration: backbone.{message}"


@pytest.mark.parametrize("key", ["mean", "std", "scale"])
@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
def test_a_list_of_another_length_is_refused_by_its_key(key: str, values: list[float]) -> None:
    scaling = {"mean": 1.0, "std": 1.0} | {key: values}
    section = {"name": "file", "weights": "a.keras", "scaling": scaling}
    message = refusal({"name": "parts", "data": {"folder": "a"}, "backbone": section})
    assert f"backbone.scaling.{key} must" in message
    assert "missing" not in message


def test_a_misspelt_key_of_what_may_be_a_word_too_is_named() -> None:
    section = {"name": "file", "weights": "a.keras", "scaling": {"mean": 1.0, "stdd": 1.0}}
    message = refusal({"name": "parts", "data": {"folder": "a"}, "backbone": section})
    assert "backbone.scaling.stdd;" in message
    assert message.endswith("backbone.scaling.std?")


def test_blocks_of_a_network_from_a_file_are_checked_when_they_are_known() -> None:
    raw = {
        "name": "parts",
        "data": {"folder": "a"},
        "backbone": {"name": "file", "weights": "nets/own.keras", "cut": "b"},
        "fine_tuning": {"unfrozen_blocks": [2, "a:b"]},
        "search": {"cuts": ["c"]},
    }
    config = parse_config(raw)
    assert config.block_problems(["a", "b", "c"]) == []
    assert parse_config(config.as_dict()).block_problems(["a", "b", "c"]) == []
    cut, search, depth, *_ = config.block_problems(["x"])
    assert cut == "backbone.cut must be top, search or one of x for own; got b"
    assert search.startswith("search.cuts must each be")
    assert depth.startswith("fine_tuning.unfrozen_blocks must be at most 1")


@pytest.mark.parametrize(
    ("scaling", "mean", "std"),
    [
        ({"mean": 127, "std": 128}, (127,) * 3, (128,) * 3),
        ({"scale": [0.5, 0.25, 1]}, (0,) * 3, (2, 4, 1)),
    ],
)
def test_a_scaling_in_numbers(scaling: dict[str, Any], mean: Any, std: Any) -> None:
    raw = {"name": "file", "weights": "a.keras", "scaling": scaling}
    config = parse_config({"name": "parts", "data": {"folder": "a"}, "backbone": raw})
    assert config.backbone.known_scaling == MeanAndStd(mean, std)


@pytest.mark.parametrize("section", ["fine_tuning", "search"])
@pytest.mark.parametrize(
    ("depths", "message"),
    [
        ([1, 6], 'must be at most 5 or "all" for VGG16; got 6'),
        ([1, 1], "must name each depth once; got [1, 1]"),
        (
            ["block2:block9"],
            'must name blocks in a range "first:last": block1, block2, block3, block4, block5 for '
            "VGG16; got block2:block9",
        ),
        (
            ["block4:block2"],
            "must name the block nearer the input first in a range; got block4:block2; write "
            "block2:block4",
        ),
    ],
)
def test_impossible_depth_is_refused(section: str, depths: list[Any], message: str) -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "backbone": {"name": "VGG16"}}
    assert refusal({**raw, section: {"unfrozen_blocks": depths}}) == (
        f"configuration: {section}.unfrozen_blocks {message}"
    )


def test_depths_of_the_search_may_lie_within_any_of_its_cuts() -> None:
    raw: dict[str, Any] = {"name": "parts", "data": {"folder": "a"}}
    raw["backbone"] = {"name": "VGG16", "cut": "block2"}
    search = {"unfrozen_blocks": [4, "block1:block3"], "cuts": ["own", "block4"]}
    assert parse_config({**raw, "search": search}).search.unfrozen_blocks == (4, "block1:block3")
    assert refusal({**raw, "search": {**search, "cuts": ["own"]}}) == (
        'configuration: search.unfrozen_blocks must be at most 2 or "all" for VGG16 up to block2; '
        "got 4\n"
        'configuration: search.unfrozen_blocks must name blocks in a range "first:last": block1, '
        "block2 for VGG16 up to block2; got block1:block3"
    )


def test_unknown_cut_of_the_search_is_refused() -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "backbone": {"name": "VGG16"}}
    assert refusal({**raw, "search": {"cuts": ["own", "block9"]}}) == (
        "configuration: search.cuts must each be own, top, probed or one of block1, block2, "
        "block3, block4, block5 for VGG16; got block9"
    )


def test_default_depths_fit_a_backbone_of_few_blocks() -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "backbone": {"name": "NASNetMobile"}}
    assert parse_config(raw).search.unfrozen_blocks == (0, 1, 2, "all")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strategies", ["searched", "searched"]),
        ("search.learning_rates", [0.1, 0.1]),
        ("search.hidden_units", [0, 0]),
        ("search.augmentations", ["none", "none"]),
        ("decision.positive", ["dent", "dent"]),
    ],
)
def test_repeated_choice_is_refused(key: str, value: list[Any]) -> None:
    message = refusal(experiment(key, value))
    assert message.startswith(f"configuration: {key} must name each ")
    assert message.endswith(f"once; got {json.dumps(value)}")


def test_folds_have_defaults_and_make_the_runs() -> None:
    estimate = {"method": "k_fold"}
    config = parse_config({"name": "parts", "data": {"folder": "a"}, "estimate": estimate})
    assert (config.estimate.folds, config.estimate.repeats, config.draws) == (5, 2, 10)
    assert parse_config(config.as_dict()) == config, "a stored file is read again"
    seeds = parse_config({"name": "parts", "data": {"folder": "a"}, "seeds": 4})
    assert (seeds.estimate.folds, seeds.draws) == (None, 4)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"seeds": 5}, "seeds must be left out beside estimate.method k_fold"),
        ({"data": {"folder": "a", "test_fraction": 0.5}}, "data.test_fraction must be left out"),
        ({"data": {"folder": "a", "max_test_per_class": 9}}, "data.max_test_per_class must be"),
        ({"backbone": {"cut": "search"}}, "backbone.cut must be top or a block beside"),
    ],
)
def test_what_folds_leave_no_meaning_is_refused(keys: dict[str, Any], message: str) -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "estimate": {"method": "k_fold"}, **keys}
    assert refusal(raw).startswith(f"configuration: {message}")


def test_folds_without_k_fold_are_refused() -> None:
    raw = {"name": "parts", "data": {"folder": "a"}, "estimate": {"folds": 5}}
    assert refusal(raw) == (
        "configuration: estimate.folds goes with method k_fold only; got 5; remove it, or set "
        "method"
    )


def test_part_of_a_phase_keeps_the_other_defaults() -> None:
    raw = experiment("training.phase_2.epochs", 5)
    phase = parse_config(raw).training.phase_2
    assert (phase.epochs, phase.learning_rate, phase.patience) == (5, 1e-4, 20)


def test_as_dict_is_read_back_as_the_same_configuration() -> None:
    config = parse_config(experiment("data.train_per_class", [5, 10]))
    assert parse_config(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(("given", "sizes"), [(None, (None,)), (7, (7,)), ([5, 10], (5, 10))])
def test_training_sizes(given: Any, sizes: tuple[int | None, ...]) -> None:
    assert parse_config(experiment("data.train_per_class", given)).data.training_sizes == sizes


def test_results_folder_is_the_name_below_results_dir() -> None:
    assert parse_config(experiment("results_dir", "out")).results_folder.parts == ("out", "parts")


def bounds(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every number, string and list in a JSON Schema."""
    if node.get("type") in ("integer", "number", "string", "array") and "enum" not in node:
        yield node
    for key in ("properties", "$defs"):
        for child in node.get(key, {}).values():
            yield from bounds(child)
    for child in (*node.get("anyOf", ()), *filter(None, [node.get("items")])):
        yield from bounds(child)


def test_everything_has_an_upper_bound() -> None:
    found = list(bounds(json_schema()))
    ends = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "pattern", "const")
    # what the table of backbones allows is another rule
    endless = [node for node in found if not set(ends) & set(node) and node != {"type": "number"}]
    assert [node for node in endless if "a Keras Applications" not in str(node)] == []
    assert len(found) > 50


def test_a_column_cannot_be_two() -> None:
    data = {"table": "t.csv", "columns": {"path": "label"}}
    with pytest.raises(ConfigError, match=r"data\.columns.*\"label\" twice"):
        parse_config({"name": "parts", "data": data})
