"""An exported model knows strangers by what its own network gives for the labelled photos."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image

from tl_keras.experiment import strangers
from tl_keras.experiment.stages import ExperimentResult, export_experiment, run_experiment
from tl_keras.results_layout import place
from tl_keras.serving.exported_classifier import ExportedClassifier
from tl_keras.serving.versions import EXTRA

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tl_keras.experiment.prepare import Prepared
    from tl_keras.results.runs_table import FinishedRun

Run = Callable[..., ExperimentResult]


@pytest.fixture(scope="module")
def run(
    photos: Path,
    tiny_backbone: None,
    checked_here: None,
    never_reported: None,
    advised_once: None,
) -> Run:
    """`run(results, strategy, **keys)`: exports one run of 12 labelled photos, 4 for validation."""

    def ran(results: Path, strategy: str = "linear_probe", **keys: Any) -> ExperimentResult:
        data = {"folder": photos, "train_per_class": 4, "validation_per_class": 4}
        config = {
            "name": "colours",
            "data": data,
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "strategies": [strategy],
            "training": {"phase_1": {"epochs": 2}, "phase_2": {"epochs": 2}},
            "fine_tuning": {"unfrozen_blocks": ["all"]},
            "seeds": 1,
            "learning_curve": False,
            "results_dir": results,
        }
        return run_experiment(config | keys)

    return ran


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return run(tmp_path_factory.mktemp("strangers"))


def facts_of(result: ExperimentResult) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(place(result.folder, "strangers.json").read_text())
    return stored


def answers(result: ExperimentResult, files: list[Path]) -> list[dict[str, Any]]:
    assert result.export is not None
    return list(ExportedClassifier(result.export).classify([f.read_bytes() for f in files]).rows())


def photos_of(result: ExperimentResult, part: str, photos: Path) -> list[Path]:
    rows = result.splits[result.splits["part"] == part]
    return [photos / name for name in rows["image_id"]]


def test_photos_unlike_the_labelled_ones_are_unknown(
    exported: ExperimentResult, photos: Path, tmp_path: Path
) -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20, :, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "flag.png")
    (answer,) = answers(exported, [tmp_path / "flag.png"])
    assert answer["decision"] == "unknown"
    assert answer["familiar"] < 0.05
    # it has learned them
    test = answers(exported, photos_of(exported, "test", photos))
    assert not any(each["decision"] == "unknown" for each in test)


def test_test_photos_are_judged_by_what_was_fitted_to_the_others(
    run: Run, exported: ExperimentResult, tmp_path: Path, photos: Path
) -> None:
    measured = run(tmp_path, export={"train_on": "training"})
    test = answers(measured, photos_of(measured, "test", photos))
    facts = facts_of(measured)
    refused = np.mean([each["familiar"] < 0.05 for each in test])
    assert refused == pytest.approx(facts["refused_test"]["estimate"])
    assert (facts["train_on"], facts["images"]) == ("training", 24)
    assert facts["refused_test"] == facts_of(exported)["refused_test"]


def test_what_is_known_of_strangers_is_in_the_folder_and_on_the_card(
    exported: ExperimentResult, photos: Path
) -> None:
    facts = facts_of(exported)
    assert (facts["train_on"], facts["images"]) == (
        "all",
        24 + len(photos_of(exported, "test", photos)),
    )
    assert facts["run_id"] == exported.choice.run_id
    assert facts["stranger_share"] == 0.05
    assert set(facts["refused_classes"]) == {"amber", "blue", "green"}
    for photo in facts["refused_images"]:
        assert photo["familiar"] < 0.05
        assert photo["image_id"].startswith(photo["class"])
    assert exported.export is not None
    card = json.loads((exported.export / EXTRA / "model_card.json").read_text())
    assert card["strangers"] == facts
    assert "## Strangers" in (exported.export / EXTRA / "MODEL_CARD.md").read_text()


def test_a_trained_backbone_is_asked_by_photos_that_it_has_not_learned(
    run: Run, tmp_path: Path, photos: Path
) -> None:
    result = run(tmp_path, "fine_tuning", export={"train_on": "training"})
    facts = facts_of(result)
    assert facts["images"] == 12
    assert facts["refused_classes"] == {}
    test = answers(result, photos_of(result, "test", photos))
    refused = np.mean([each["familiar"] < 0.05 for each in test])
    assert refused == pytest.approx(facts["refused_test"]["estimate"])


def test_a_backbone_that_learned_all_is_asked_by_those_that_the_measured_one_did_not(
    run: Run, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # two epochs make no network that is to be trusted
    for limit in ("MORE", "MOST_CONTRADICTED"):
        monkeypatch.setattr(f"tl_keras.experiment.hand_over.{limit}", 10.0)
    result = run(tmp_path, "fine_tuning")
    facts, test = facts_of(result), photos_of(result, "test", photos)
    assert (facts["train_on"], facts["images"]) == ("all", 12 + len(test))
    assert facts["refused_classes"] == {}
    assert len({round(each["familiar"], 6) for each in answers(result, test)}) > 1


def test_blocks_that_fine_tuning_left_as_they_were_are_those_of_the_source(
    run: Run, tmp_path: Path, photos: Path
) -> None:
    result = run(tmp_path, "fine_tuning", fine_tuning={"unfrozen_blocks": [1]})
    facts = facts_of(result)
    assert facts["images"] == 24 + len(photos_of(result, "test", photos))
    assert set(facts["refused_classes"]) == {"amber", "blue", "green"}


def test_zero_turns_it_off_and_on_again(run: Run, tmp_path: Path, photos: Path) -> None:
    off = run(tmp_path, "feature_extraction", decision={"stranger_share": 0})
    (answer,) = answers(off, photos_of(off, "test", photos)[:1])
    assert "familiar" not in answer
    assert not place(off.folder, "strangers.json").exists()
    on = run(tmp_path, "feature_extraction", decision={"stranger_share": 0.1})
    (answer,) = answers(on, photos_of(on, "test", photos)[:1])
    assert 0 <= answer["familiar"] <= 1
    assert facts_of(on)["stranger_share"] == 0.1
    export_experiment(on.folder)
    again = run(tmp_path, "feature_extraction", decision={"stranger_share": 0})
    assert not place(again.folder, "strangers.json").exists()


def test_a_record_that_is_gone_comes_back_from_the_card(run: Run, tmp_path: Path) -> None:
    facts = facts_of(result := run(tmp_path))
    place(result.folder, "strangers.json").unlink()
    assert facts_of(run(tmp_path)) == facts


def test_what_test_photos_look_like_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        strangers, "_familiar_test_photos", lambda prepared, run: asked.append(run.run_id)
    )
    prepared = cast("Prepared", SimpleNamespace(familiar={}))
    run = cast("FinishedRun", SimpleNamespace(run_id="a"))
    for _ in range(2):
        assert strangers.familiar_test_photos(prepared, run) is None
    assert asked == ["a"]
