"""Every request is answered in JSON: with what the model says, or with what was wrong."""

import asyncio
import base64
import io
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette

from tl_keras.serving.served_model import ServedModel, Signature, load_model
from tl_keras.serving.server import Limits, make_app
from tl_keras.serving.versions import find_version

PARTS = "/v1/models/parts"
LIMIT = 20_000


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        def refuse(constant: str) -> None:
            pytest.fail(f"{constant} is no JSON")

        return json.loads(self.body, parse_constant=refuse)

    def error(self) -> str:
        assert set(self.json()) == {"error"}
        return str(self.json()["error"])


async def ask_async(
    app: Starlette,
    method: str,
    path: str,
    chunks: Iterable[bytes] = (b"",),
    headers: dict[str, str] | None = None,
) -> Answer:
    """Ask as a web server does, with the body in chunks and any headers."""
    waiting = list(chunks)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(key.lower().encode(), value.encode()) for key, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="replace"),
        "root_path": "",
        "query_string": b"",
        "headers": pairs,
        "server": ("127.0.0.1", 8501),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    start, *parts = sent
    found = {key.decode(): value.decode() for key, value in start["headers"]}
    return Answer(start["status"], found, b"".join(part["body"] for part in parts))


def ask(app: Starlette, method: str, path: str, body: Any = b"", **more: Any) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = asyncio.run(ask_async(app, method, path, [content], **more))
    assert answer.headers["content-type"] == "application/json"
    return answer


@pytest.fixture(scope="module")
def model(served_export: Path) -> ServedModel:
    return load_model(find_version(served_export), "parts")


@pytest.fixture(scope="module")
def app(model: ServedModel) -> Starlette:
    return make_app(model, Limits(LIMIT, batch=4))


def photo(colour: tuple[int, int, int]) -> dict[str, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 6), colour).save(buffer, "PNG")
    return {"b64": base64.b64encode(buffer.getvalue()).decode()}


RED, GREEN = photo((255, 0, 0)), photo((0, 255, 0))
HIGH, LOW = (float(np.exp(logit) / (np.exp(2) + 2)) for logit in (2, 0))


@pytest.mark.parametrize("path", [PARTS, f"{PARTS}/versions/3", f"{PARTS}/versions/03"])
def test_the_state_of_the_model_is_told(app: Starlette, path: str) -> None:
    (state,) = ask(app, "GET", path).json()["model_version_status"]
    assert state == {
        "version": "3",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }


