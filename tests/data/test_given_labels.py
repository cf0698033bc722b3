"""Labels in memory: numbers, names and one-hot rows, and what is none of them."""

from typing import Any

import numpy as np
import pytest

from tl_keras.data.given_labels import given_labels
from tl_keras.errors import DataError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([2, 0, 1], [2, 0, 1]),
        (np.array([2.0, 0.0, 1.0]), [2, 0, 1]),
        (np.array([[2], [0], [1]], np.float32), [2, 0, 1]),
        (np.eye(3, dtype=np.float32)[[2, 0, 1]], [2, 0, 1]),
        (["dent", "crack", "ok"], ["dent", "crack", "ok"]),
        (np.array(["dent", "ok"], object), ["dent", "ok"]),
        (np.array([b"dent", b"ok"]), ["dent", "ok"]),
        ([True, False], ["True", "False"]),
    ],
)
def test_labels_are_numbers_or_names(given: Any, expected: list[Any]) -> None:
    assert given_labels(given).tolist() == expected


def test_numbers_stand_for_class_names_where_there_are_any() -> None:
    assert given_labels([[1.0], [0.0]], ["ok", "dent"]).tolist() == ["dent", "ok"]
    with pytest.raises(DataError, match="got 2"):
        given_labels([0, 2], ["ok", "dent"])


@pytest.mark.parametrize(
    "given",
    [
        [0.5, 1.0],
        [np.nan, 1.0],
        ["ok", None],
        ["ok", " "],
        np.array([[0.9, 0.1], [0.1, 0.9]]),
        np.array([[1, 1], [1, 0]]),
        np.zeros((2, 2, 2)),
        np.array([1 + 2j]),
    ],
)
def test_labels_that_are_neither_are_refused(given: Any) -> None:
    with pytest.raises(DataError, match="y "):
        given_labels(given)
