"""Clients that half-send, stop, trickle or never read: others are answered all the same."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from tl_keras.serving import connections
from tl_keras.serving.connections import Connection

GOOD = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HALF = b"GET /a HTTP/1.1\r\nHost: a\r\nX-Half: b"
# Longer than anything here takes; a test that needs it fails.
PATIENCE = 20

Ask = Callable[[bytes], Awaitable[bytes]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with its body."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(b"got " + body)(scope, receive, send)


class Server:
    """Listens on a port of its own."""

    def __init__(self, port: int, open_connections: set[Any]) -> None:
        self.port, self.open = port, open_connections
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self, sent: bytes = b"") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader

    async def ask(self, sent: bytes = GOOD) -> bytes:
        """What comes back until the connection is closed."""
        reader = await self.connect(sent)
        return await asyncio.wait_for(reader.read(), PATIENCE)


@contextlib.asynccontextmanager
async def serving(app: Any = echo) -> AsyncIterator[Server]:
    config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_level="critical")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
    server = Server(listener.sockets[0].getsockname()[1], state.connections)
    async with listener:
        yield server
        for writer in server.writers:
            writer.transport.abort()
        for connection in list(state.connections):
            connection.transport.abort()
        while state.connections:
            await asyncio.sleep(0.01)
        closed = (writer.wait_closed() for writer in server.writers)
        await asyncio.gather(*closed, return_exceptions=True)


def in_server(test: Callable[[Server], Awaitable[None]], app: Any = echo) -> None:
    async def run() -> None:
        async with serving(app) as server:
            await test(server)

    asyncio.run(run())


@pytest.mark.parametrize("sent", [b"", b"G", HALF, b"POST / HTTP/1.1\r\nHost: a\r\n\r"])
def test_a_request_that_does_not_come_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)

    async def test(server: Server) -> None:
        with contextlib.suppress(ConnectionResetError):
            assert await server.ask(sent) == b""

    in_server(test)


def test_a_head_that_trickles_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)

    async def test(server: Server) -> None:
        reader = await server.connect(HALF)
        while not reader.at_eof():
            server.writers[0].write(b"x")
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(reader.read(1), 0.05)
            if reader.exception():
                break

    in_server(test)


def test_many_half_sent_requests_lock_nobody_out() -> None:
    async def test(server: Server) -> None:
        for _ in range(connections.CONNECTIONS + 20):
            await server.connect(HALF)
        for _ in range(3):
            assert (await server.ask()).startswith(b"HTTP/1.1 200")
        assert len(server.open) <= connections.CONNECTIONS + 1

    in_server(test)


def test_many_unfinished_bodies_and_idle_connections_lock_nobody_out() -> None:
    body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"
    idle = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

    async def test(server: Server) -> None:
        for _ in range(connections.CONNECTIONS):
            await server.connect(body)
            await server.connect(idle)
        assert (await server.ask()).startswith(b"HTTP/1.1 200")

    in_server(test)


def test_what_is_being_answered_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 3)
    release = asyncio.Event()
    begun: list[int] = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.append(1)
        await release.wait()
        await echo(scope, receive, send)

    async def test(server: Server) -> None:
        asked = [asyncio.create_task(server.ask()) for _ in range(3)]
        while len(begun) < 3:
            await asyncio.sleep(0.01)
        for _ in range(5):
            await server.connect(HALF)
        release.set()
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in await asyncio.gather(*asked))

    in_server(test, slow)


def test_a_client_that_does_not_read_its_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "READING_SECONDS", 0.1)

    async def long(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(b"a" * 50_000_000)(scope, receive, send)

    async def test(server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(GOOD)
            while not server.open:
                await asyncio.sleep(0.01)
            while server.open:
                await asyncio.sleep(0.01)
        monkeypatch.setattr(connections, "READING_SECONDS", PATIENCE)
        assert len(await server.ask()) > 50_000_000

    in_server(test, long)


def test_a_client_that_stops_sending_is_answered() -> None:
    async def test(server: Server) -> None:
        reader = await server.connect(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        server.writers[0].write_eof()
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        assert answer.endswith(b"got x")

    in_server(test)


def test_a_client_that_stops_in_the_middle_is_let_go() -> None:
    async def test(server: Server) -> None:
        reader = await server.connect(HALF)
        server.writers[0].write_eof()
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        while server.open:
            await asyncio.sleep(0.01)

    in_server(test)


def test_several_requests_in_one_piece_are_all_answered() -> None:
    async def test(server: Server) -> None:
        first = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"
        answer = await server.ask(first + b"1" + first + b"2" + GOOD)
        assert answer.count(b"HTTP/1.1 200") == 3
        assert answer.index(b"got 1") < answer.index(b"got 2")

    in_server(test)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 100_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: b\r\n" * 20_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(sent: bytes) -> None:
    async def test(server: Server) -> None:
        with contextlib.suppress(ConnectionError):
            answer = await server.ask(sent)
            assert answer.split(b" ")[1] in (b"400", b"501", b"505")
        assert (await server.ask()).startswith(b"HTTP/1.1 200")

    in_server(test)


def test_a_request_that_still_arrives_does_not_hold_up_the_end() -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await echo(scope, receive, send)
        except ClientDisconnect:
            ended.append("as if the client had gone")

    async def test(server: Server) -> None:
        await server.connect(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        async with asyncio.timeout(PATIENCE):
            while not any(each.cycle for each in server.open):
                await asyncio.sleep(0.01)
            for each in list(server.open):
                each.shutdown()
            while not ended:
                await asyncio.sleep(0.01)

    in_server(test, app)
