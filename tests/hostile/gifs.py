"""GIF files by hand: screens and frames of any size, palettes that are short, clear colours."""

import struct

import numpy as np
from PIL import Image

from tests.hostile.pictures import saved


def gif(
    screen: tuple[int, int],
    *frames: tuple[int, int, int, int],
    before: bytes = b"",
    palette: int | None = 7,
    own_palette: int | None = None,
) -> bytes:
    """A GIF whose frames, left, top, width and height, have noise as pixels."""
    flags = 0x70 if palette is None else 0xF0 | palette
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, flags, 3, 0)
    parts = [head, b"" if palette is None else (bytes(range(256)) * 3)[: 6 * 2**palette]]
    for frame in frames:
        noise = np.random.default_rng(frame[2]).integers(0, 256, frame[:1:-1], np.uint8)
        alone = saved(Image.fromarray(noise), "GIF")
        start = alone.index(b"\x2c", 13 + 6 * 2 ** (alone[10] & 7))
        reverse = bytes(range(255, -1, -1)) * 3
        local = b"" if own_palette is None else reverse[: 6 * 2**own_palette]
        mark = 0 if own_palette is None else 0x80 | own_palette
        parts += [before, b"\x2c", struct.pack("<HHHHB", *frame, mark), local]
        parts.append(alone[start + 10 : -1])
    return b"".join([*parts, b";"])


def clear(number: int, flags: int = 1) -> bytes:
    """A block that marks a colour as clear, by its lowest flag."""
    return b"\x21\xf9\x04" + bytes([flags, 0, 0, number, 0])
