"""Bodies of requests: received in time, and together within a bound of memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request

MEGABYTE = 2**20
# To send a body, and beyond that for each megabyte that a body may have.
SECONDS, SECONDS_PER_MEGABYTE = 20.0, 1.0
# So many of the largest bodies are in memory at a time: those that arrive, wait and are answered.
LARGEST_AT_A_TIME = 4


class RequestBodies:
    """Those that a server holds. Where they would be too many, the one longest under way goes.

    So a client that sends slowly, or stops, keeps room from nobody.
    """

    def __init__(self, largest: int, seconds: float | None = None) -> None:
        """Begin without any.

        Args:
            largest: bytes that one may have.
            seconds: that one may take; None is what the largest needs.
        """
        self._largest = largest
        allowed = SECONDS + SECONDS_PER_MEGABYTE * largest / MEGABYTE
        self._seconds = allowed if seconds is None else seconds
        # bytes so far of those under way, the oldest first; bytes of those that are there
        self._arriving: dict[asyncio.Timeout, int] = {}
        self._held = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which is held until the block ends.

        Raises:
            HTTPException: it is too large (413) or too slow (408), or there is no room (503).
        """
        body = await self._whole(request)
        self._held += len(body)
        try:
            yield body
        finally:
            self._held -= len(body)

    async def _whole(self, request: Request) -> bytes:
        self._refuse_declared(request.headers.get("content-length", ""))
        clock = asyncio.timeout(self._seconds)
        self._arriving[clock] = 0
        try:
            async with clock:
                return await self._collect(request, clock)
        except TimeoutError as error:
            raise (_too_slow() if clock in self._arriving else _no_room()) from error
        finally:
            self._arriving.pop(clock, None)

    async def _collect(self, request: Request, clock: asyncio.Timeout) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            if clock not in self._arriving:
                raise TimeoutError
            body += chunk
            if len(body) > self._largest:
                raise self._too_large()
            self._arriving[clock] = len(body)
            self._make_room()
        return bytes(body)

    def _make_room(self) -> None:
        room = LARGEST_AT_A_TIME * self._largest - self._held
        while self._arriving and sum(self._arriving.values()) > room:
            oldest = next(iter(self._arriving))
            del self._arriving[oldest]
            oldest.reschedule(asyncio.get_running_loop().time())

    def _refuse_declared(self, length: str) -> None:
        digits = len(str(self._largest))
        if length.isdecimal() and (len(length) > digits or int(length) > self._largest):
            raise self._too_large()

    def _too_large(self) -> HTTPException:
        return HTTPException(
            413,
            f"The request must have at most {self._largest} bytes ({self._largest / MEGABYTE:g} "
            "MB), got more. Send fewer or smaller photos, or start the server with a larger "
            "--max-request-megabytes.",
        )


def _too_slow() -> HTTPException:
    # what is still to come of it would be taken for another request
    closing = {"Connection": "close"}
    return HTTPException(408, "The request took too long to arrive. Send it again.", closing)


def _no_room() -> HTTPException:
    headers = {"Connection": "close", "Retry-After": "1"}
    return HTTPException(503, "The server has too many large requests. Send it again.", headers)
