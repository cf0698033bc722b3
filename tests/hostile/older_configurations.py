"""Configurations as earlier versions stored them, and the hashes that their runs have."""

from typing import Any

_TRAINING = {
    "augmentation": "none",
    "batch_size": 32,
    "class_weights": "balanced",
    "from_scratch": {"epochs": 100, "learning_rate": 0.001, "patience": 15},
    "label_smoothing": 0.0,
    "layer_decay": 1.0,
    "optimizer": "adam",
    "phase_1": {"epochs": 200, "learning_rate": 0.001, "patience": 20},
    "phase_2": {"epochs": 40, "learning_rate": 0.0001, "patience": 8},
    "weight_decay": 0.0,
}
_SEARCH = {
    "augmentations": ["none"],
    "choice": "one_standard_error",
    "cuts": ["own", "probed"],
    "folds": 3,
    "hidden_units": [0],
    "layer_decays": None,
    "learning_rates": [3e-05, 0.0001, 0.0003],
    "max_trials": 8,
    "oracle": "random",
    "seed": 0,
    "unfrozen_blocks": [0, 1, 2, 4, "all"],
}
_DATA = {
    "data_dir": None,
    "folder": "photos",
    "group_pattern": None,
    "keep_duplicates_together": True,
    "max_test_per_class": None,
    "resize": "stretch",
    "root": None,
    "skip_unreadable": False,
    "split_seed": 0,
    "table": None,
    "test_fraction": 0.3,
    "tfds": None,
    "train_per_class": None,
    "validation_per_class": None,
}
# Before there were keys for how pictures are read.
OLDER: dict[str, Any] = {
    "name": "parts",
    "description": "",
    "data": _DATA,
    "backbone": {
        "alpha": None,
        "cut": "top",
        "image_size": 160,
        "name": "MobileNetV2",
        "weights": "imagenet",
    },
    "head": {"dropout": 0.2, "hidden_units": []},
    "training": _TRAINING,
    "strategies": [
        "majority_class",
        "from_scratch",
        "linear_probe",
        "feature_extraction",
        "fine_tuning",
    ],
    "fine_tuning": {"unfrozen_blocks": [2, "all"]},
    "search": _SEARCH,
    "estimate": {"folds": None, "method": "seeds", "repeats": None},
    "cache": {"folder": None, "memory_megabytes": 1024},
    "decision": {
        "false_alarm_cost": 1.0,
        "miss_cost": 1.0,
        "positive": None,
        "positive_share": None,
        "review_share": 0.1,
        "target_recall": None,
    },
    "seeds": 3,
    "learning_curve": True,
    "results_dir": "results",
    "export": True,
    "export_targets": [],
    "deterministic": True,
}
_READING = {
    "class_level": None,
    "merge_labels": None,
    "exif_rotation": "apply",
    "range_16_bit": "full",
    "max_megapixels": 179.0,
}
# With these keys, as a new experiment had them.
WITH_READING: dict[str, Any] = {**OLDER, "data": {**_DATA, **_READING}}
# The configuration, and the hash in the rows of runs.csv.
HASHES: dict[str, tuple[dict[str, Any], str]] = {
    "before the keys of reading": (OLDER, "d8df643b2a32"),
    "with the keys of reading": (WITH_READING, "9962fd5fd583"),
}
