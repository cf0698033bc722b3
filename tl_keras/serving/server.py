"""The local server: one model on the REST paths of TensorFlow Serving, and a page to try it on.

Needs the extra `serve`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tl_keras.errors import ExportError
from tl_keras.serving.connections import CONNECTIONS, Connection
from tl_keras.serving.foreign_pages import OwnPages
from tl_keras.serving.json_response import JSONResponse, refusal
from tl_keras.serving.page import CARD_PATH, Page, make_page
from tl_keras.serving.predict_request import RequestError, read_photos
from tl_keras.serving.request_bodies import MEGABYTE, RequestBodies
from tl_keras.serving.served_model import ServedModel

_SECONDS_TO_FINISH = 5

# Says something of the contents of files, as JSON types.
Answer = Callable[[Sequence[bytes]], dict[str, Any]]


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


def serve(
    model: ServedModel, limits: Limits, listener: socket.socket, names: Collection[str] = ()
) -> None:
    """Answer requests until the process is told to stop; see `make_app`."""
    config = uvicorn.Config(
        make_app(model, limits, names),
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="warning",
        # what only waits makes room before; here as many again are being answered
        limit_concurrency=2 * CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    uvicorn.Server(config).run(sockets=[listener])


def make_app(model: ServedModel, limits: Limits, names: Collection[str] = ()) -> Starlette:
    """The application that answers for a model; whatever it refuses is told as JSON.

    Args:
        model: what answers.
        limits: of requests.
        names: of this machine, under which it shows its page, see `OwnPages`.
    """
    base = f"/v1/models/{model.name}"
    page = make_page(model, base, limits.request_bytes, limits.batch)
    routes = [
        *_texts(page),
        *(
            route
            for path in (base, f"{base}/versions/{model.version}")
            for route in (_told(path, model.status), _told(f"{path}/metadata", model.metadata))
        ),
        *_actions(model, base, limits),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers=_refusals(base),
        middleware=[Middleware(OwnPages, names=names)],
    )
    app.router.redirect_slashes = False
    return app


def _texts(page: Page) -> list[Route]:
    """The page, and the card that it names."""
    texts = {"/": ("text/html", page.html), CARD_PATH: ("text/plain", page.card)}

    def told(kind: str, text: str) -> Callable[[Request], Response]:
        return lambda _: Response(text, headers=page.headers, media_type=kind)

    return [Route(path, told(*told_as)) for path, told_as in texts.items() if told_as[1]]


def _told(path: str, what: Callable[[], dict[str, Any]]) -> Route:
    async def told(_: Request) -> JSONResponse:
        return JSONResponse(what())

    return Route(path, told)


def _actions(model: ServedModel, base: str, limits: Limits) -> list[Route]:
    """What answers photos: all share the bounds of memory and of work at a time."""
    bodies = RequestBodies(limits.request_bytes)
    workers = ThreadPoolExecutor(limits.parallel, thread_name_prefix="request")

    def answering(answer: Answer) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def answered(request: Request) -> JSONResponse:
            loop = asyncio.get_running_loop()
            async with bodies.receive(request) as body:
                # reading and writing large JSON would hold up other requests as the model does
                return await loop.run_in_executor(workers, _answer, answer, body, limits.batch)

        return answered

    actions = {
        "predict": model.predict,
        "predict_files": model.predict_files,
        "heat_map": model.heat_maps,
    }
    return [
        Route(f"{path}:{name}", answering(answer), methods=["POST"])
        for path in (base, f"{base}/versions/{model.version}")
        for name, answer in actions.items()
    ]


def _refusals(base: str) -> dict[Any, Any]:
    """What answers each kind of error."""

    def http(request: Request, error: HTTPException) -> JSONResponse:
        told = {
            404: f"The path must be / for a page, GET {base}, GET {base}/metadata or POST "
            f"{base}:predict, got {request.scope['path'][:200]!r}.",
            405: f"The method must be {(error.headers or {}).get('Allow')} for this path, got "
            f"{request.method}.",
        }
        return refusal(error.status_code, told.get(error.status_code, error.detail), error.headers)

    return {
        HTTPException: http,
        RequestError: lambda _, error: refusal(400, str(error)),
        ExportError: lambda _, error: refusal(400, str(error)),
        # nobody is left to read it
        ClientDisconnect: lambda *_: refusal(400, "The connection ended before the request."),
        Exception: lambda *_: refusal(500, "The server failed; its terminal shows the reason."),
    }


def _answer(answer: Answer, body: bytes, max_batch: int) -> JSONResponse:
    return JSONResponse(answer(read_photos(body, max_batch)))
