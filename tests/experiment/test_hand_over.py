"""The model that is handed over: what it learned from, and what is said of that."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.digests import keep_json
from tl_keras.errors import TlKerasError
from tl_keras.experiment import hand_over
from tl_keras.experiment.stages import ExperimentResult, export_experiment, run_experiment
from tl_keras.experiment.strategies import by_steps, linear_probe
from tl_keras.experiment.strategies.fitted import Refitted
from tl_keras.reporting.handed_over_words import handed_in_words
from tl_keras.results_layout import place

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_report")]

Configure = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def configure(
    photos: Path,
    tiny_backbone: None,
    checked_here: None,
    advised_once: None,
    never_reported: None,
) -> Configure:
    """`configure(results, **keys)`: linear probes of two seeds."""

    def configured(results: Path, **keys: Any) -> dict[str, Any]:
        return {
            "name": "colours",
            "data": {"folder": photos, "train_per_class": 4, "validation_per_class": 4},
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "strategies": ["linear_probe"],
            "seeds": 2,
            "results_dir": results,
        } | keys

    return configured


@pytest.fixture(scope="module")
def exported(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return run_experiment(configure(tmp_path_factory.mktemp("handed_over")))


def record(result: ExperimentResult) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(place(result.folder, "handed_over.json").read_text())
    return stored


def card(result: ExperimentResult) -> dict[str, Any]:
    assert result.export is not None
    path = result.export / "assets.extra" / "model_card.json"
    stored: dict[str, Any] = json.loads(path.read_text())
    return stored


def used(result: ExperimentResult) -> int:
    return int(result.splits["image_id"].nunique())


def test_it_learned_every_photo_that_the_experiment_used(exported: ExperimentResult) -> None:
    stored = record(exported)
    assert stored["train_on"] == "all"
    assert stored["images"] == sum(stored["per_class"].values()) == used(exported)
    assert stored["measured"]["images"] == 24, "training and validation photos of one run"
    assert stored["sound"]


def test_the_measured_figures_stay_those_of_the_measured_run(
    exported: ExperimentResult, configure: Configure, tmp_path: Path
) -> None:
    before = run_experiment(configure(tmp_path, export={"train_on": "training"}))
    same = ["run_id", "test_accuracy", "validation_loss", "selection_loss"]
    pd.testing.assert_frame_equal(before.runs[same], exported.runs[same])
    assert card(before)["metrics"] == card(exported)["metrics"]
    assert record(before)["train_on"] == "training"
    assert record(before)["images"] == 24


def test_the_model_has_the_weights_of_the_new_fit(exported: ExperimentResult) -> None:
    run = exported.runs.set_index("run_id").loc[record(exported)["run_id"]]
    with np.load(place(exported.folder, "refitted.npz")) as arrays:
        kernel = arrays["weight_head_0000"]
    with np.load(place(exported.folder, "runs") / run.name / "weights.npz") as arrays:
        measured = arrays["head_0000"]
    assert kernel.shape == measured.shape
    assert np.abs(kernel - measured).max() > 1e-4
    served = exported.model().get_weights()
    assert any(weights.shape == kernel.shape and (weights == kernel).all() for weights in served)


def test_the_rule_rests_on_what_is_said_of_photos_that_were_held_out(
    exported: ExperimentResult,
) -> None:
    decision = exported.decision
    assert decision is not None
    assert decision["validation_images"] == used(exported)
    splits = exported.splits
    held_out = splits.loc[splits["part"] == "validation", "image_id"].nunique()
    assert decision["measured_with"]["images"] == held_out
    with np.load(place(exported.folder, "refitted.npz")) as arrays:
        answers = arrays["held_out"]
    assert answers.shape[1] == used(exported)
    np.testing.assert_allclose(answers.sum(axis=2), 1, rtol=1e-5)


def test_the_card_says_both(exported: ExperimentResult) -> None:
    facts = card(exported)["handed_over"]
    assert facts["text"] == record(exported)["text"]
    assert str(facts["images"]) in facts["text"]
    assert str(facts["measured"]["images"]) in facts["text"]
    low, high = (facts["expected"][end] for end in ("low", "high"))
    assert low <= facts["expected"]["estimate"] <= high


def test_no_accuracy_is_given_on_photos_that_it_learned(
    configure: Configure, tmp_path: Path
) -> None:
    pytest.importorskip("tf2onnx")
    run_experiment(configure(tmp_path, export_targets=["onnx"]))
    table = pd.read_csv(place(tmp_path / "colours", "exports.csv"))
    assert table["test_accuracy"].isna().all()
    assert (table["labels_equal"] == 1).all()


def test_it_is_fitted_once(configure: Configure, tmp_path: Path) -> None:
    config = configure(tmp_path)
    first = run_experiment(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_probe, "refit", refuse)
        again = run_experiment(config)
        assert again.export == first.export
        export_experiment(first.folder)


def refuse(*given: Any) -> Any:
    raise AssertionError("fitted again")


def test_what_is_handed_over_can_be_changed(configure: Configure, tmp_path: Path) -> None:
    measured = run_experiment(configure(tmp_path, export={"train_on": "training"}))
    everything = run_experiment(configure(tmp_path, export={"train_on": "all"}))
    again = run_experiment(configure(tmp_path, export={"train_on": "training"}))
    assert measured.export is not None
    folders = [result.export.name for result in (measured, everything, again) if result.export]
    assert folders == ["1", "2", "3"]
    assert [record(again)["train_on"], card(everything)["handed_over"]["train_on"]] == [
        "training",
        "all",
    ]
    same = zip(measured.model().get_weights(), again.model().get_weights(), strict=True)
    assert all((one == other).all() for one, other in same)


def test_results_of_before_stay_as_they_are(configure: Configure, tmp_path: Path) -> None:
    first = run_experiment(configure(tmp_path, export={"train_on": "training"}))
    stored = first.folder / "config.json"
    written = json.loads(stored.read_text())
    # an earlier version knew true and false alone
    keep_json(stored, written | {"export": True})
    again = run_experiment(configure(tmp_path))
    assert again.export == first.export


def test_a_fit_that_answers_otherwise_is_not_handed_over(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_fit = linear_probe.refit

    def mixed_up(*given: Any) -> Refitted:
        refitted = true_fit(*given)
        turned = {name: np.roll(values, 1, axis=-1) for name, values in refitted.weights.items()}
        return replace(refitted, weights=turned)

    monkeypatch.setattr(linear_probe, "refit", mixed_up)
    result = run_experiment(configure(tmp_path))
    stored = record(result)
    assert (stored["sound"], stored["train_on"]) == (False, "training")
    assert stored["reason"]
    assert stored["reason"] in stored["text"]
    assert result.decision is not None
    assert result.decision["measured_with"] is None
    kernel = np.load(place(result.folder, "runs") / stored["run_id"] / "weights.npz")["head_0000"]
    served = result.model().get_weights()
    assert any(weights.shape == kernel.shape and (weights == kernel).all() for weights in served)


def test_trained_networks_are_trained_on_every_photo(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a handful of epochs learns too little to be trusted, and that is not what is asked here
    monkeypatch.setattr(hand_over, "MORE", np.inf)
    monkeypatch.setattr(hand_over, "MOST_CONTRADICTED", 1.0)
    phases = {"phase_1": {"epochs": 3}, "phase_2": {"epochs": 3}, "from_scratch": {"epochs": 2}}
    for strategy in ("fine_tuning", "from_scratch", "feature_extraction"):
        result = run_experiment(
            configure(
                tmp_path,
                name=strategy,
                strategies=[strategy],
                fine_tuning={"unfrozen_blocks": [1]},
                training=phases | {"augmentation": "none"},
            )
        )
        stored = record(result)
        assert stored["images"] == used(result)
        # twice the photo visits of a run of twelve
        share = min(1.0, 24 / used(result))
        kept = by_steps.kept_epochs(result.history)
        assert stored["epochs"] == {phase: int(np.ceil(share * n)) for phase, n in kept.items()}
        assert result.decision is not None
        tested = result.splits.loc[result.splits["part"] != "train", "image_id"].nunique()
        assert result.decision["validation_images"] == tested


def test_a_damaged_fit_is_made_again(configure: Configure, tmp_path: Path) -> None:
    config = configure(tmp_path)
    first = run_experiment(config)
    whole = place(first.folder, "refitted.npz").read_bytes()
    place(first.folder, "refitted.npz").write_bytes(whole[: len(whole) // 2])
    again = run_experiment(config)
    assert again.export == first.export
    assert place(first.folder, "refitted.npz").read_bytes() == whole


@pytest.mark.parametrize("name", ["handed_over.json", "refitted.npz"])
def test_what_is_said_comes_back_with_it(configure: Configure, tmp_path: Path, name: str) -> None:
    config = configure(tmp_path)
    first = run_experiment(config)
    before = record(first)
    place(first.folder, name).unlink()
    again = run_experiment(config)
    assert again.export == first.export
    assert record(again) == before


def test_less_than_what_was_measured_is_not_expected(exported: ExperimentResult) -> None:
    facts = record(exported)
    high, low = ({**facts["expected"], "estimate": value} for value in (1.1, 0.1))
    assert "110.0%" in handed_in_words(facts | {"expected": high})
    assert "10.0%" not in handed_in_words(facts | {"expected": low})


def test_without_export_nothing_is_fitted(configure: Configure, tmp_path: Path) -> None:
    result = run_experiment(configure(tmp_path, export=False))
    assert not place(result.folder, "refitted.npz").exists()
    with pytest.raises(TlKerasError):
        export_experiment(result.folder)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # the head's best epochs 2 and 4, phase 2's kept 3 and none
        ([("head", 2, 4), ("fine_tuning", 3, None)], {"head": 3, "fine_tuning": 2}),
        ([("head", 2, 2), ("fine_tuning", None, None)], {"head": 2, "fine_tuning": 0}),
        ([("from_scratch", 1, 4)], {"from_scratch": 2}),
    ],
)
def test_epochs_are_the_median_of_those_that_validation_kept(
    rows: list[tuple[str, int | None, int | None]], expected: dict[str, int]
) -> None:
    tables = []
    for phase, *bests in rows:
        for run, best in zip("ab", bests, strict=True):
            last = phase != "head" or len(rows) == 1
            table = pd.DataFrame({"run_id": run, "phase": phase, "epoch": [1, 2, 3, 4]})
            lowest = 4 if best is None else best
            table["validation_loss"] = np.abs(table["epoch"] - lowest) + 0.5
            table["kept"] = (table["epoch"] == best) & last
            tables.append(table)
    assert by_steps.kept_epochs(pd.concat(tables, ignore_index=True)) == expected