@pytest.mark.parametrize("path", [f"{PARTS}/metadata", f"{PARTS}/versions/3/metadata"])
def test_the_signatures_are_told(app: Starlette, path: str) -> None:
    found = ask(app, "GET", path).json()["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "serving_images", "serving_images_uint8", "classify"} <= set(found)


@pytest.mark.parametrize("path", [f"{PARTS}:predict", f"{PARTS}/versions/3:predict"])
def test_photos_are_answered_by_rows(app: Starlette, path: str) -> None:
    answer = ask(app, "POST", path, {"instances": [RED, {"image_bytes": GREEN}["image_bytes"], ""]})
    red, green, nothing = answer.json()["predictions"]
    assert (red["label"], green["label"]) == ("red", "grün")
    assert green["probability"] == pytest.approx(HIGH)
    assert red["probabilities"] == pytest.approx([HIGH, LOW, LOW])
    assert [row["decoded"] for row in (red, green, nothing)] == [True, True, False]


def test_photos_are_answered_by_columns(app: Starlette) -> None:
    outputs = ask(app, "POST", f"{PARTS}:predict", {"inputs": [GREEN, RED]}).json()["outputs"]
    assert outputs["label"] == ["grün", "red"]
    assert outputs["decoded"] == [True, True]


@pytest.mark.parametrize("signature", ["serving_images", "serving_images_uint8"])
def test_pixels_are_answered(app: Starlette, signature: str) -> None:
    request = {"signature_name": signature, "instances": [[[[0, 255, 0]], [[0, 255, 0]]]]}
    (row,) = ask(app, "POST", f"{PARTS}:predict", request).json()["predictions"]
    assert set(row) == {"label", "probability", "probabilities"}
    assert row["probabilities"] == pytest.approx([LOW, HIGH, LOW])


def test_a_number_that_is_not_finite_is_answered_in_valid_json(app: Starlette) -> None:
    body = b'{"signature_name": "serving_images", "instances": [[[[NaN, 1, 2]]]]}'
    (row,) = ask(app, "POST", f"{PARTS}:predict", body).json()["predictions"]
    assert row["probabilities"][0] is None


def test_examples_are_classified(app: Starlette) -> None:
    request = {"signature_name": "classify", "examples": [{"image_bytes": GREEN}]}
    ((best, *_),) = ask(app, "POST", f"{PARTS}:classify", request).json()["results"]
    assert best == ["grün", pytest.approx(HIGH)]


def test_features_may_stand_in_the_context(app: Starlette) -> None:
    request = {"signature_name": "classify", "context": {"image_bytes": RED}, "examples": [{}, {}]}
    results = ask(app, "POST", f"{PARTS}:classify", request).json()["results"]
    assert [result[0][0] for result in results] == ["red", "red"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/", "The path must be one of GET /v1/models/parts, "),
        ("/v1/models", "The path must be one of"),
        (f"{PARTS}/labels/stable", "The path must be one of"),
        (f"{PARTS}:explain", "The path must be one of"),
        (f"{PARTS}/versions/x", "The path must be one of"),
        (f"{PARTS}\n", "The model must be 'parts', got 'parts\\n'"),
        ("/v1/models/other", "The model must be 'parts', got 'other'"),
        ("/v1/models/\ud800:predict", "The model must be 'parts', got"),
        (f"{PARTS}/versions/4", "The version of 'parts' must be 3, the only one served, got 4"),
        (f"{PARTS}/versions/{'9' * 5000}:predict", "The version of 'parts' must be 3"),
    ],
)
def test_another_path_is_not_found(app: Starlette, path: str, message: str) -> None:
    answer = ask(app, "POST", path, {"instances": [RED]})
    assert answer.status == 404
    assert message in answer.error()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{PARTS}:predict", "POST"),
        ("PUT", f"{PARTS}:classify", "POST"),
        ("POST", PARTS, "GET, HEAD"),
        ("DELETE", f"{PARTS}/metadata", "GET, HEAD"),
    ],
)
def test_another_method_is_refused(app: Starlette, method: str, path: str, allowed: str) -> None:
    answer = ask(app, method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert f"must be {allowed.split(',')[0]} for this path, got {method}" in answer.error()


@pytest.mark.parametrize(
    ("verb", "body", "message"),
    [
        ("predict", b"", "empty body"),
        ("predict", b"garbage", "must be JSON"),
        ("predict", b"\xff\xfe", "must be UTF-8"),
        ("predict", b"[" * 19_000, "nested this deeply"),
        ("predict", b'{"instances": ' + b"[" * 900 + b"]" * 900 + b"}", "32 levels deep, got 900"),
        ("predict", b'{"instances": [' + b"1" * 9000 + b"]}", "this many digits"),
        ("predict", {"instances": ["\ud800"]}, "halves of surrogate pairs"),
        ("predict", {"signature_name": "\ud800", "instances": [1]}, "signature_name must be one"),
        ("predict", {"signature_name": "other", "instances": [1]}, "classify, serving_default"),
        ("predict", {"instances": [{"b64": "%"}]}, "must hold base64"),
        ("predict", {"instances": [{"b64": "AAAA"}]}, "The model cannot answer this: "),
        ("predict", {"instances": [3]}, "'image_bytes' must hold strings"),
        ("predict", {"signature_name": "serving_images", "instances": [[[[1, 2]]]]}, "any, 3]"),
        ("predict", {"signature_name": "serving_images_uint8", "inputs": [[[[256, 0, 0]]]]}, "256"),
        ("predict", {"signature_name": "serving_images", "inputs": [[[[1e39, 0, 0]]]]}, "1e+39"),
        ("predict", {"instances": [RED] * 5}, "at most 4 items, got 5"),
        ("classify", {"examples": [{}]}, "for :classify (classify), got 'serving_default'"),
        ("classify", {"signature_name": "classify", "examples": [{}]}, "cannot answer this: "),
        ("classify", {"signature_name": "classify", "examples": [{}] * 5}, "at most 4 items"),
        ("regress", {"examples": [{}]}, "no signature for :regress"),
    ],
)
def test_a_mistake_is_explained(app: Starlette, verb: str, body: Any, message: str) -> None:
    answer = ask(app, "POST", f"{PARTS}:{verb}", body)
    assert answer.status == 400
    assert message in answer.error()
    assert "Traceback" not in answer.error()


@pytest.mark.parametrize("declared", ["true", "false", "none", "absurd"])
def test_a_large_body_is_refused_whatever_it_declares(app: Starlette, declared: str) -> None:
    chunks = [b" " * (LIMIT // 2)] * 3
    length = {"true": str(len(b"".join(chunks))), "false": "10", "absurd": "9" * 6000}
    headers = {"Content-Length": length[declared]} if declared in length else {}
    answer = asyncio.run(ask_async(app, "POST", f"{PARTS}:predict", chunks, headers))
    assert answer.status == 413
    assert f"must have at most {LIMIT} bytes" in answer.error()
    assert "--max-request-megabytes" in answer.error()


def test_a_body_of_the_largest_size_in_chunks_is_answered(app: Starlette) -> None:
    body = json.dumps({"instances": [RED]}).encode().ljust(LIMIT)
    chunks = [body[:7], body[7:100], b"", body[100:]]
    answer = asyncio.run(ask_async(app, "POST", f"{PARTS}:predict", chunks))
    assert answer.json()["predictions"][0]["label"] == "red"


def with_function(model: ServedModel, function: Any) -> ServedModel:
    inputs = model.signatures["serving_default"].inputs
    signature = Signature("tensorflow/serving/predict", inputs, function)
    return replace(model, signatures={"serving_default": signature})


def test_requests_run_side_by_side_up_to_the_limit(model: ServedModel) -> None:
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2, timeout=20)

    def slow(image_bytes: Any) -> dict[str, Any]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        return {"same": image_bytes}

    app = make_app(with_function(model, slow), Limits(parallel=2))

    async def together() -> list[Answer]:
        bodies = [json.dumps({"instances": [str(number)]}).encode() for number in range(8)]
        return await asyncio.gather(
            *(ask_async(app, "POST", f"{PARTS}:predict", [body]) for body in bodies)
        )

    answers = [answer.json() for answer in asyncio.run(together())]
    assert answers == [{"predictions": [str(number)]} for number in range(8)]
    assert most == 2


def test_a_fault_of_the_server_is_no_traceback_for_the_client(model: ServedModel) -> None:
    def broken(image_bytes: Any) -> dict[str, Any]:
        raise KeyError("secret")

    app = make_app(with_function(model, broken), Limits())
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"instances": ["a"]}', "more_body": False}

    scope = {"type": "http", "method": "POST", "path": f"{PARTS}:predict", "headers": []}
    # raised again for the terminal, after the answer
    with pytest.raises(KeyError, match="secret"):
        asyncio.run(app({**scope, "root_path": ""}, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"].startswith("The server failed")


def test_an_exported_model_is_served_with_a_broken_picture_in_the_batch(
    colour_export: Path,
) -> None:
    app = make_app(load_model(find_version(colour_export), "colours"), Limits(LIMIT, batch=4))
    broken = {"b64": base64.b64encode(b"no picture").decode()}
    path = "/v1/models/colours"
    answer = json.loads(ask(app, "POST", f"{path}:predict", {"instances": [RED, broken]}).body)
    red, none = answer["predictions"]
    assert (red["label"], red["decoded"]) == ("red", True)
    assert red["probability"] == pytest.approx(HIGH, abs=1e-5)
    assert (none["label"], none["decoded"], none["probability"]) == ("", False, 0.0)

    body = {"signature_name": "classify", "examples": [{"image_bytes": GREEN}]}
    (scores,) = json.loads(ask(app, "POST", f"{path}:classify", body).body)["results"]
    assert scores[0] == ["grün", pytest.approx(HIGH, abs=1e-5)]

    pixels = {"signature_name": "serving_images_uint8", "inputs": [[[[0, 0, 255]] * 2] * 3]}
    answer = json.loads(ask(app, "POST", f"{path}:predict", pixels).body)
    assert answer["outputs"]["label"] == ["blue"]
