"""The defaults are these: the reference tables and the README's figures were made with them."""

from typing import Any

from tl_keras.config.files import parse_config

DEFAULTS: dict[str, Any] = {
    "name": "parts",
    "description": "",
    "data": {
        "folder": "photos",
        "table": None,
        "tfds": None,
        "data_dir": None,
        "root": None,
        "columns": {"path": "path", "label": "label", "group": "group", "split": "split"},
        "group_pattern": None,
        "class_level": None,
        "merge_labels": None,
        "corrections": None,
        "keep_duplicates_together": True,
        "resize": "stretch",
        "exif_rotation": "apply",
        "range_16_bit": "full",
        "max_megapixels": 179.0,
        "split_seed": 0,
        "test_fraction": 0.3,
        "max_test_per_class": None,
        "train_per_class": None,
        "validation_per_class": None,
        "skip_unreadable": False,
    },
    "backbone": {
        "name": "MobileNetV2",
        "alpha": None,
        "weights": "imagenet",
        "scaling": None,
        "trust_code": False,
        "image_size": 160,
        "cut": "top",
    },
    "probe": {"pooling": "search", "views": "search", "penalty": "search", "train_on": "all"},
    "head": {"pooling": "mean", "hidden_units": [], "dropout": 0.2},
    "training": {
        "batch_size": 32,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "class_weights": "balanced",
        "augmentation": "none",
        "layer_decay": 1.0,
        "threads": "auto",
        "phase_1": {"epochs": 200, "learning_rate": 1e-3, "patience": 20, "keep": "best"},
        "phase_2": {"epochs": 40, "learning_rate": 1e-4, "patience": 20, "keep": "last"},
        "from_scratch": {"epochs": 100, "learning_rate": 1e-3, "patience": 15, "keep": "best"},
    },
    "strategies": [
        "majority_class",
        "from_scratch",
        "linear_probe",
        "feature_extraction",
        "fine_tuning",
    ],
    "fine_tuning": {"unfrozen_blocks": [2, "all"]},
    "search": {
        "oracle": "random",
        "max_trials": 8,
        "unfrozen_blocks": [0, 1, 2, 4, "all"],
        "cuts": ["own", "probed"],
        "learning_rates": [3e-5, 1e-4, 3e-4],
        "layer_decays": None,
        "hidden_units": [0],
        "augmentations": ["none"],
        "folds": 3,
        "choice": "one_standard_error",
        "seed": 0,
    },
    "estimate": {"method": "seeds", "folds": None, "repeats": None},
    "cache": {"memory_megabytes": 1024, "folder": None},
    "engine": {
        "workers": "auto",
        "backend": None,
        "address": None,
        "processors": 1.0,
        "accelerators": 0.0,
    },
    "decision": {
        "positive": None,
        "miss_cost": 1.0,
        "false_alarm_cost": 1.0,
        "target_recall": None,
        "positive_share": None,
        "review_share": 0.1,
        "stranger_share": 0.05,
    },
    "seeds": 3,
    "learning_curve": True,
    "results_dir": "results",
    "export": {"train_on": "all"},
    "export_targets": [],
    "deterministic": True,
}


def test_what_is_not_given_is_this() -> None:
    given = {"name": "parts", "data": {"folder": "photos"}}
    assert parse_config(given).as_dict() == DEFAULTS


def test_the_bundled_weights_bring_their_size() -> None:
    def size(**backbone: Any) -> Any:
        config = parse_config({"name": "a", "data": {"folder": "b"}, "backbone": backbone})
        return config.backbone.image_size

    assert size(weights="bundled") == 96
    assert size(weights="bundled", image_size=160) == 160
    assert size() == size(weights=None) == 160
