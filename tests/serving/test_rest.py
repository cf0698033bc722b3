"""Requests of TensorFlow Serving's REST API are read, and answers written, by its rules."""

from typing import Any

import numpy as np
import pytest

from tl_keras.serving.json_tensors import RequestError, TensorInfo
from tl_keras.serving.rest import (
    read_object,
    read_predict,
    signature_name,
    write_predict,
)

ONE = {"x": TensorInfo("float32", (None, 2))}
FILES = {"image_bytes": TensorInfo("string", (None,))}
TWO = {"a": TensorInfo("int32", (None,)), "b": TensorInfo("string", (None,))}


@pytest.mark.parametrize("item", [{"b64": "YWI="}, {"image_bytes": {"b64": "YWI="}}, "ab"])
def test_a_row_may_be_a_value_or_name_the_input(item: Any) -> None:
    request = read_predict({"instances": [item, item]}, FILES, 64)
    assert request.by_rows
    assert request.arrays["image_bytes"].tolist() == [b"ab", b"ab"]


@pytest.mark.parametrize("inputs", [[[1, 2], [3, 4]], {"x": [[1, 2], [3, 4]]}])
def test_columns_may_be_a_value_or_name_the_input(inputs: Any) -> None:
    request = read_predict({"inputs": inputs}, ONE, 64)
    assert not request.by_rows
    np.testing.assert_array_equal(request.arrays["x"], [[1, 2], [3, 4]])


def test_several_inputs_are_given_by_name_in_both_formats() -> None:
    rows = read_predict({"instances": [{"a": 1, "b": "x"}, {"b": "y", "a": 2}]}, TWO, 64)
    columns = read_predict({"inputs": {"a": [1, 2], "b": ["x", "y"], "unknown": 0}}, TWO, 64)
    for request in (rows, columns):
        assert request.arrays["a"].tolist() == [1, 2]
        assert request.arrays["b"].tolist() == [b"x", b"y"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"instances": [1], "inputs": [1]}, "must have one of the keys .* got both"),
        ({"signature_name": "x"}, "must have one of the keys .* got an object with the keys 'sign"),
        ({"instances": {"a": 1}}, "instances must be a list of at least one item"),
        ({"instances": []}, "instances must be a list of at least one item, got a list of 0"),
        ({"instances": [1]}, "must be an object with the keys 'a', 'b'"),
        ({"instances": [{"a": 1}]}, "Item 0 of instances must have exactly the keys 'a', 'b'"),
        ({"instances": [{"a": 1, "b": "", "c": 2}]}, "exactly the keys 'a', 'b', got"),
        ({"instances": [{"a": 1, "b": ""}, 3]}, "all objects of named inputs or all values"),
        ({"inputs": [1]}, "inputs must be an object with the keys 'a', 'b', because"),
        ({"inputs": {"a": [1]}}, "'b' is missing, got an object with the keys 'a'"),
        ({"inputs": {"a": [1], "b": [2]}}, "The input 'b' must hold strings"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_predict(request_, TWO, 64)


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_a_batch_is_limited_in_both_formats(key: str) -> None:
    assert len(read_predict({key: [[1, 2]] * 3}, ONE, 3).arrays["x"]) == 3
    with pytest.raises(RequestError, match=r"at most 3 items, got 4.* larger --max-batch"):
        read_predict({key: [[1, 2]] * 4}, ONE, 3)


def test_one_output_is_written_without_its_name() -> None:
    outputs = {"y": np.array([[1], [2]])}
    assert write_predict(outputs, by_rows=True) == {"predictions": [[1], [2]]}
    assert write_predict(outputs, by_rows=False) == {"outputs": [[1], [2]]}


def test_several_outputs_are_written_by_name() -> None:
    outputs = {"label": np.array([b"a", b"b"], object), "p": np.array([0.5, 0.25], np.float32)}
    assert write_predict(outputs, by_rows=True) == {
        "predictions": [{"label": "a", "p": 0.5}, {"label": "b", "p": 0.25}]
    }
    assert write_predict(outputs, by_rows=False) == {
        "outputs": {"label": ["a", "b"], "p": [0.5, 0.25]}
    }


@pytest.mark.parametrize("other", [np.array(1), np.array([1, 2, 3])])
def test_outputs_that_are_no_rows_are_refused_as_rows(other: np.ndarray) -> None:
    outputs = {"y": np.array([1, 2]), "z": other}
    with pytest.raises(RequestError, match=r'one row per item, got .*Ask with "inputs"'):
        write_predict(outputs, by_rows=True)
    assert set(write_predict(outputs, by_rows=False)["outputs"]) == {"y", "z"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "got an empty body"),
        (b"  \n", "got an empty body"),
        (b"{", "must be JSON, got .* at line 1, column 2"),
        (b'{"a": 1} x', "must be JSON, got Extra data"),
        (b"[1]", "must be a JSON object .* got a list of 1"),
        (b"null", "got null"),
        (b'{"a": "\xff"}', "must be UTF-8, got another byte at 7"),
        (b"[" * 100_000, "must not be nested this deeply"),
        (b'{"a":' * 100_000, "must not be nested this deeply"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "must not have this many digits"),
        ('{"a": 1}'.encode("utf-16"), "must be UTF-8"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_object(body)


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("request_", [{}, {"signature_name": ""}])
def test_the_default_signature_is_that_of_tensorflow_serving(request_: dict[str, Any]) -> None:
    assert signature_name(request_) == "serving_default"


def test_a_signature_name_must_be_a_string() -> None:
    with pytest.raises(RequestError, match="signature_name must be a string, got 3"):
        signature_name({"signature_name": 3})
