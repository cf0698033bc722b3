"""The REST paths of TensorFlow Serving for one model, as a web application."""

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tl_keras.serving.examples import read_examples, write_classes
from tl_keras.serving.json_tensors import RequestError
from tl_keras.serving.rest import read_object, read_predict, signature_name, write_predict
from tl_keras.serving.served_model import CLASSIFY_METHOD, ServedModel

_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/0*(?P<version>[0-9]+))?"
    r"(?P<action>|/metadata|:predict|:classify|:regress)",
    re.IGNORECASE,
)
_PATHS = (
    "GET /v1/models/{name}, GET /v1/models/{name}/metadata, POST /v1/models/{name}:predict and "
    "POST /v1/models/{name}:classify"
)
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how many may ask at a time.

    Attributes:
        request_bytes: Of its body.
        batch: Items.
        parallel: Requests that are worked on at the same time; others wait.
    """

    request_bytes: int = 32 * _MEGABYTE
    batch: int = 64
    parallel: int = 2


def make_app(model: ServedModel, limits: Limits) -> Starlette:
    """Return the application that answers for a model."""
    return Starlette(
        routes=[Route("/{path:path}", _Endpoint(model, limits))],
        exception_handlers={
            HTTPException: _refuse_http,
            RequestError: _refuse_request,
            ClientDisconnect: _close,
            Exception: _fail,
        },
    )


class _Endpoint:
    """All paths at once, because a name and what is asked of it are not parted by a slash."""

    def __init__(self, model: ServedModel, limits: Limits) -> None:
        self._model = model
        self._limits = limits
        self._workers = ThreadPoolExecutor(limits.parallel, thread_name_prefix="request")
        self._reads = {"": model.status, "/metadata": model.metadata}
        self._runs: dict[str, Callable[[bytes], dict[str, Any]]] = {
            ":predict": self._predict,
            ":classify": self._classify,
            ":regress": self._regress,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        action = self._action(request.scope["path"])
        methods = ("GET", "HEAD") if action in self._reads else ("POST",)
        if request.method not in methods:
            raise HTTPException(
                405,
                f"The method must be {methods[0]} for this path, got {request.method}.",
                {"Allow": ", ".join(methods)},
            )
        if action in self._reads:
            return _respond(_encode(self._reads[action]()))
        body = await _read_body(request, self._limits.request_bytes)
        run = self._runs[action]
        loop = asyncio.get_running_loop()
        # reading and writing large JSON would hold up other requests as the model does
        content = await loop.run_in_executor(self._workers, lambda: _encode(run(body)))
        return _respond(content)

    def _action(self, path: str) -> str:
        """Return what a path asks of the model, if it is the one served."""
        found = _PATH.fullmatch(path)
        if found is None:
            allowed = _PATHS.format(name=self._model.name)
            raise HTTPException(404, f"The path must be one of {allowed}, got {path[:200]!r}.")
        if found["name"] != self._model.name:
            raise HTTPException(
                404, f"The model must be {self._model.name!r}, got {found['name'][:100]!r}."
            )
        if found["version"] not in (None, str(self._model.version)):
            raise HTTPException(
                404,
                f"The version of {self._model.name!r} must be {self._model.version}, the only one "
                f"served, got {found['version'][:40]}.",
            )
        return found["action"].lower()

    def _predict(self, body: bytes) -> dict[str, Any]:
        request = read_object(body)
        signature = self._model.signature(signature_name(request))
        asked = read_predict(request, signature.inputs, self._limits.batch)
        return write_predict(signature.run(asked.arrays), asked.by_rows)

    def _classify(self, body: bytes) -> dict[str, Any]:
        request = read_object(body)
        name = signature_name(request)
        signature = self._model.signature(name)
        if signature.method != CLASSIFY_METHOD or len(signature.inputs) != 1:
            raise RequestError(
                f"signature_name must be that of a signature for :classify ({self._for_classify()})"
                f", got {name!r}, which is for {signature.method}. Ask for it with :predict."
            )
        examples = read_examples(request, self._limits.batch)
        return write_classes(signature.run({next(iter(signature.inputs)): examples}))

    def _for_classify(self) -> str:
        signatures = self._model.signatures.items()
        names = [name for name, signature in signatures if signature.method == CLASSIFY_METHOD]
        return ", ".join(sorted(names)) or "this model has none"

    def _regress(self, body: bytes) -> dict[str, Any]:
        raise RequestError(
            "A classifier has no signature for :regress. Ask with :predict or :classify."
        )


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise _too_large(limit, f"{declared[:20]} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit, "more")
    return bytes(body)


def _too_large(limit: int, received: str) -> HTTPException:
    return HTTPException(
        413,
        f"The request must have at most {limit} bytes ({limit / _MEGABYTE:g} MB), got {received}. "
        "Send fewer or smaller images, or start the server with a larger --max-request-megabytes.",
    )


def _encode(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, indent=4, ensure_ascii=False, allow_nan=False).encode()


def _respond(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(content, status, headers, "application/json")


def _refuse_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _respond(_encode({"error": error.detail}), error.status_code, headers)


def _refuse_request(_: Request, error: Exception) -> Response:
    return _respond(_encode({"error": str(error)}), 400)


def _close(_: Request, error: Exception) -> Response:
    # nobody is left to read it
    return _respond(_encode({"error": "The connection was closed before the request ended."}), 400)


def _fail(_: Request, error: Exception) -> Response:
    message = "The server failed, which is its fault. Its terminal shows the reason."
    return _respond(_encode({"error": message}), 500)
