"""Scores against numbers worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tl_keras.evaluation.metrics import METRICS, Metric, column_of, confusion, evaluate, per_class

# true class 0: 3 of 4 right; 1: 1 of 2; 2: 1 of 1
LABELS = np.array([0, 0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 2, 2])
NAMES = ("crack", "ok", "scratch")


def one_hot(predicted: NDArray[np.int_], n_classes: int, top: float) -> NDArray[np.float64]:
    rest = (1 - top) / (n_classes - 1)
    return np.where(np.arange(n_classes) == predicted[:, None], top, rest)


def test_scores_match_hand_computed_numbers() -> None:
    scores = evaluate(LABELS, one_hot(PREDICTED, 3, 0.8))
    assert scores.n == 7
    assert scores.metrics["accuracy"] == pytest.approx(5 / 7)
    assert scores.metrics["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    # F1 = 2 tp / (2 tp + fp + fn): 6/7, 2/4, 2/3
    assert scores.metrics["macro_f1"] == pytest.approx((6 / 7 + 1 / 2 + 2 / 3) / 3)
    assert scores.cross_entropy == pytest.approx(-(5 * math.log(0.8) + 2 * math.log(0.1)) / 7)


def test_two_classes_are_ranked_by_the_positive_one() -> None:
    labels = np.array([0, 0, 1, 1])
    found = np.array([0.1, 0.6, 0.4, 0.9])
    scores = evaluate(labels, np.column_stack([1 - found, found]))
    # of the 4 pairs one is in the wrong order
    assert scores.metrics["auroc"] == pytest.approx(3 / 4)
    # the positive ones come first and third: precision 1 and 2/3
    assert scores.metrics["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    other = evaluate(labels, np.column_stack([1 - found, found]), positive=0)
    assert other.metrics["auroc"] == pytest.approx(3 / 4)
    # by falling probability of class 0: 0.9 right, 0.6 wrong, 0.4 right
    assert other.metrics["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_more_classes_or_one_among_the_labels_are_not_ranked() -> None:
    three = evaluate(LABELS, one_hot(PREDICTED, 3, 0.8))
    one = evaluate(np.array([1, 1]), np.array([[0.5, 0.5], [0.4, 0.6]]))
    assert (three.metrics["auroc"], three.metrics["average_precision"]) == (None, None)
    assert (one.metrics["auroc"], one.metrics["average_precision"]) == (None, None)


def test_perfect_predictions_score_one() -> None:
    scores = evaluate(LABELS, one_hot(LABELS, 3, 1.0))
    names = ("accuracy", "macro_f1", "balanced_accuracy")
    assert [scores.metrics[name] for name in names] == [1, 1, 1]
    assert scores.cross_entropy == 0


def test_zero_probability_of_the_true_class_costs_a_finite_amount() -> None:
    scores = evaluate(np.array([0]), np.array([[0.0, 1.0]], dtype=np.float32))
    assert scores.cross_entropy == pytest.approx(-math.log(1e-7))


def test_majority_class_is_shown_up_by_the_balanced_scores() -> None:
    labels = np.array([0] * 9 + [1])
    scores = evaluate(labels, one_hot(np.zeros(10, dtype=int), 2, 0.9))
    assert scores.metrics["accuracy"] == pytest.approx(0.9)
    assert scores.metrics["balanced_accuracy"] == pytest.approx(0.5)
    # class 0: 18/19, class 1: 0
    assert scores.metrics["macro_f1"] == pytest.approx(9 / 19)


def test_class_without_labels_or_predictions_leaves_the_averages_alone() -> None:
    three = evaluate(LABELS, one_hot(PREDICTED, 3, 0.8))
    four = evaluate(LABELS, np.pad(one_hot(PREDICTED, 3, 0.8), ((0, 0), (0, 1))))
    assert four == three


def test_predicted_class_without_labels_counts_in_f1_only() -> None:
    scores = evaluate(np.array([0, 0, 0, 0]), one_hot(np.array([0, 0, 0, 1]), 2, 0.9))
    assert scores.metrics["balanced_accuracy"] == pytest.approx(3 / 4)
    assert scores.metrics["macro_f1"] == pytest.approx((6 / 7 + 0) / 2)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [0.5, 0.5], r"must be \(n, classes\), got shape \(2,\)"),
        ([0, 2], [[0.5, 0.5]] * 2, r"labels must be in 0..1, got 0..2"),
        ([0, -1], [[0.5, 0.5]] * 2, r"labels must be in 0..1, got -1..0"),
        ([0, 1], [[0.5, 0.5]] * 3, "got 2 labels and 3 rows"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, "whole numbers.* got float64"),
        ([0, 1], [[3.0, -2.0]] * 2, "pass softmax outputs, not logits"),
        ([0, 1], [[0.2, 0.2]] * 2, "sum to 1"),
        ([0, 1], [[np.nan, 0.5]] * 2, "must lie in 0..1"),
    ],
)
def test_bad_input_is_refused(
    labels: list[float], probabilities: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(np.array(labels), np.array(probabilities))


def test_a_new_row_is_a_new_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def errors(labels: NDArray[np.int_], predicted: NDArray[np.int_]) -> float:
        return float((labels != predicted).mean())

    def sure(positive: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
        return float((probability[positive] > 0.75).mean())

    monkeypatch.setitem(METRICS, "errors", Metric(errors, "errors"))
    monkeypatch.setitem(METRICS, "sure", Metric(sure, "sure", reads="positive"))
    three = evaluate(LABELS, one_hot(PREDICTED, 3, 0.8)).metrics
    assert three["errors"] == pytest.approx(2 / 7)
    assert three["sure"] is None
    two = evaluate(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])).metrics
    assert (two["errors"], two["sure"]) == (0, 0.5)


@pytest.mark.parametrize("name", METRICS)
def test_every_score_is_described_where_the_tables_are(name: str) -> None:
    described = (Path(__file__).parents[2] / "results" / "README.md").read_text(encoding="utf-8")
    assert f"`{column_of(name)}`" in described


def test_per_class_matches_hand_computed_numbers() -> None:
    table = per_class(LABELS, PREDICTED, NAMES)
    assert table.columns.tolist() == ["class", "support", "recall", "precision", "f1"]
    assert table["class"].tolist() == list(NAMES)
    assert table["support"].tolist() == [4, 2, 1]
    assert table["recall"].tolist() == pytest.approx([3 / 4, 1 / 2, 1])
    assert table["precision"].tolist() == pytest.approx([1, 1 / 2, 1 / 2])
    assert table["f1"].tolist() == pytest.approx([6 / 7, 1 / 2, 2 / 3])


def test_per_class_is_nan_where_undefined() -> None:
    # class 1 is only predicted, class 2 only labelled, class 3 neither
    table = per_class(np.array([0, 0, 2]), np.array([0, 1, 0]), ("a", "b", "c", "d"))
    assert table["support"].tolist() == [2, 0, 1, 0]
    np.testing.assert_allclose(table["recall"], [0.5, np.nan, 0, np.nan])
    np.testing.assert_allclose(table["precision"], [0.5, 0, np.nan, np.nan])
    np.testing.assert_allclose(table["f1"], [0.5, 0, 0, np.nan])


def test_confusion_lists_all_pairs() -> None:
    table = confusion(LABELS, PREDICTED, NAMES)
    assert table.columns.tolist() == ["true_class", "predicted_class", "count"]
    assert table["true_class"].tolist() == [name for name in NAMES for _ in range(3)]
    assert table["predicted_class"].tolist() == list(NAMES) * 3
    assert table["count"].tolist() == [3, 1, 0, 0, 1, 1, 0, 0, 1]


def test_tables_refuse_predictions_of_other_images() -> None:
    with pytest.raises(ValueError, match="got 7 labels and 6 predictions"):
        per_class(LABELS, PREDICTED[:-1], NAMES)
    with pytest.raises(ValueError, match=r"predicted must be in 0\.\.1, got 0\.\.2"):
        confusion(np.minimum(LABELS, 1), PREDICTED, NAMES[:2])


def test_rows_that_sum_to_a_little_more_than_rounding_leaves_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        evaluate(np.array([0, 1]), np.array([[0.55, 0.5], [0.5, 0.5]]))
