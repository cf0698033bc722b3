"""A request becomes the files in it, or a refusal that says why."""

import base64
import contextlib
import json
import tracemalloc
from typing import Any

import pytest

from tl_keras.serving.predict_request import RequestError, read_photos


def body(*instances: Any, **more: Any) -> bytes:
    return json.dumps({"instances": instances, **more}).encode()


@pytest.mark.parametrize("content", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_base64_becomes_bytes_with_and_without_padding_and_in_lines(content: bytes) -> None:
    text = base64.b64encode(content).decode()
    written = text, text.rstrip("="), base64.encodebytes(content).decode()
    request = body(*({"b64": text} for text in written))
    assert read_photos(request, 3) == [content] * 3


@pytest.mark.parametrize("signature", [{}, {"signature_name": ""}, {"signature_name": None}])
def test_a_photo_may_name_the_input_and_a_request_the_signature(signature: dict[str, Any]) -> None:
    photos = {"image_bytes": {"b64": "YWI="}}, {"b64": "Yw=="}
    assert read_photos(body(*photos, **signature), 2) == [b"ab", b"c"]
    assert read_photos(body(*photos, signature_name="serving_default"), 2) == [b"ab", b"c"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"", "must be JSON"),
        (b"garbage", "must be JSON"),
        (b'{"instances": ["\xff"]}', "utf-8"),
        (b'{"a": 1} x', "Extra data"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "digits"),
        (b"3", "a JSON object, got 3"),
        (b"[1]", "a JSON object, got a list of 1"),
        (b'{"inputs": [{"b64": "YQ=="}]}', 'the key "instances"'),
        (body(), "at least one"),
        (b'{"instances": {"b64": "YQ=="}}', "at least one"),
        (body("YQ=="), "Item 0 of instances must be"),
        (body({"b64": "YQ=="}, 3), "Item 1 of instances must be"),
        (body({"b64": 3}), "Item 0"),
        (body({"b64": "YQ==", "x": 1}), "Item 0"),
        (body({"image_bytes": "YQ=="}), "Item 0"),
        (body({"b64": "YQ=="}, signature_name="classify"), "'serving_default'"),
        (body({"b64": "YQ=="}, signature_name={"\ud800": []}), "signature_name"),
        *[(body({"b64": text}), "base64") for text in ("a", "a-_b", "ab==cd", "ä", "\ud800bc")],
    ],
)
def test_another_request_is_refused(request_: bytes, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_photos(request_, 4)
    # it can be sent, and is no longer than a screen
    assert len(str(caught.value).encode()) < 400


def test_a_batch_is_limited() -> None:
    photo = {"image_bytes": {"b64": "YQ=="}}
    assert len(read_photos(body(*[photo] * 64), 64)) == 64
    with pytest.raises(RequestError, match=r"at most 64 photos, got 65.*--max-batch"):
        read_photos(body(*[photo] * 65), 64)


@pytest.mark.parametrize("values", ["[", '{"a":', "0,"])
def test_many_values_are_refused_before_they_are_made(values: str) -> None:
    request = f'{{"instances": [{values * 10**6}0]}}'.encode()
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="more values"):
            read_photos(request, 64)
        assert tracemalloc.get_traced_memory()[1] < len(request) / 10
    finally:
        tracemalloc.stop()


def test_deep_nesting_is_refused_where_the_batch_allows_as_many_values() -> None:
    with pytest.raises(RequestError, match="must be JSON"):
        read_photos(b"[" * 200_000, 10**6)


@pytest.mark.parametrize(
    "values",
    [
        *('[{"b64": "%s"}]' % ("AB " * 10**6), '[{"b64": "%s"}]' % ("QUJD" * 10**6)),
        *('[{"b64": "%s"}]' % ("A\\n" * 10**6), '[{"b64": "%s"}]' % ("\\u0041" * 10**6)),
        *('["%s"]' % ("a" * 10**6), "[0.%s]" % ("1" * 10**6), "[%s]" % ("1" * 10**6)),
        *('["%s"' % ("\\" * 10**6), "[%s]" % (" " * 10**6), '["a%s"]' % ("ä" * 10**6)),
    ],
)
def test_memory_is_a_few_times_that_of_the_request(values: str) -> None:
    request = f'{{"instances": {values}}}'.encode()
    tracemalloc.start()
    try:
        with contextlib.suppress(RequestError):
            read_photos(request, 64)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(request)
    finally:
        tracemalloc.stop()


def test_a_number_of_many_digits_is_refused_without_words_for_programmers() -> None:
    with pytest.raises(RequestError) as refused:
        read_photos(b'{"instances": ' + b"9" * 5000 + b"}", 1)
    assert "sys." not in str(refused.value)
