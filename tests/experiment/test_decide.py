"""Decisions in an experiment: the files, what they rest on, what is refused, what is exported."""

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.errors import ConfigError
from tl_keras.evaluation.calibration import calibrate
from tl_keras.experiment.monitor import Warned
from tl_keras.experiment.stages import ExperimentResult, export_experiment, run_experiment
from tl_keras.results_layout import place
from tl_keras.serving.decision_record import other_decision, read_rule
from tl_keras.serving.exported_classifier import Answers, ExportedClassifier
from tl_keras.serving.versions import EXTRA

pytestmark = pytest.mark.slow

Configure = Callable[..., dict[str, Any]]
# the rule that is handed over is the one that was measured
MEASURED = {"train_on": "training"}


@pytest.fixture(scope="module")
def configure(
    photos: Path,
    tiny_backbone: None,
    checked_here: None,
    never_reported: None,
    advised_once: None,
) -> Configure:
    """`configure(results, **keys)`: linear probes of two seeds."""

    def configured(results: Path, **keys: Any) -> dict[str, Any]:
        data = {"folder": photos, "train_per_class": 4, "validation_per_class": 4}
        return {
            "name": "colours",
            "data": data,
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "strategies": ["linear_probe"],
            "decision": {"positive": ["blue"], "miss_cost": 3},
            "seeds": 2,
            "results_dir": results,
            "export": False,
        } | keys

    return configured


