"""A vision transformer of KerasHub goes through an experiment, which needs KerasHub once."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hub_presets import write_preset
from tl_keras.experiment.stages import run_experiment
from tl_keras.models.keras_internals import layers_inside
from tl_keras.results_layout import place

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_report", "checked_here")]
SHORT = {"epochs": 1, "learning_rate": 0.05}


def test_a_transformer_is_trained_exported_and_loaded_without_keras_hub(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_preset("vit", tmp_path)
    preset = f"keras_hub:{tmp_path / 'vit'}"
    keys: dict[str, Any] = {
        "data": {"train_per_class": 4, "test_fraction": 0.4},
        "backbone": {"name": preset, "image_size": 32},
        "strategies": ["linear_probe", "feature_extraction", "fine_tuning"],
        "fine_tuning": {"unfrozen_blocks": [1]},
        "training": {"phase_1": SHORT, "phase_2": SHORT},
        "seeds": 1,
        "learning_curve": False,
        "cache": {"folder": str(tmp_path / "features")},
        "results_dir": str(tmp_path / "results"),
    }
    first = run_experiment(images=photos, **keys)
    assert set(first.runs["strategy"]) == {"linear_probe", "feature_extraction", "fine_tuning"}
    assert set(first.runs["weights"]) == {"preset"}
    source = json.loads(place(first.folder, "environment.json").read_text())["source"]
    assert source["name"] == preset

    monkeypatch.setitem(sys.modules, "keras_hub", None)
    again = run_experiment(images=photos, **keys)
    assert again.export == first.export
    inside = layers_inside(again.model(), nested=True)
    assert {type(layer).__module__.split(".")[0] for layer in inside} == {"keras"}
