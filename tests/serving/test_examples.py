"""The features of `:classify` requests become serialized examples."""

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.serving.examples import read_examples, write_classes
from tl_keras.serving.json_tensors import RequestError


def features(request: dict[str, Any]) -> list[dict[str, tuple[str, list[Any]]]]:
    """Read a request and return kind and values of every feature of every example."""
    found = []
    for serialized in read_examples(request, 64):
        example = tf.train.Example.FromString(serialized)
        named = {}
        for name, feature in example.features.feature.items():
            kind = feature.WhichOneof("kind")
            named[name] = (kind, list(getattr(feature, kind).value) if kind else [])
        found.append(named)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b64": "/wA="}, ("bytes_list", [b"\xff\x00"])),
        (["a", {"b64": "/w=="}], ("bytes_list", [b"a", b"\xff"])),
        ([1, True, -(2**63)], ("int64_list", [1, 1, -(2**63)])),
        ([0.5, 1.0], ("float_list", [0.5, 1.0])),
        ([], (None, [])),
    ],
)
def test_values_become_a_list_of_their_kind(value: Any, expected: Any) -> None:
    assert features({"examples": [{"x": value}]}) == [{"x": expected}]


def test_the_context_belongs_to_every_example() -> None:
    request = {"context": {"c": 1, "x": 2}, "examples": [{"x": 3}, {}]}
    first, second = features(request)
    assert first == {"c": ("int64_list", [1]), "x": ("int64_list", [3])}
    assert second == {"c": ("int64_list", [1]), "x": ("int64_list", [2])}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, 'must have the key "examples", a list of at least one object'),
        ({"examples": []}, 'must have the key "examples"'),
        ({"examples": {"x": 1}}, 'must have the key "examples"'),
        ({"examples": [1]}, "Item 0 of examples must be an object of named features, got 1"),
        ({"examples": [{}], "context": [1]}, "context must be an object of named features"),
        ({"examples": [{}, {"x": None}]}, "'x' of item 1 of examples must hold .*got null"),
        ({"examples": [{"x": [[1]]}]}, "got a list of 1"),
        ({"examples": [{"x": [1, 0.5]}]}, "values of one kind, got decimals and whole numbers"),
        ({"examples": [{"x": 2**63}]}, "int64.* got 9223372036854775808"),
        ({"examples": [{"x": 1e39}]}, r"float32.* got 1e\+39"),
        ({"examples": [{"x": {"b64": "?"}}]}, "must hold base64"),
        ({"examples": [{"\ud800": 1}]}, "without halves of surrogate pairs"),
        ({"examples": [{"x": "\ud800"}]}, "without halves of surrogate pairs"),
    ],
)
def test_other_examples_are_refused(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_examples(request_, 64)


def test_the_number_of_examples_is_limited() -> None:
    with pytest.raises(RequestError, match="examples must hold at most 2 items, got 3"):
        read_examples({"examples": [{}] * 3}, 2)


def test_results_are_pairs_of_label_and_score() -> None:
    classes = np.array([[b"b", b"a"], [b"a", b"b"]], object)
    scores = np.array([[0.75, 0.25], [0.5, np.nan]], np.float32)
    assert write_classes({"classes": classes, "scores": scores}) == {
        "results": [[["b", 0.75], ["a", 0.25]], [["a", 0.5], ["b", None]]]
    }


def test_labels_or_scores_may_be_missing() -> None:
    classes = np.array([[b"b"]], object)
    scores = np.array([[0.75]], np.float32)
    assert write_classes({"classes": classes}) == {"results": [[["b", 0.0]]]}
    assert write_classes({"scores": scores}) == {"results": [[["", 0.75]]]}


@pytest.mark.parametrize("shapes", [{}, {"scores": (2,)}, {"classes": (2, 3), "scores": (2, 2)}])
def test_other_outputs_are_refused(shapes: dict[str, tuple[int, ...]]) -> None:
    outputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(RequestError, match=re.escape("(batch, classes), got")):
        write_classes(outputs)
