"""Every request is answered in JSON: with what the model says, or with what was wrong."""

import asyncio
import base64
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from starlette.applications import Starlette

from tests.hostile.pictures import SOUND
from tests.hostile.texts import TEXTS
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.errors import ExportError
from tl_keras.safe_text import one_line
from tl_keras.serving.exported_classifier import Answers
from tl_keras.serving.served_model import ServedModel, load_model
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
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    def error(self) -> str:
        assert set(self.json()) == {"error"}
        return str(self.json()["error"])


async def ask_async(
    app: Starlette,
    method: str,
    path: str,
    chunks: Sequence[bytes],
    length: str | None = None,
    sent: list[Any] | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Ask as a web server does, with the body in chunks that may be declared as of any length."""
    waiting, sent = list(chunks), [] if sent is None else sent

    async def receive() -> dict[str, Any]:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    told = {**headers, **({} if length is None else {"content-length": length})}
    heads = [(name.lower().encode(), text.encode("latin-1")) for name, text in told.items()]
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": heads}
    await app(scope, receive, send)
    start, *parts = sent
    found = {key.decode(): value.decode() for key, value in start["headers"]}
    return Answer(start["status"], found, b"".join(part["body"] for part in parts))


def ask(app: Starlette, method: str, path: str, *chunks: bytes, **more: Any) -> Answer:
    return asyncio.run(ask_async(app, method, path, chunks or [b""], **more))


def request(*files: bytes) -> bytes:
    photos = [{"b64": base64.b64encode(file).decode()} for file in files]
    return json.dumps({"instances": photos}).encode()


class Echo:
    """Answers a file with its content as the label, after whatever else is to be done."""

    version = Path("of no export")
    reading = DEFAULTS
    decides = knows_strangers = explains = False

    def __init__(self, first: Callable[[], object] = lambda: None) -> None:
        self.first = first

    def classify(self, files: Sequence[bytes]) -> Answers:
        self.first()
        ones = np.ones((len(files), 1), np.float32)
        return Answers([file.decode() for file in files], ones, np.ones(len(files), bool))

    def classify_paths(self, files: Sequence[bytes]) -> Iterator[Answers]:
        yield self.classify(files)

    def heat_maps_of_paths(self, files: Sequence[bytes]) -> Any:
        raise ExportError("3 must be an export with heat maps")


def app_of(classifier: Any, **limits: int) -> Starlette:
    return make_app(ServedModel("parts", 3, classifier, {}), Limits(LIMIT, **limits))


@pytest.fixture(scope="module")
def app() -> Starlette:
    return app_of(Echo(), batch=4)


@pytest.mark.parametrize("path", [PARTS, f"{PARTS}/versions/3"])
def test_the_model_and_its_version_are_served(app: Starlette, path: str) -> None:
    (state,) = ask(app, "GET", path).json()["model_version_status"]
    assert (state["version"], state["state"]) == ("3", "AVAILABLE")
    assert ask(app, "GET", f"{path}/metadata").json()["model_spec"]["name"] == "parts"
    rows = ask(app, "POST", f"{path}:predict", request(b"a", b"b")).json()["predictions"]
    assert [row["label"] for row in rows] == ["a", "b"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/index.html",
            "/MODEL_CARD.md",
            "/v1/models",
            "/v1/models/other",
            f"{PARTS}/",
            f"{PARTS}:classify",
        ),
        *(f"{PARTS}/versions/4", f"{PARTS}/versions/{'9' * 5000}:predict", "/v1/models/\ud800"),
    ],
)
def test_another_path_is_answered_with_the_known_ones(app: Starlette, path: str) -> None:
    answer = ask(app, "POST", path, request(b"a"))
    assert answer.status == 404
    assert f"POST {PARTS}:predict" in answer.error()
    assert len(answer.error()) < 400


@pytest.mark.parametrize(("method", "path"), [("GET", f"{PARTS}:predict"), ("POST", PARTS)])
def test_another_method_is_answered_with_the_allowed_one(
    app: Starlette, method: str, path: str
) -> None:
    answer = ask(app, method, path)
    assert answer.status == 405
    assert method not in answer.headers["allow"]
    assert answer.headers["allow"] in answer.error()


@pytest.mark.parametrize("body", [b"", b"garbage", b"[" * 19_000, request(*[b"a"] * 5)])
def test_a_mistake_is_refused(app: Starlette, body: bytes) -> None:
    answer = ask(app, "POST", f"{PARTS}:predict", body)
    assert answer.status == 400
    assert "must" in answer.error()


@pytest.mark.parametrize("declared", [str(LIMIT + 1), "10", "9" * 6000, None])
def test_a_large_body_is_refused_whatever_it_declares(app: Starlette, declared: str | None) -> None:
    answer = ask(app, "POST", f"{PARTS}:predict", *[b" " * (LIMIT // 2)] * 3, length=declared)
    assert answer.status == 413
    assert str(LIMIT) in answer.error()


def test_a_body_of_the_largest_size_in_chunks_is_answered(app: Starlette) -> None:
    body = request(b"a").ljust(LIMIT)
    answer = ask(app, "POST", f"{PARTS}:predict", body[:7], body[7:100], b"", body[100:])
    assert answer.json()["predictions"][0]["label"] == "a"


def test_requests_run_side_by_side_up_to_the_limit() -> None:
    running: list[int] = []
    most = []
    both = threading.Barrier(2, timeout=20)

    def slow() -> None:
        running.append(1)
        most.append(len(running))
        both.wait()
        running.pop()

    app = app_of(Echo(slow), parallel=2)

    async def together() -> list[Answer]:
        path, names = f"{PARTS}:predict", "abcdefgh"
        return await asyncio.gather(
            *(ask_async(app, "POST", path, [request(name.encode())]) for name in names)
        )

    rows = [answer.json()["predictions"] for answer in asyncio.run(together())]
    assert [row["label"] for (row,) in rows] == list("abcdefgh")
    assert max(most) == 2


def test_a_fault_of_the_server_is_no_traceback_for_the_client() -> None:
    def broken() -> None:
        raise KeyError("secret")

    sent: list[Any] = []
    # raised again for the terminal, after the answer
    with pytest.raises(KeyError, match="secret"):
        ask(app_of(Echo(broken)), "POST", f"{PARTS}:predict", request(b"a"), sent=sent)
    assert sent[0]["status"] == 500
    assert set(json.loads(sent[1]["body"])) == {"error"}
    assert b"secret" not in sent[1]["body"]


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_an_answer_can_be_shown_in_a_terminal(name: str) -> None:
    class Named(Echo):
        def classify(self, files: Sequence[bytes]) -> Answers:
            return Answers([name], np.ones((1, 1), np.float32), np.ones(1, bool))

    answer = ask(app_of(Named()), "POST", f"{PARTS}:predict", request(b"a"))
    assert answer.json()["predictions"][0]["label"] == name
    assert one_line(answer.body.decode()) == answer.body.decode()


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_a_refusal_can_be_shown_in_a_terminal(app: Starlette, name: str) -> None:
    bodies = {"instances": [name]}, {"instances": [{name: 1}]}, {"signature_name": name}, {name: 1}
    answers = [ask(app, "POST", f"{PARTS}:predict", json.dumps(body).encode()) for body in bodies]
    answers.append(ask(app, "GET", f"/{name}"))
    for answer in answers:
        assert one_line(answer.body.decode()) == answer.body.decode()
        assert "must" in answer.error()


def test_files_of_all_formats_are_answered_as_the_command_answers_them(app: Starlette) -> None:
    row, other = ask(app, "POST", f"{PARTS}:predict_files", request(b"a", b"b")).json()[
        "predictions"
    ]
    assert row == {"label": "a", "probability": 1.0, "problem": ""}
    assert other["label"] == "b"


@pytest.mark.parametrize("action", ["predict", "predict_files", "heat_map"])
def test_every_action_has_the_limits(app: Starlette, action: str) -> None:
    path = f"{PARTS}:{action}"
    assert ask(app, "POST", path, request(*[b"a"] * 5)).status == 400
    assert ask(app, "POST", path, b" " * (LIMIT + 1)).status == 413
    assert ask(app, "GET", path).status == 405


def test_an_export_without_heat_maps_says_so(app: Starlette) -> None:
    answer = ask(app, "POST", f"{PARTS}:heat_map", request(b"a"))
    assert (answer.status, answer.error()) == (400, "3 must be an export with heat maps")


def test_there_is_a_page_that_runs_nothing_but_its_own_script(app: Starlette) -> None:
    answer = ask(app, "GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/x"), ("POST", "/"), ("GET", PARTS)]
)
def test_no_answer_is_taken_for_something_else(app: Starlette, method: str, path: str) -> None:
    headers = ask(app, method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", PARTS, f"{PARTS}:predict", "/nothing"])
def test_a_page_of_the_web_is_refused_before_anything_is_read(app: Starlette, path: str) -> None:
    # without any chunk: a body that were read would fail
    answer = asyncio.run(
        ask_async(
            app, "POST", path, [], headers={"Host": "localhost", "Origin": "http://a.example"}
        )
    )
    assert answer.status == 403
    assert "'http://a.example'" in answer.error()


def test_a_name_that_the_server_was_given_is_its_own() -> None:
    told = {"Host": "Plant.Example.com:8501", "Accept-Language": "de"}
    model = ServedModel("parts", 3, cast(Any, Echo()), {})
    named = make_app(model, Limits(), names={"plant.example.com"})
    assert ask(named, "GET", "/", headers=told).status == 200
    assert ask(make_app(model, Limits()), "GET", "/", headers=told).status == 403


def test_an_exported_model_is_served(colour_export: Path) -> None:
    app = make_app(load_model(find_version(colour_export), "parts"), Limits())
    buffer = io.BytesIO()
    Image.new("RGB", (5, 6), (255, 0, 0)).save(buffer, "PNG")
    body = request(buffer.getvalue(), b"no picture")
    rows = ask(app, "POST", f"{PARTS}:predict", body).json()["predictions"]
    assert [(row["label"], row["decoded"]) for row in rows] == [("red", True), ("", False)]
    body = request(SOUND["plain.tif"], b"no picture")
    tiff, none = ask(app, "POST", f"{PARTS}:predict_files", body).json()["predictions"]
    assert (tiff["label"] in ("red", "grün", "blue"), tiff["problem"]) == (True, "")
    assert none["problem"] == "no JPEG, PNG, BMP, GIF, TIFF or WEBP content"
