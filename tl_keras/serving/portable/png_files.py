"""PNG files: what is no pixel is left out, palettes and 16 bits are read as training reads them."""

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from .file_headers import big, png_chunks
from .unpacking import NoPictureError, Pixels, Reading, check_size, coloured, unpacked

# By the number in a header that says what a pixel is: Pillow's name, numbers per pixel, those that
# are no alpha, and bits of a number.
_PALETTE = 3
_KINDS = {
    0: ("L", 1, 1, (1, 2, 4, 8, 16)),
    2: ("RGB", 3, 3, (8, 16)),
    _PALETTE: ("P", 1, 1, (1, 2, 4, 8)),
    4: ("LA", 2, 1, (8, 16)),
    6: ("RGBA", 4, 3, (8, 16)),
}
_BEGINNING = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# As libpng has them.
_LONGEST_SIDE, _MOST_COLOURS = 1_000_000, 256
# A letter for each kind of chunk. Pixels stand together, and a palette behind them is none.
_LETTERS = {b"IHDR": "H", b"PLTE": "P", b"IDAT": "D", b"IEND": "E"}
_MAY_BE_LEFT_OUT = re.compile(rb"[a-z][A-Za-z]{3}")
_ORDER = re.compile("Ha*(Pa*D+a*|D+[aP]*)E")
# The seven small pictures of an interlaced PNG: first row, first column, steps.
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def decode_png(encoded: bytes, reading: Reading) -> Pixels:
    """A PNG as it is stored, (height, width, 1 or 3), uint8 or uint16."""
    width, height = big(encoded, 16, 4), big(encoded, 20, 4)
    check_size(width * height, reading)
    if not encoded.startswith(_BEGINNING) or max(width, height) > _LONGEST_SIDE:
        raise NoPictureError("damaged PNG, or one of more than a million pixels on a side")
    palette, packed = _critical_chunks(encoded)
    depth, kind, packing, filters, interlaced = encoded[24:29]
    mode, channels, seen, depths = _KINDS.get(kind, ("", 0, 0, ()))
    if depth not in depths or packing or filters or interlaced > 1:
        raise NoPictureError("PNG of a kind that there is not")
    if depth == 16:
        return _wide(width, height, (channels, seen), interlaced, packed)
    raw = mode if depth == 8 else f"{mode};{depth}"
    if raw == "L;1":
        mode = raw = "1"
    image = unpacked(mode, width, height, packed, "zip", raw, interlaced)
    if kind != _PALETTE:
        return image[..., :seen]
    if len(palette) not in range(3, 3 * _MOST_COLOURS + 1, 3):
        raise NoPictureError("PNG without its palette")
    return coloured(image[..., 0], palette)


def _critical_chunks(encoded: bytes) -> tuple[bytes, bytes]:
    """Contents of the chunks without which there is no picture: the palette, and the pixels."""
    order = ""
    palette, packed = b"", []
    for kind, at, count in png_chunks(encoded):
        letter = "a" if _MAY_BE_LEFT_OUT.fullmatch(kind) else _LETTERS.get(kind, "?")
        order += letter
        if letter == "a":
            continue
        content = encoded[at : at + count]
        if zlib.crc32(content, zlib.crc32(kind)) != big(encoded, at + count, 4):
            break
        if letter == "D":
            packed.append(content)
        elif letter == "P" and not packed:
            palette = content
        if letter == "E" and _ORDER.fullmatch(order):
            return palette, b"".join(packed)
    raise NoPictureError("damaged or cut short PNG")


def _wide(
    width: int, height: int, channels: tuple[int, int], interlaced: int, packed: bytes
) -> NDArray[np.uint16]:
    """A PNG of 16 bits, of which Pillow reads 8: its high bytes and its low ones, each as a PNG.

    The filters of a PNG work on every byte of a pixel by itself.
    """
    every, seen = channels
    shapes = [(height, width)]
    if interlaced:
        shapes = [
            (-(-(height - top) // down), -(-(width - left) // right))
            for top, left, down, right in _ADAM7
        ]
    shapes = [(high, wide) for high, wide in shapes if high > 0 and wide > 0]
    # no more than is needed, whatever is packed
    most = sum(high * (1 + wide * 2 * every) for high, wide in shapes)
    rows = np.frombuffer(zlib.decompressobj().decompress(packed, most), np.uint8)
    mode, halves = "L" if seen == 1 else "RGB", []
    for low in (0, 1):
        at, parts = 0, []
        for high, wide in shapes:
            part = rows[at : at + high * (1 + wide * 2 * every)].reshape(high, -1)
            lanes = part[:, 1:].reshape(high, wide, 2 * every)[..., low : 2 * seen : 2]
            parts.append(np.concatenate([part[:, :1], lanes.reshape(high, -1)], axis=1).tobytes())
            at += part.size
        half = zlib.compress(b"".join(parts), 0)
        halves.append(unpacked(mode, width, height, half, "zip", mode, interlaced))
    return halves[0] * np.uint16(256) + halves[1]
