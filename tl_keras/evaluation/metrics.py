"""Predictions to numbers: the scores of one run, per class and as a confusion table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Keras clips here too, so that this agrees with its validation loss
SMALLEST_PROBABILITY = 1e-7
# a softmax row in half precision sums to 1 within this
SUM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Metric:
    """A score of predictions, a fraction in 0..1.

    Attributes:
        score: of labels, int (n,), and what `reads` says.
        label: for people.
        reads: "predicted", the predicted class indices, int (n,), or, with two classes,
            "positive", the probability of the positive one, (n,): then the labels are boolean,
            whether it is that class. None where there are other classes, or one only among the
            labels.
    """

    score: Callable[[NDArray[Any], NDArray[Any]], float]
    label: str
    reads: Literal["predicted", "positive"] = "predicted"


def _of_sklearn(name: str, **options: Any) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """A function of `sklearn.metrics`, which takes a second to load, when it is first called."""

    def score(labels: NDArray[Any], values: NDArray[Any]) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(labels, values, **options))

    return score


def _balanced_accuracy(labels: NDArray[np.integer], predicted: NDArray[np.integer]) -> float:
    """Mean recall over the classes that occur among the labels."""
    # scikit-learn's balanced accuracy warns when a predicted class has no label
    recall = _of_sklearn("recall_score", labels=np.unique(labels), average="macro")
    return recall(labels, predicted)


# By the name that they have in the tables, where those of the test split begin with test_.
METRICS: dict[str, Metric] = {
    "accuracy": Metric(_of_sklearn("accuracy_score"), "accuracy"),
    # mean over the classes that occur among labels or predictions
    "macro_f1": Metric(_of_sklearn("f1_score", average="macro", zero_division=0), "macro F1"),
    "balanced_accuracy": Metric(_balanced_accuracy, "balanced accuracy"),
    # area under the ROC curve
    "auroc": Metric(_of_sklearn("roc_auc_score"), "AUROC", reads="positive"),
    # mean precision over recall
    "average_precision": Metric(
        _of_sklearn("average_precision_score"), "average precision", reads="positive"
    ),
}


def column_of(name: str) -> str:
    """Of a metric, in `runs.csv`."""
    return f"test_{name}"


@dataclass(frozen=True)
class Scores:
    """Scores of one run on one split.

    Attributes:
        metrics: by the names in `METRICS`; None where one does not apply.
        cross_entropy: mean, in nats.
        n: images.
    """

    metrics: Mapping[str, float | None]
    cross_entropy: float
    n: int


def evaluate(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], positive: int = 1
) -> Scores:
    """Scores the predictions of one run.

    Args:
        labels: `(n,)`, class indices 0..classes-1, n at least 1.
        probabilities: `(n, classes)`, 0..1, rows sum to 1; the prediction is the class with the
            largest (the first of equals).
        positive: With two classes, the one to be found.

    Raises:
        ValueError: The shapes do not fit, a label is out of range, or a row is no distribution.
    """
    labels = np.asarray(labels)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    _check_probabilities(labels, probabilities)
    read = {"predicted": (labels, probabilities.argmax(axis=1))}
    if probabilities.shape[1] == 2 and len(np.unique(labels)) == 2:
        read["positive"] = (labels == positive, probabilities[:, positive])
    metrics = {
        name: float(metric.score(*read[metric.reads])) if metric.reads in read else None
        for name, metric in METRICS.items()
    }
    return Scores(metrics, float(cross_entropies(labels, probabilities).mean()), len(labels))


def cross_entropies(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The cross-entropy of each prediction, `(n,)`, in nats.

    Args:
        labels: `(n,)`, class indices 0..classes-1.
        probabilities: `(n, classes)`, 0..1.
    """
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.maximum(given, SMALLEST_PROBABILITY)))


def per_class(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: Sequence[str]
) -> pd.DataFrame:
    """Scores per class, one row each in the order of `classes`.

    Args:
        labels: `(n,)`, class indices 0..len(classes)-1.
        predicted: `(n,)`, class indices likewise.
        classes: Names, by index.

    Returns:
        Columns `class, support, recall, precision, f1`; support counts images, the others are
        fractions, NaN where undefined (recall without labels, precision without predictions,
        F1 without either).

    Raises:
        ValueError: The shapes do not fit or an index is out of range.
    """
    labels, predicted = _checked_pair(labels, predicted, len(classes))
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=np.nan
    )
    return pd.DataFrame(
        {
            "class": list(classes),
            "support": support.astype(np.int64),
            "recall": recall,
            "precision": precision,
            "f1": f1,
        }
    )


def confusion(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: Sequence[str]
) -> pd.DataFrame:
    """Counts every pair of true and predicted class.

    Args:
        labels: `(n,)`, class indices 0..len(classes)-1.
        predicted: `(n,)`, class indices likewise.
        classes: Names, by index.

    Returns:
        Columns `true_class, predicted_class, count` with len(classes)**2 rows, the predicted
        class running fastest; pairs that never occur have count 0.

    Raises:
        ValueError: The shapes do not fit or an index is out of range.
    """
    labels, predicted = _checked_pair(labels, predicted, len(classes))
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(labels, predicted, labels=np.arange(len(classes)))
    return pd.DataFrame(
        {
            "true_class": np.repeat(list(classes), len(classes)),
            "predicted_class": np.tile(list(classes), len(classes)),
            "count": counts.ravel().astype(np.int64),
        }
    )


def _check_probabilities(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> None:
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities must be (n, classes), got shape {probabilities.shape}.")
    _check_indices("labels", labels, probabilities.shape[1])
    if len(labels) != len(probabilities):
        raise ValueError(
            "labels and probabilities must have one row per image, "
            f"got {len(labels)} labels and {len(probabilities)} rows."
        )
    # written so that NaN fails it too
    in_range = np.all((probabilities >= 0) & (probabilities <= 1 + SUM_TOLERANCE))
    if not (in_range and np.allclose(probabilities.sum(axis=1), 1, atol=SUM_TOLERANCE)):
        raise ValueError(
            "each row of probabilities must lie in 0..1 and sum to 1, "
            f"got values {probabilities.min():.3g}..{probabilities.max():.3g} and sums "
            f"{probabilities.sum(axis=1).min():.3g}..{probabilities.sum(axis=1).max():.3g}; "
            "pass softmax outputs, not logits."
        )


def _checked_pair(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], n_classes: int
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    _check_indices("labels", labels, n_classes)
    _check_indices("predicted", predicted, n_classes)
    if len(labels) != len(predicted):
        raise ValueError(
            "labels and predicted must be of the same images, "
            f"got {len(labels)} labels and {len(predicted)} predictions."
        )
    return labels, predicted


def _check_indices(name: str, values: NDArray[np.integer], n_classes: int) -> None:
    if values.ndim != 1 or len(values) == 0 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name} must be whole numbers of shape (n,), n at least 1, "
            f"got {values.dtype} of shape {values.shape}."
        )
    if values.min() < 0 or values.max() >= n_classes:
        raise ValueError(
            f"{name} must be in 0..{n_classes - 1}, got {values.min()}..{values.max()}."
        )
