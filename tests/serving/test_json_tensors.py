"""JSON becomes the arrays that a signature takes, or a refusal that says why."""

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from tl_keras.serving.json_tensors import (
    RequestError,
    TensorInfo,
    is_base64,
    read_tensor,
    shown,
    write_tensor,
)

STRINGS = TensorInfo("string", (None,))
IMAGES = TensorInfo("float32", (None, None, None, 3))


def numbers(dtype: str) -> TensorInfo:
    return TensorInfo(dtype, (None,))


def test_nested_lists_become_an_array_of_the_dtype_and_shape() -> None:
    array = read_tensor([[[[0, 127.5, 255]], [[1, 2, 3]]]], IMAGES, "images")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[[[0, 127.5, 255]], [[1, 2, 3]]]])


@pytest.mark.parametrize("content", [b"", b"a", b"ab", b"abc", bytes(range(256))])
@pytest.mark.parametrize("padding", [True, False])
def test_base64_becomes_bytes_with_and_without_padding(content: bytes, padding: bool) -> None:
    text = base64.b64encode(content).decode()
    array = read_tensor([{"b64": text if padding else text.rstrip("=")}], STRINGS, "x")
    assert array.tolist() == [content]


def test_base64_may_be_broken_into_lines() -> None:
    text = base64.encodebytes(b"x" * 200).decode()
    assert read_tensor([{"b64": text}], STRINGS, "x").tolist() == [b"x" * 200]


def test_text_becomes_utf8_and_may_end_in_zero_bytes() -> None:
    assert read_tensor(["grün", "a\0"], STRINGS, "x").tolist() == ["grün".encode(), b"a\0"]


@pytest.mark.parametrize("text", ["a", "a-_b", "ab==cd", "ä", "{}", "a\ud800bc"])
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"^x must hold base64 in its standard alphabet"):
        read_tensor([{"b64": text}], STRINGS, "x")


@pytest.mark.parametrize("value", [3, None, True, {"b64": "", "c": 1}, {}, 0.5])
def test_what_is_no_string_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="must hold strings, as text or as"):
        read_tensor([value], STRINGS, "x")


def test_base64_that_is_no_text_is_refused() -> None:
    with pytest.raises(RequestError, match='x: "b64" must hold base64 text, got 3'):
        read_tensor([{"b64": 3}], STRINGS, "x")


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(RequestError, match="without halves of surrogate pairs"):
        read_tensor(["\ud800"], STRINGS, "x")


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint8", [0, 255]),
        ("int8", [-128, 127]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [2**64 - 1]),
        ("float32", [2**24 - 1, 3e38, 1e-60]),
        ("float64", [2**53 - 1, 1e308]),
        ("bool", [True, False]),
    ],
)
def test_numbers_at_the_ends_of_the_range_are_taken(dtype: str, values: list[Any]) -> None:
    array = read_tensor(values, numbers(dtype), "x")
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, np.array(values, dtype))


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("uint8", 256, "from 0 to 255 (uint8), got 256"),
        ("uint8", -1, "from 0 to 255 (uint8), got -1"),
        ("uint8", 1.0, "whole numbers (uint8), got 1.0"),
        ("uint8", True, "whole numbers (uint8), got true"),
        ("int64", 2**63, "from -9223372036854775808 to"),
        ("float32", 2**24, "float32 holds without loss, got 16777216"),
        ("float32", 1e39, "float32 holds without loss, got 1e+39"),
        ("float32", 10**400, "one is too large"),
        ("float32", "1", "numbers (float32), got '1'"),
        ("float32", None, "numbers (float32), got null"),
        ("float32", {"b64": "AAAA"}, "an object with the keys 'b64'"),
        ("bool", 1, "true or false, got 1"),
        ("complex64", 1, "is complex64, for which JSON has no values"),
    ],
)
def test_other_values_are_refused(dtype: str, value: Any, message: str) -> None:
    with pytest.raises(RequestError, match=rf"^x .*{re.escape(message)}"):
        read_tensor([value], numbers(dtype), "x")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_finite_are_taken_as_tensorflow_serving_does(text: str) -> None:
    array = read_tensor([json.loads(text)], numbers("float32"), "x")
    np.testing.assert_array_equal(array, [float(text)])


@pytest.mark.parametrize(
    "value",
    [[[[[1, 2, 3]], [[1, 2]]]], [[[[1, 2, 3]]], [[[1, 2, 3]], [[1, 2, 3]]]], [[[1, 2, 3]], 4]],
)
def test_lists_of_several_lengths_are_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="lists of one length at every level of nesting, got"):
        read_tensor(value, IMAGES, "images")


def test_a_list_beside_numbers_is_refused() -> None:
    with pytest.raises(RequestError, match=r"must hold numbers \(float32\), got a list of 1"):
        read_tensor([1, [2]], numbers("float32"), "x")


@pytest.mark.parametrize("value", [[[[1, 2, 3]]], [[[[1, 2, 3, 4]]]], 1, [], [[]]])
def test_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"must have the shape \[any, any, any, 3\], .* got \["):
        read_tensor(value, IMAGES, "images")


def test_any_shape_is_taken_where_the_signature_states_none() -> None:
    info = TensorInfo("int32", None)
    assert read_tensor(7, info, "x").shape == ()
    assert read_tensor([[7], [8]], info, "x").shape == (2, 1)


def test_nesting_beyond_any_array_is_refused() -> None:
    value: Any = 1
    for _ in range(900):
        value = [value]
    with pytest.raises(RequestError, match="at most 32 levels deep, got 900"):
        read_tensor(value, TensorInfo("int32", None), "x")


def test_numbers_are_written_in_their_own_precision() -> None:
    array = np.array([[0.1, 1.0], [1e-7, 3e38]], np.float32)
    assert json.dumps(write_tensor(array, "x")) == "[[0.1, 1.0], [1e-07, 3e+38]]"


def test_what_is_not_finite_is_written_as_null() -> None:
    array = np.array([np.nan, np.inf, -np.inf, 0.5], np.float32)
    assert write_tensor(array, "x") == [None, None, None, 0.5]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([True, False]), [True, False]),
        (np.array([[1], [2]], np.uint8), [[1], [2]]),
        (np.array(5, np.int64), 5),
        (np.array(0.25), 0.25),
        (np.array(b"one", object), "one"),
        (np.array(["grün".encode(), b"\xff"], object), ["grün", "\ufffd"]),
        (np.zeros((2, 0), np.float32), [[], []]),
    ],
)
def test_arrays_are_written_as_lists(array: np.ndarray, expected: Any) -> None:
    written = write_tensor(array, "x")
    assert written == expected
    json.dumps(written)


def test_an_output_named_bytes_is_written_as_base64() -> None:
    array = np.array([b"\xff\x00", b""], object)
    assert write_tensor(array, "mask_bytes") == [{"b64": "/wA="}, {"b64": ""}]


def test_an_output_without_json_is_refused() -> None:
    with pytest.raises(RequestError, match="'x' must be numbers, booleans or strings"):
        write_tensor(np.zeros(1, np.complex64), "x")


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"b64": "AA"}, True), ({"b64": 1}, False), ({"b64": "AA", "x": 1}, False), ("AA", False)],
)
def test_base64_is_an_object_of_one_key(value: Any, expected: bool) -> None:
    assert is_base64(value) is expected


def test_messages_stay_short() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, {"x" * 10_000: deep}, "y" * 10_000, 10**4000):
        assert len(shown(value)) < 100