@pytest.fixture(scope="module")
def exported(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return run_experiment(configure(tmp_path_factory.mktemp("decided"), export=MEASURED))


def record(result: ExperimentResult) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(place(result.folder, "decision.json").read_text())
    return stored


def test_the_decision_is_that_of_the_run_to_export(exported: ExperimentResult) -> None:
    stored = record(exported)
    assert stored == exported.decision
    export = json.loads(place(exported.folder, "export.json").read_text())
    assert stored["run_id"] == export["run_id"]
    assert stored["pooled_runs"] == ["linear_probe-n4-s0", "linear_probe-n4-s1"]
    assert stored["rule"]["threshold"] == pytest.approx(0.25)
    assert stored["rule"]["class_factors"] == pytest.approx([1, 1, 1])
    splits = exported.splits
    assert stored["validation_images"] == (
        splits.loc[splits["part"] == "validation", "image_id"].nunique()
    )


def test_the_figures_on_test_are_those_of_its_probabilities(exported: ExperimentResult) -> None:
    stored = record(exported)
    with np.load(place(exported.folder, "runs") / stored["run_id"] / "probabilities.npz") as arrays:
        probabilities = arrays["test"]
    labels = exported.splits.loc[exported.splits["part"] == "test", "class_index"].to_numpy()
    score = calibrate(probabilities, stored["temperature"]["estimate"])[:, 1]
    assert stored["test"]["recall"]["estimate"] == np.mean(score[labels == 1] >= 0.25)
    assert stored["test"]["false_alarm_rate"]["estimate"] == np.mean(score[labels != 1] >= 0.25)


def test_the_tables_are_written(exported: ExperimentResult) -> None:
    calibration = pd.read_csv(place(exported.folder, "calibration.csv"))
    assert calibration.groupby("stage")["count"].sum().to_dict() == {"after": 12, "before": 12}
    thresholds = pd.read_csv(place(exported.folder, "thresholds.csv"))
    chosen = thresholds[thresholds["chosen"]].set_index("part")
    test = record(exported)["test"]
    assert chosen.loc["test", "recall"] == test["recall"]["estimate"]
    cost = test["cost_per_100"]["rule"]["estimate"]
    assert chosen.loc["test", "cost_per_100"] == pytest.approx(cost)


def test_the_export_says_how_to_decide(exported: ExperimentResult) -> None:
    assert exported.export is not None
    extra = exported.export / "assets.extra"
    assert json.loads((extra / "decision.json").read_text()) == record(exported)
    rule = read_rule(extra)
    assert rule is not None
    assert rule.words() == ("blue", "not blue")
    card = (extra / "MODEL_CARD.md").read_text()
    assert "## How to decide" in card
    assert "not calibrated" not in card


def test_another_decision_trains_nothing_and_is_exported(
    configure: Configure, exported: ExperimentResult, tmp_path: Path
) -> None:
    first = shutil.copytree(exported.folder, tmp_path / "colours")
    before = place(first, "runs.csv").read_bytes()
    monitor = Warned()
    # three classes without a good one, and none named
    config = configure(tmp_path, export=MEASURED, decision={"target_recall": 0.5})
    again = run_experiment(config, monitor=monitor)
    assert place(again.folder, "runs.csv").read_bytes() == before
    assert record(again)["threshold"] is None
    assert not place(again.folder, "thresholds.csv").exists()
    assert again.export is not None and again.export.name == "2"
    (told,) = [text for text in monitor.warnings if "decision" in text]
    assert "threshold: 0.25 -> none" in told and "positive: [blue] -> []" in told
    assert json.loads((again.export / "assets.extra" / "decision.json").read_text()) == (
        record(again)
    )
    assert other_decision(again.export) is None
    # what is up to date is not exported once more
    assert run_experiment(config, monitor=monitor).export == again.export
    assert export_experiment(again.folder).name == "3"


def test_a_version_with_another_decision_than_its_experiment_is_said(
    configure: Configure, exported: ExperimentResult, tmp_path: Path
) -> None:
    first = shutil.copytree(exported.folder, tmp_path / "colours")
    config = configure(tmp_path, export=False, decision={"positive": ["blue"], "miss_cost": 9})
    again = run_experiment(config)
    assert again.export is None
    assert "tl-keras export" in str(other_decision(first / "export" / "1"))


def test_the_export_decides_as_its_rule_does(exported: ExperimentResult, photos: Path) -> None:
    assert exported.export is not None
    classifier, rule = ExportedClassifier(exported.export), read_rule(exported.export / EXTRA)
    files = sorted(photos.rglob("*.png"))
    answers = Answers.of_batches(list(classifier.classify_paths(files)))
    assert classifier.decides and rule is not None
    assert answers.decision == rule.decisions(answers.probabilities, answers.familiar)
    assert answers.confidence is not None
    np.testing.assert_array_equal(answers.confidence, rule.confidence(answers.probabilities))
    assert set(answers.decision) >= {"blue", "not blue"}


def test_the_card_shows_what_the_export_answers(exported: ExperimentResult) -> None:
    assert exported.export is not None
    card = json.loads((exported.export / EXTRA / "model_card.json").read_text())
    example = card["how_to_call"]["example"]
    names = ["label", "probability", "probabilities", "decoded", "decision", "confidence"]
    names.append("familiar")
    assert list(example["answer"]) == names
    assert example["answer"]["decision"] in record(exported)["decisions"]
    assert "example" not in card["verification"]


def test_unknown_classes_are_refused_before_anything_is_written(
    configure: Configure, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match='among amber, blue, green; got "bleu"'):
        run_experiment(configure(tmp_path, decision={"positive": ["bleu"]}))
    assert list(tmp_path.iterdir()) == []


def test_a_majority_class_decides_nothing(configure: Configure, tmp_path: Path) -> None:
    result = run_experiment(configure(tmp_path, strategies=["majority_class"]))
    assert result.decision is None
    assert not place(result.folder, "decision.json").exists()


def test_test_labels_change_neither_temperature_nor_threshold_nor_band(
    exported: ExperimentResult,
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tl_keras.experiment.prepare

    prepare = tl_keras.experiment.prepare.prepare_images

    def relabelled(*arguments: Any) -> Any:
        images = prepare(*arguments)
        frame, test = images.audit.table.frame, images.splits.tested
        frame.loc[test, "class_index"] = (frame.loc[test, "class_index"] + 1) % 3
        return images

    first = exported.decision
    monkeypatch.setattr(tl_keras.experiment.prepare, "prepare_images", relabelled)
    second = run_experiment(configure(tmp_path)).decision
    assert first is not None and second is not None
    for key in ("temperature", "threshold", "rule", "review"):
        assert first[key] == second[key]
    assert first["test"] != second["test"]


def test_unequal_classes_weigh_by_their_shares(
    configure: Configure, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "uneven"
    for number in range(14):
        for colour in ("amber", "blue"):
            if colour == "amber" or number < 7:
                target = folder / colour / f"{number}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(photos / colour / f"{number}.png")
    data = {"folder": folder, "train_per_class": 3, "validation_per_class": 2}
    config = configure(tmp_path / "results", data=data, decision={})
    stored = run_experiment(config).decision
    assert stored is not None
    # outside the test split 10 amber and 5 blue ones; trained on as many of either
    assert stored["rule"]["class_factors"] == pytest.approx([4 / 3, 2 / 3])
    assert stored["rule"]["positive"] == ["blue"]
    assert stored["positive_reason"].startswith("of two classes, it is the rarer one")


@pytest.fixture(scope="module")
def of_parts(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    """An experiment with ten shots of each part; 60 of them, of 6 parts, are tested: all right."""
    folder, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for label, colour in {"bad": (220, 40, 40), "good": (40, 40, 220)}.items():
        (folder / label).mkdir()
        for number in range(60):
            pixels = np.array(colour) + rng.integers(-30, 30, (36, 36, 3))
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(folder / label / f"{number // 10}-{number % 10}.png")
    data = {
        "folder": folder,
        "group_pattern": "^([a-z]+/[0-9]+)-",
        "test_fraction": 0.5,
        "train_per_class": 10,
        "validation_per_class": 10,
    }
    results = tmp_path_factory.mktemp("of_parts")
    # what cannot be written here is left to where it can
    targets = ["litert"] if find_spec("ai_edge_litert") else []
    keys = {"data": data, "decision": {}, "seeds": 1, "export": MEASURED}
    keys["export_targets"] = targets
    return run_experiment(configure(results, **keys))


def test_shots_of_one_part_count_as_few_in_a_decision(of_parts: ExperimentResult) -> None:
    test = record(of_parts)["test"]
    of_all = test["review"]["accuracy_of_all"]
    assert (of_all["estimate"], of_all["n"], of_all["groups"], test["groups"]) == (1, 60, 6, 6)
    # six of six by Wilson, where sixty of sixty would be 0.940
    assert (of_all["low"], of_all["high"]) == (pytest.approx(0.6097, abs=1e-4), 1)
    # three of three
    assert test["recall"]["low"] == pytest.approx(0.4385, abs=1e-4)
    assert test["cost_per_100"]["rule"]["high"] > 15
    bins = pd.read_csv(place(of_parts.folder, "calibration.csv"))
    assert bins["accuracy_low"].max() < 0.62


def test_one_model_has_one_interval_wherever_it_stands(of_parts: ExperimentResult) -> None:
    decision = record(of_parts)["test"]["review"]["accuracy_of_all"]
    expected = decision["low"], decision["high"]
    assert of_parts.export is not None
    card = json.loads((of_parts.export / "assets.extra" / "model_card.json").read_text())
    interval = card["metrics"]["accuracy_interval"]
    assert (interval["low"], interval["high"]) == expected
    # with one seed the method is the model
    for table in ("exports", "summary") if of_parts.config.export_targets else ("summary",):
        for row in pd.read_csv(place(of_parts.folder, f"{table}.csv")).to_dict("records"):
            bounds = row["test_accuracy_low"], row["test_accuracy_high"]
            assert bounds == pytest.approx(expected, abs=1e-12)
            assert row["interval_method"] == interval["method"]


def test_a_decision_says_how_many_parts_it_rests_on(of_parts: ExperimentResult) -> None:
    stored = record(of_parts)
    uses = of_parts.splits[of_parts.splits["part"] == "validation"]
    parts = uses["image_id"].str.split("-").str[0].nunique()
    assert stored["validation_groups"] == parts < stored["validation_images"]
