"""Tables over hand-made runs: two seeds, four test images, two classes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.evaluation.intervals import wilson_interval
from tl_keras.evaluation.metrics import METRICS, Metric
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.summary_tables import (
    confusion_table,
    per_class_table,
    summary_table,
)
from tl_keras.results.test_results import TestResults

LABELS = np.array([0, 0, 1, 1])


def results_of(predicted: Mapping[str, np.ndarray], classes: tuple[str, ...]) -> TestResults:
    """Predictions of the same four images by every run."""
    return TestResults(LABELS, {run_id: np.arange(4) for run_id in predicted}, predicted, classes)


def row(strategy: str, seed: int, depth: str | None = None, **values: Any) -> dict[str, Any]:
    """A row of `runs.csv` with what the tables read."""
    size = values.get("train_per_class", 5)
    return {
        "run_id": f"{strategy}-{depth}-n{size}-s{seed}",
        "strategy": strategy,
        "unfrozen_blocks": depth,
        "train_per_class": size,
        "seed": seed,
        "validation_loss": 1.0,
        "trainable_parameters": 100,
        "validation_accuracy": 0.5,
        "selection_loss": 1.0,
        "test_accuracy": 0.5,
        "test_macro_f1": 0.5,
        "test_balanced_accuracy": 0.5,
        "test_images": 4,
        "phase_1_seconds": 1.0,
        "phase_2_seconds": 2.0,
        "classifier_megabytes": 9.0,
        "milliseconds_per_image": 4.0,
    } | values


@pytest.fixture
def runs() -> pd.DataFrame:
    """Feature extraction has 2 and 3 of 4 right, fine-tuning 3 and 4."""
    return runs_table(
        FinishedRun.from_row(columns)
        for columns in [
            row("feature_extraction", 0, "0", test_accuracy=0.5, phase_2_seconds=0.0),
            row("feature_extraction", 1, "0", test_accuracy=0.75, phase_2_seconds=4.0),
            row("fine_tuning", 0, "2", test_accuracy=0.75),
            row("fine_tuning", 1, "2", test_accuracy=1.0),
        ]
    )


@pytest.fixture
def results() -> TestResults:
    predicted = {
        "feature_extraction-0-n5-s0": np.array([0, 1, 1, 0]),
        "feature_extraction-0-n5-s1": np.array([0, 0, 1, 0]),
        "fine_tuning-2-n5-s0": np.array([0, 1, 1, 1]),
        "fine_tuning-2-n5-s1": np.array([0, 0, 1, 1]),
    }
    return results_of(predicted, ("crack", "dent"))


def test_summary_has_mean_spread_and_number(runs: pd.DataFrame, results: TestResults) -> None:
    first = summary_table(runs, results).iloc[0]
    assert (first["strategy"], first["unfrozen_blocks"], first["train_per_class"]) == (
        "feature_extraction",
        "0",
        5,
    )
    assert first["n"] == 2
    assert first["test_accuracy_mean"] == pytest.approx(0.625)
    assert first["test_accuracy_sd"] == pytest.approx(np.sqrt(2) / 8)
    assert first["training_seconds_mean"] == pytest.approx(3.0)
    assert first["classifier_megabytes_mean"] == pytest.approx(9.0)
    assert first["milliseconds_per_image_mean"] == pytest.approx(4.0)
    assert 0 <= first["test_accuracy_low"] < 0.625 < first["test_accuracy_high"] <= 1


def test_the_difference_is_paired_by_seed_and_test_image(
    runs: pd.DataFrame, results: TestResults
) -> None:
    fine_tuning = summary_table(runs, results).iloc[1]
    assert fine_tuning["difference"] == pytest.approx(0.25)
    assert fine_tuning["difference_low"] < 0.25 < fine_tuning["difference_high"]
    assert fine_tuning["verdict"] in ("better", "not distinguishable")
    assert fine_tuning["sentence"].startswith("fine-tuning (2 blocks)")


def test_rows_in_another_order_give_the_same_difference(
    runs: pd.DataFrame, results: TestResults
) -> None:
    forwards = summary_table(runs, results).set_index("strategy")
    backwards = summary_table(runs.iloc[::-1].reset_index(drop=True), results).set_index("strategy")
    pd.testing.assert_frame_equal(forwards, backwards.loc[forwards.index])


def test_only_seeds_that_both_finished_are_compared(
    runs: pd.DataFrame, results: TestResults
) -> None:
    fine_tuning = summary_table(runs.drop(index=0), results).iloc[1]
    assert fine_tuning["n"] == 2
    assert fine_tuning["difference"] == pytest.approx(0.25)
    assert "1 seed and 4 test images" in fine_tuning["sentence"]


def test_without_feature_extraction_nothing_is_compared(
    runs: pd.DataFrame, results: TestResults
) -> None:
    summary = summary_table(runs[runs["strategy"] == "fine_tuning"], results)
    assert summary[["difference", "verdict", "sentence"]].isna().all(axis=None)


def test_strategies_are_compared_within_their_size() -> None:
    right, wrong = LABELS, 1 - LABELS
    rows = [
        row(strategy, seed, depth, train_per_class=size)
        for size in (5, 10)
        for strategy, depth in (("feature_extraction", "0"), ("fine_tuning", "2"))
        for seed in (0, 1)
    ]
    # fine-tuning overtakes at 10 images per class
    predicted = {
        r["run_id"]: right if (r["strategy"] == "fine_tuning") == (r["train_per_class"] == 10)
        else wrong
        for r in rows
    }  # fmt: skip
    summary = summary_table(
        runs_table(map(FinishedRun.from_row, rows)), results_of(predicted, ("a", "b"))
    )
    assert summary["difference"].dropna().tolist() == [-1.0, 1.0]


def test_all_images_as_the_size_are_compared_too() -> None:
    rows = [
        row(strategy, 0, depth, train_per_class=None)
        for strategy, depth in (("feature_extraction", "0"), ("from_scratch", "all"))
    ]
    predicted = {rows[0]["run_id"]: LABELS, rows[1]["run_id"]: 1 - LABELS}
    summary = summary_table(
        runs_table(map(FinishedRun.from_row, rows)), results_of(predicted, ("a", "b"))
    )
    assert summary["difference"].tolist()[1] == -1.0


def test_one_seed_has_no_spread(runs: pd.DataFrame, results: TestResults) -> None:
    summary = summary_table(runs[runs["seed"] == 0], results)
    assert summary["test_accuracy_sd"].isna().all()
    assert summary["interval_method"].str.contains("Wilson").all()


def test_per_class_recall_and_precision(runs: pd.DataFrame, results: TestResults) -> None:
    table = per_class_table(runs, results)
    assert list(table)[:5] == ["run_id", "strategy", "unfrozen_blocks", "train_per_class", "seed"]
    first = table[table["run_id"] == "feature_extraction-0-n5-s1"].set_index("class")
    assert first["recall"].to_dict() == {"crack": 1.0, "dent": 0.5}
    assert first["precision"].to_dict() == {"crack": pytest.approx(2 / 3), "dent": 1.0}


def test_confusion_counts_every_test_image_once_per_run(
    runs: pd.DataFrame, results: TestResults
) -> None:
    table = confusion_table(runs, results)
    assert table.groupby("run_id")["count"].sum().eq(4).all()
    first = table[table["run_id"] == "feature_extraction-0-n5-s0"]
    assert first["count"].tolist() == [1, 1, 1, 1]


def test_measures_of_two_classes_have_means_where_runs_have_them(
    runs: pd.DataFrame, results: TestResults
) -> None:
    without = summary_table(runs, results)
    assert without[["test_auroc_mean", "test_average_precision_sd"]].isna().all(axis=None)
    ranked = runs.assign(test_auroc=[0.5, 0.75, 0.9, 1.0], test_average_precision=0.8)
    first = summary_table(ranked, results).iloc[0]
    assert first["test_auroc_mean"] == pytest.approx(0.625)
    assert first["test_average_precision_mean"] == pytest.approx(0.8)


def test_a_new_metric_has_columns_in_the_summary(
    runs: pd.DataFrame, results: TestResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, "errors", Metric(lambda labels, predicted: 0.0, "errors"))
    without = summary_table(runs, results)
    assert without[["test_errors_mean", "test_errors_sd"]].isna().all(axis=None)
    first = summary_table(runs.assign(test_errors=[0.5, 0.25, 0.25, 0.0]), results).iloc[0]
    assert first["test_errors_mean"] == pytest.approx(0.375)
    assert first["test_errors_sd"] == pytest.approx(np.sqrt(2) / 8)


def test_the_summary_says_how_unequal_the_test_classes_are(runs: pd.DataFrame) -> None:
    rows = dict.fromkeys(runs["run_id"], np.array([0, 2, 3]))
    predicted = {run_id: np.array([0, 1, 1]) for run_id in rows}
    summary = summary_table(runs, TestResults(LABELS, rows, predicted, ("a", "b")))
    assert summary["test_class_ratio"].tolist() == [2.0, 2.0]
    assert summary["test_images"].tolist() == [3, 3]


def test_what_would_be_needed_is_said_where_nothing_is_distinguishable(
    runs: pd.DataFrame, results: TestResults
) -> None:
    fine_tuning = summary_table(runs, results).iloc[1]
    assert fine_tuning["verdict"] == "not distinguishable"
    assert fine_tuning["images_needed"] > 4
    assert fine_tuning["needed"].startswith("about ")
    assert fine_tuning["needed"].endswith("would be needed to tell")


def test_the_recall_of_a_class_has_its_interval(runs: pd.DataFrame) -> None:
    predicted = {run_id: np.array([0, 0, 1, 0]) for run_id in runs["run_id"]}
    table = per_class_table(runs, results_of(predicted, ("a", "b", "c")))
    own = table[table["run_id"] == runs["run_id"].iloc[0]].set_index("class")
    bounds = own[["recall_low", "recall_high"]]
    # Wilson's, of 2 in 2 and of 1 in 2
    np.testing.assert_allclose(bounds.loc["a"], wilson_interval(1.0, 2))
    np.testing.assert_allclose(bounds.loc["b"], wilson_interval(0.5, 2))
    assert bounds.loc["c"].isna().all()


def test_photos_of_a_group_widen_the_interval_of_a_recall(runs: pd.DataFrame) -> None:
    predicted = {run_id: np.array([0, 0, 1, 0]) for run_id in runs["run_id"]}
    alone = results_of(predicted, ("a", "b"))
    shared = replace(alone, groups=np.array([0, 0, 1, 2]))
    lows = [per_class_table(runs, each)["recall_low"].iloc[0] for each in (alone, shared)]
    assert lows[1] < lows[0]
