"""Picture files with mistakes in them, as many as are wanted: each seed gives one file."""

import random
from collections.abc import Callable

from tests.hostile.pictures import PICTURES

_LARGEST = 20_000
# What is worth a mistake: small enough to be read and changed at once.
_BASES = {name: encoded for name, encoded in PICTURES.items() if 0 < len(encoded) <= _LARGEST}
# Numbers at the limits of what a field holds.
_LIMITS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f")
# Where the headers are, in which a change means more than in the pixels.
_HEAD = 120


def mutated_picture(seed: int) -> tuple[str, bytes]:
    """The ending of a file's name, and its bytes."""
    chance = random.Random(seed)
    name = chance.choice(list(_BASES))
    content = bytearray(_BASES[name])
    for _ in range(chance.randint(1, 4)):
        chance.choice(_MUTATIONS)(content, chance)
    ending = name.rpartition(".")[2]
    if chance.random() < 0.05:
        ending = chance.choice(("jpg", "png", "bmp", "gif", "tif", "webp"))
    return ending, bytes(content)


def _place(content: bytearray, chance: random.Random) -> int:
    end = len(content) if chance.random() < 0.5 else min(_HEAD, len(content))
    return chance.randrange(max(1, end))


def _flip(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 3, 20)) if content else 0):
        content[_place(content, chance)] ^= 1 << chance.randrange(8)


def _limit(content: bytearray, chance: random.Random) -> None:
    place, number = _place(content, chance), chance.choice(_LIMITS)
    content[place : place + len(number)] = number


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[_place(content, chance) :]


def _leave_out(content: bytearray, chance: random.Random) -> None:
    place = _place(content, chance)
    del content[place : place + chance.randint(1, 40)]


def _repeat(content: bytearray, chance: random.Random) -> None:
    place = _place(content, chance)
    content[place:place] = content[place : place + chance.randint(1, 200)]


def _zeros(content: bytearray, chance: random.Random) -> None:
    place = _place(content, chance)
    length = min(chance.randint(1, 300), len(content) - place)
    content[place : place + length] = bytes(length)


def _graft(content: bytearray, chance: random.Random) -> None:
    """The end of another file behind the beginning of this one."""
    other = _BASES[chance.choice(list(_BASES))]
    content[_place(content, chance) :] = other[chance.randrange(len(other)) :]


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _flip,
    _limit,
    _limit,
    _cut,
    _leave_out,
    _repeat,
    _zeros,
    _graft,
)
