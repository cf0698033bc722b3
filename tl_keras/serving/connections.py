"""Connections to the local server: none is kept for a client that does not say what it wants."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Open at a time.
CONNECTIONS = 100
# From the connection, or the last answer, to the end of the next request's head.
HEAD_SECONDS = 10.0
# To read an answer, where it is longer than what is kept for a client on the way.
READING_SECONDS = 20.0


class Connection(H11Protocol):
    """A connection of uvicorn with time limits, which makes room for newer ones.

    Uvicorn has a limit for what is idle after an answer, and none before the first request or
    between two bytes of a head; and where all connections are taken it turns the newest away.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waits_since = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether the client has still to send a request, or the rest of one."""
        return self._between_requests or self.cycle.more_body

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._timer)
        _stop(self._reading)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has only stopped sending gets its answer, and then no other."""
        if self.waits:
            return False
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """The server ends: a request that is still arriving is not waited for."""
        super().shutdown()
        if not self._between_requests and self.cycle.more_body:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(READING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        _stop(self._reading)
        super().resume_writing()

    def _expect_request(self) -> None:
        _stop(self._timer)
        self.waits_since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self._between_requests:
            # at once: a client that does not read would keep it open
            self.transport.abort()

    def _make_room(self) -> None:
        if len(self.connections) <= CONNECTIONS:
            return
        waiting = [
            each
            for each in self.connections
            if isinstance(each, Connection) and each.waits and each is not self
        ]
        if waiting:
            oldest = min(waiting, key=lambda each: each.waits_since)
            # the loop tells it only later, after other clients have come
            self.connections.discard(oldest)
            oldest.transport.abort()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
