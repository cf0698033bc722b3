"""Experiments whose estimates come from folds, and experiments of two classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from tl_keras.errors import DataError
from tl_keras.evaluation.fold_intervals import CORRECTED_T
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.results.store import Store
from tl_keras.results_layout import place

# KerasTuner asks for the current thread by its old name.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
    pytest.mark.usefixtures("without_report"),
]

Configure = Callable[..., dict[str, Any]]
FOLDS, REPEATS = 2, 2


@pytest.fixture(scope="module")
def configure(
    photos: Path, tiny_backbone: None, checked_here: None, advised_once: None
) -> Configure:
    """`configure(results, **keys)`: two divisions into two folds, short training."""

    def configured(results: Path, **keys: Any) -> dict[str, Any]:
        short = {"epochs": 1, "learning_rate": 0.01}
        return {
            "name": "folds",
            "data": {"folder": photos, "train_per_class": 4, "validation_per_class": 2},
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "training": {"phase_1": short, "phase_2": short},
            "strategies": ["feature_extraction", "searched", "linear_probe"],
            "search": {"max_trials": 2, "unfrozen_blocks": [0, 1], "folds": 1},
            "estimate": {"method": "k_fold", "folds": FOLDS, "repeats": REPEATS},
            "results_dir": results,
            "export": False,
        } | keys

    return configured


@pytest.fixture(scope="module")
def result(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return run_experiment(configure(tmp_path_factory.mktemp("results"), export=True))


def images_of(result: ExperimentResult, seed: int, *parts: str) -> set[str]:
    splits = result.splits
    own = splits[(splits["seed"] == seed) & splits["part"].isin(parts)]
    return set(own["image_id"])


def test_every_image_is_tested_once_in_each_repeat(result: ExperimentResult) -> None:
    tested = result.splits[result.splits["part"] == "test"]
    assert tested["image_id"].value_counts().eq(REPEATS).all()
    assert tested["image_id"].nunique() == 42
    assert sorted(result.runs["seed"].unique()) == [0, 1, 2, 3]
    assert result.runs["test_images"].eq(21).all()


def test_no_run_learns_from_its_fold(result: ExperimentResult) -> None:
    for seed in range(FOLDS * REPEATS):
        assert not images_of(result, seed, "test") & images_of(result, seed, "train", "validation")


def test_every_fold_searches_for_itself(result: ExperimentResult) -> None:
    assert result.trials is not None
    assert result.trials.groupby("seed")["chosen"].sum().to_dict() == dict.fromkeys(range(4), 1)
    folders = {path.name for path in place(result.folder, "search").iterdir()}
    assert folders == {f"n4-s{seed}" for seed in range(4)}
    chosen = result.trials[result.trials["chosen"]].set_index("seed")["unfrozen_blocks"].astype(str)
    searched = result.runs[result.runs["strategy"] == "searched"].set_index("seed")
    assert searched["unfrozen_blocks"].to_dict() == chosen.to_dict()


def test_the_summary_has_a_row_per_strategy_and_counts_every_image(
    result: ExperimentResult,
) -> None:
    summary = result.summary
    assert summary["strategy"].tolist() == ["feature_extraction", "searched", "linear_probe"]
    assert summary["n"].eq(4).all()
    assert summary["test_images"].eq(42).all()
    assert summary["interval_method"].eq(CORRECTED_T).all()
    means = result.runs.groupby("strategy")["test_accuracy"].mean()
    assert np.allclose(summary["test_accuracy_mean"], means[summary["strategy"]])
    assert (summary["test_accuracy_low"] <= summary["test_accuracy_mean"]).all()
    assert summary["sentence"].iloc[2].startswith("linear probe ")


def test_tables_are_of_each_runs_own_fold(result: ExperimentResult) -> None:
    confusion = result.confusion
    right = confusion[confusion["true_class"] == confusion["predicted_class"]]
    accuracy = right.groupby("run_id")["count"].sum() / 21
    runs = result.runs.set_index("run_id")
    assert np.allclose(accuracy[runs.index], runs["test_accuracy"])
    assert result.per_class["support"].eq(7).all()


def test_any_two_strategies_are_compared(result: ExperimentResult) -> None:
    pairs = result.comparisons[["a", "b"]].to_numpy().tolist()
    assert pairs == [
        ["searched", "feature_extraction"],
        ["linear_probe", "feature_extraction"],
        ["linear_probe", "searched"],
    ]
    on_disk = pd.read_csv(place(result.folder, "comparisons.csv"))
    assert on_disk["sentence"].tolist() == result.comparisons["sentence"].tolist()
    means = result.summary.set_index("strategy")["test_accuracy_mean"].to_dict()
    for row in result.comparisons.to_dict("records"):
        assert row["difference"] == pytest.approx(means[row["a"]] - means[row["b"]])


def test_the_export_is_checked_on_its_own_fold_and_says_so(result: ExperimentResult) -> None:
    assert result.export is not None
    card = json.loads((result.export / "assets.extra" / "model_card.json").read_text())
    assert card["verification"]["images"] == card["metrics"]["test_images"] == 21
    run = result.runs.set_index("run_id").loc[card["run"]["run_id"]]
    assert card["metrics"]["accuracy"] == run["test_accuracy"]
    repeat, fold = divmod(run["seed"], FOLDS)
    division = f"fold {fold + 1} of 2 (division {repeat + 1} of 2)"
    assert division in card["trained_on"]["division"]
    assert division in (result.export / "assets.extra" / "MODEL_CARD.md").read_text()


def test_a_fold_is_no_hint_to_the_search_of_another(
    configure: Configure, result: ExperimentResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong labels on the images that fold 0 tests change nothing that fold 0 learns."""
    import tl_keras.experiment.prepare

    prepare = tl_keras.experiment.prepare.prepare_images

    def relabelled(*arguments: Any) -> Any:
        images = prepare(*arguments)
        frame, test = images.audit.table.frame, images.splits.test_of(0)
        frame.loc[test, "class_index"] = (frame.loc[test, "class_index"] + 1) % 3
        return images

    monkeypatch.setattr(tl_keras.experiment.prepare, "prepare_images", relabelled)
    other = run_experiment(configure(tmp_path))
    assert other.trials is not None
    assert result.trials is not None
    for table in ("trials", "runs"):
        ours, theirs = getattr(result, table), getattr(other, table)
        columns = ["validation_loss", "validation_accuracy"]
        first, again = (found.loc[found["seed"] == 0, columns] for found in (ours, theirs))
        pd.testing.assert_frame_equal(first, again)
        assert not np.allclose(ours["validation_loss"], theirs["validation_loss"])


