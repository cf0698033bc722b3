"""The local server: one model on the REST paths of TensorFlow Serving.

Needs the extra `serve`.
"""

import asyncio
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tl_keras.safe_text import json_line
from tl_keras.serving.connections import CONNECTIONS, Connection
from tl_keras.serving.predict_request import RequestError, read_photos
from tl_keras.serving.request_bodies import MEGABYTE, RequestBodies
from tl_keras.serving.served_model import ServedModel

_SECONDS_TO_FINISH = 5


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and how many may ask at a time.

    Attributes:
        request_bytes: of its body.
        batch: photos.
        parallel: requests that are worked on at the same time; others wait.
    """

    request_bytes: int = 32 * MEGABYTE
    batch: int = 64
    parallel: int = 2


def serve(model: ServedModel, limits: Limits, listener: socket.socket) -> None:
    """Answer requests until the process is told to stop."""
    config = uvicorn.Config(
        make_app(model, limits),
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="warning",
        # what only waits makes room before; here as many again are being answered
        limit_concurrency=2 * CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    uvicorn.Server(config).run(sockets=[listener])


class JSONResponse(Response):
    """JSON that a terminal can show, whatever the classes are called."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json_line(content).encode()


def make_app(model: ServedModel, limits: Limits) -> Starlette:
    """The application that answers for a model; whatever it refuses is told as JSON."""
    bodies = RequestBodies(limits.request_bytes)
    workers = ThreadPoolExecutor(limits.parallel, thread_name_prefix="request")

    async def status(_: Request) -> JSONResponse:
        return JSONResponse(model.status())

    async def metadata(_: Request) -> JSONResponse:
        return JSONResponse(model.metadata())

    async def predict(request: Request) -> JSONResponse:
        loop = asyncio.get_running_loop()
        async with bodies.receive(request) as body:
            # reading and writing large JSON would hold up other requests as the model does
            return await loop.run_in_executor(workers, _predict, model, body, limits.batch)

    base = f"/v1/models/{model.name}"
    routes = [
        route
        for path in (base, f"{base}/versions/{model.version}")
        for route in (
            Route(path, status),
            Route(f"{path}/metadata", metadata),
            Route(f"{path}:predict", predict, methods=["POST"]),
        )
    ]
    app = Starlette(routes=routes, exception_handlers=_refusals(base))
    app.router.redirect_slashes = False
    return app


def _refusals(base: str) -> dict[Any, Any]:
    """What answers each kind of error."""

    def http(request: Request, error: HTTPException) -> JSONResponse:
        told = {
            404: f"The path must be GET {base}, GET {base}/metadata or POST {base}:predict, got "
            f"{request.scope['path'][:200]!r}.",
            405: f"The method must be {(error.headers or {}).get('Allow')} for this path, got "
            f"{request.method}.",
        }
        return _error(error.status_code, told.get(error.status_code, error.detail), error.headers)

    return {
        HTTPException: http,
        RequestError: lambda _, error: _error(400, str(error)),
        # nobody is left to read it
        ClientDisconnect: lambda *_: _error(400, "The connection ended before the request."),
        Exception: lambda *_: _error(500, "The server failed; its terminal shows the reason."),
    }


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)


def _predict(model: ServedModel, body: bytes, max_batch: int) -> JSONResponse:
    return JSONResponse(model.predict(read_photos(body, max_batch)))
