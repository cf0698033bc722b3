"""PNG files: what is no pixel is left out, palettes and 16 bits are read as training reads them."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from .file_headers import big, png_chunks, png_pixels
from .unpacking import NoPictureError, Pixels, Reading, check_size, coloured, unpacked

# Of a PNG, the kinds of colours by the byte in its header that says so: numbers per pixel.
_PALETTE, _CHANNELS = 3, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
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
    check_size(png_pixels(encoded), reading)
    depth, colour, interlaced = encoded[24], encoded[25], encoded[28]
    chunks = _critical_chunks(encoded)
    image: Pixels
    if depth == 16:
        image = _wide(encoded, colour, interlaced, chunks[b"IDAT"])
    else:
        plain = b"".join(_chunk(kind, content) for kind, content in chunks.items())
        image = unpacked(PngImagePlugin.PngImageFile, encoded[:8] + plain)
        if colour == _PALETTE:
            image = coloured(image[..., 0], chunks[b"PLTE"])
        image = image[..., :1] if _CHANNELS[colour] == 2 else image[..., :3]
    return image


def _critical_chunks(encoded: bytes) -> dict[bytes, bytes]:
    """Contents of the chunks of a PNG without which there is no picture."""
    found: dict[bytes, bytes] = {}
    for kind, at, count in png_chunks(encoded):
        if not kind.isalpha():
            raise NoPictureError("damaged or cut short PNG")
        content = encoded[at : at + count]
        if not kind[:1].isupper():
            continue
        if zlib.crc32(kind + content) != big(encoded, at + count, 4):
            raise NoPictureError("damaged or cut short PNG")
        found[kind] = found.get(kind, b"") + content
        if kind == b"IEND":
            return found
    raise NoPictureError("damaged or cut short PNG")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + _number(zlib.crc32(kind + content))


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _wide(encoded: bytes, colour: int, interlaced: int, packed: bytes) -> NDArray[np.uint16]:
    """A PNG of 16 bits, of which Pillow reads 8: its high bytes and its low ones, each as a PNG.

    The filters of a PNG work on every byte of a pixel by itself.
    """
    width, height = big(encoded, 16, 4), big(encoded, 20, 4)
    bytes_of = 2 * _CHANNELS[colour]
    numbers = 1 if colour in (0, 4) else 3
    shapes = [(height, width)]
    if interlaced:
        shapes = [
            (-(-(height - top) // down), -(-(width - left) // right))
            for top, left, down, right in _ADAM7
        ]
    shapes = [(high, wide) for high, wide in shapes if high > 0 and wide > 0]
    # no more than is needed, whatever is packed
    most = sum(high * (1 + wide * bytes_of) for high, wide in shapes)
    rows = np.frombuffer(zlib.decompressobj().decompress(packed, most), np.uint8)
    head = _number(width) + _number(height) + bytes([8, 0 if numbers == 1 else 2, 0, 0, interlaced])
    halves = []
    for low in (0, 1):
        at, parts = 0, []
        for high, wide in shapes:
            part = rows[at : at + high * (1 + wide * bytes_of)].reshape(high, -1)
            lanes = part[:, 1:].reshape(high, wide, bytes_of)[..., low : 2 * numbers : 2]
            parts.append(np.concatenate([part[:, :1], lanes.reshape(high, -1)], axis=1).tobytes())
            at += part.size
        data = zlib.compress(b"".join(parts), 0)
        chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
        file = encoded[:8] + b"".join(_chunk(*chunk) for chunk in chunks)
        halves.append(unpacked(PngImagePlugin.PngImageFile, file).astype(np.uint16))
    return halves[0] * 256 + halves[1]
