"""Uncompressed BMP files, of which training takes fewer kinds than Pillow."""

import struct

import numpy as np

from .file_headers import bmp_pixels, little
from .unpacking import NoPictureError, Pixels, Reading, check_size


def decode_bmp(encoded: bytes, reading: Reading) -> Pixels:
    """A BMP with 1, 4, 8, 24 or 32 bits per pixel, uint8 (height, width, 3)."""
    check_size(bmp_pixels(encoded), reading)
    header, bits, packed = (little(encoded, *place) for place in ((14, 4), (28, 2), (30, 4)))
    width, height = struct.unpack("<ii", encoded[18:26])
    known = bits in (1, 4, 8, 24, 32) and (packed == 0 or (packed == 3 and bits == 32))
    if header < 40 or not known:
        raise NoPictureError("BMP of a kind that is not read: save it as PNG")
    row_bytes = (width * bits + 31) // 32 * 4
    start = little(encoded, 10, 4)
    data = encoded[start : start + row_bytes * abs(height)]
    rows = np.frombuffer(data, np.uint8).reshape(abs(height), row_bytes)
    if bits <= 8:
        colours = little(encoded, 46, 4) or 2**bits
        palette = np.frombuffer(encoded[14 + header : 14 + header + 4 * colours], np.uint8)
        shifts = np.arange(8 - bits, -1, -bits)
        numbers = (rows[..., np.newaxis] >> shifts) & (2**bits - 1)
        image = palette.reshape(-1, 4)[:, 2::-1][numbers.reshape(abs(height), -1)[:, :width]]
    else:
        step = bits // 8
        pixels = rows[:, : width * step].reshape(abs(height), width, step)
        image = pixels[..., _bmp_order(encoded) if packed else [2, 1, 0]]
    return image[::-1] if height > 0 else image


def _bmp_order(encoded: bytes) -> list[int]:
    """Which byte of a pixel holds red, green and blue."""
    masks = np.frombuffer(encoded[54:66], np.uint8).reshape(3, 4)
    if not ((masks.max(axis=1) == 255) & (masks.sum(axis=1) == 255)).all():
        raise NoPictureError("BMP whose colours are no whole bytes: save it as PNG")
    return [int(place) for place in masks.argmax(axis=1)]
