"""Bodies arrive in time and together have a bound; who sends slowly takes room from nobody."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from starlette.exceptions import HTTPException
from starlette.requests import Request

from tl_keras.serving.request_bodies import LARGEST_AT_A_TIME, RequestBodies

LARGEST = 1000


class Sender:
    """A client whose body comes in chunks; after them it stops without an end."""

    def __init__(self, chunks: Sequence[bytes] = (), length: str | None = None) -> None:
        self.waiting: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self.headers = [] if length is None else [(b"content-length", length.encode())]
        for chunk in chunks:
            self.send(chunk)

    def send(self, chunk: bytes, more: bool = True) -> None:
        self.waiting.put_nowait((chunk, more))

    @property
    def request(self) -> Request:
        async def receive() -> dict[str, Any]:
            chunk, more = await self.waiting.get()
            return {"type": "http.request", "body": chunk, "more_body": more}

        return Request({"type": "http", "headers": self.headers}, receive)


def whole(body: bytes) -> Sender:
    sender = Sender()
    sender.send(body, more=False)
    return sender


async def received(bodies: RequestBodies, sender: Sender) -> bytes:
    async with bodies.receive(sender.request) as body:
        return body


def status(answer: Coroutine[Any, Any, bytes]) -> int:
    with pytest.raises(HTTPException) as refused:
        asyncio.run(answer)
    return refused.value.status_code


def test_a_body_is_joined_from_its_pieces() -> None:
    async def run() -> bytes:
        sender = Sender([b"ab", b"", b"c"])
        sender.send(b"d", more=False)
        return await received(RequestBodies(LARGEST), sender)

    assert asyncio.run(run()) == b"abcd"


@pytest.mark.parametrize(
    ("chunks", "length"),
    [
        ([b"a" * (LARGEST + 1)], None),
        ([b"a" * 400] * 3, None),
        ([b"a" * 400] * 3, "5"),
        ([], str(LARGEST + 1)),
        ([], "9" * 5000),
    ],
)
def test_a_large_body_is_refused_before_its_end(chunks: list[bytes], length: str | None) -> None:
    async def run() -> bytes:
        return await received(RequestBodies(LARGEST), Sender(chunks, length))

    assert status(run()) == 413


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def run() -> bytes:
        return await received(RequestBodies(LARGEST, seconds=0.05), Sender([b"a"]))

    assert status(run()) == 408


def test_a_body_that_trickles_is_given_up() -> None:
    async def run() -> bytes:
        sender = Sender()

        async def trickle() -> None:
            while True:
                sender.send(b"a")
                await asyncio.sleep(0.005)

        trickling = asyncio.create_task(trickle())
        try:
            return await received(RequestBodies(LARGEST * 100, seconds=0.1), sender)
        finally:
            trickling.cancel()

    assert status(run()) == 408


def test_unfinished_bodies_make_room_for_new_ones_the_oldest_first() -> None:
    async def run() -> None:
        bodies = RequestBodies(LARGEST)
        senders = [Sender([b"a" * LARGEST]) for _ in range(LARGEST_AT_A_TIME)]
        stuck = [asyncio.create_task(received(bodies, sender)) for sender in senders]
        while any(sender.waiting.qsize() for sender in senders):
            await asyncio.sleep(0)
        assert await received(bodies, whole(b"b" * LARGEST)) == b"b" * LARGEST
        done, left = await asyncio.wait(stuck, timeout=0.2)
        (refused,) = (task.exception() for task in done)
        assert isinstance(refused, HTTPException)
        assert refused.status_code == 503
        assert stuck[0] in done
        for sender in senders[1:]:
            sender.send(b"", more=False)
        assert [len(body) for body in await asyncio.gather(*left)] == [LARGEST] * len(left)

    asyncio.run(run())


def test_bodies_that_are_being_answered_keep_their_room() -> None:
    async def run() -> None:
        bodies, release = RequestBodies(LARGEST), asyncio.Event()

        async def answered() -> int:
            async with bodies.receive(whole(b"a" * LARGEST).request) as body:
                await release.wait()
                return len(body)

        working = [asyncio.create_task(answered()) for _ in range(LARGEST_AT_A_TIME)]
        for _ in range(5):
            await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            await received(bodies, whole(b"b"))
        assert refused.value.status_code == 503
        release.set()
        assert await asyncio.gather(*working) == [LARGEST] * LARGEST_AT_A_TIME
        # what was answered or refused is no longer held
        assert await received(bodies, whole(b"b" * LARGEST)) == b"b" * LARGEST

    asyncio.run(run())