def test_a_killed_search_goes_on_in_its_fold(
    configure: Configure, result: ExperimentResult
) -> None:
    config = result.config.model_dump(mode="json")
    again = run_experiment(config)
    pd.testing.assert_frame_equal(again.runs, result.runs)
    pd.testing.assert_frame_equal(again.comparisons, result.comparisons)


def test_a_source_with_a_test_split_is_refused(
    configure: Configure, photos: Path, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        for label in ("amber", "blue"):
            (tmp_path / "divided" / part).mkdir(parents=True, exist_ok=True)
            (tmp_path / "divided" / part / label).symlink_to(photos / label)
    data = {"folder": tmp_path / "divided"}
    with pytest.raises(DataError, match="k_fold divides all images itself"):
        run_experiment(configure(tmp_path, data=data, strategies=["majority_class"]))


def test_two_classes_are_ranked(configure: Configure, photos: Path, tmp_path: Path) -> None:
    for label in ("amber", "blue"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "two" / label).symlink_to(photos / label)
    data = {"folder": tmp_path / "two", "train_per_class": 4, "validation_per_class": 2}
    config = configure(tmp_path, data=data, strategies=["majority_class", "linear_probe"])
    found = run_experiment(config)
    assert found.runs[["test_auroc", "test_average_precision"]].notna().all(axis=None)
    auroc = found.summary.set_index("strategy")["test_auroc_mean"].to_dict()
    # the same answer for every image tells nothing
    assert auroc["majority_class"] == 0.5
    assert auroc["linear_probe"] > 0.5


def test_the_class_to_be_found_is_the_one_that_is_asked_for(
    configure: Configure, photos: Path, tmp_path: Path
) -> None:
    for label in ("amber", "blue"):
        (tmp_path / "two").mkdir(exist_ok=True)
        (tmp_path / "two" / label).symlink_to(photos / label)
    data = {"folder": tmp_path / "two", "train_per_class": 4, "validation_per_class": 2}
    found = {}
    # the runs stay, and what is said of them follows
    for positive in (None, ["amber"], ["blue"]):
        decision = {"positive": positive}
        config = configure(tmp_path, data=data, strategies=["linear_probe"], decision=decision)
        result = run_experiment(config)
        found[str(positive)] = result.runs.set_index("run_id")
        store = Store(result.folder)
        splits = store.read("splits")
        for run in result.runs.to_dict("records"):
            own = splits["seed"].isna() | (splits["seed"] == run["seed"])
            tested = splits[own & (splits["part"] == "test")]
            asked = 0 if positive == ["amber"] else 1
            scores = store.test_probabilities(run["run_id"])[:, asked]
            expected = average_precision_score(tested["class_index"] == asked, scores)
            assert run["test_average_precision"] == pytest.approx(expected)
    columns = ["test_auroc", "test_average_precision", "peak_memory_megabytes"]
    others = [name for name in found["None"] if name not in columns]
    pd.testing.assert_frame_equal(found["None"], found["['blue']"])
    pd.testing.assert_frame_equal(found["None"][others], found["['amber']"][others])


def test_more_classes_are_not_ranked(result: ExperimentResult) -> None:
    assert result.runs[["test_auroc", "test_average_precision"]].isna().all(axis=None)
    assert result.summary["test_auroc_mean"].isna().all()
