"""GIF files as training decodes them, whose screen and clear pixels Pillow takes otherwise."""

import numpy as np

from .file_headers import gif_sides, little, palette_bytes
from .unpacking import NoPictureError, Pixels, Reading, check_size, coloured, unpacked


def decode_gif(encoded: bytes, reading: Reading) -> Pixels:
    """The first frame, on a screen as large as the largest; what is clear or uncovered is black."""
    width, height, pixels = gif_sides(encoded)
    check_size(pixels, reading)
    at = 13 + palette_bytes(encoded[10])
    palette, clear = encoded[13:at], None
    while encoded[at] == 0x21:
        # of several the first one counts
        if encoded[at + 1] == 0xF9 and clear is None:
            clear = encoded[at + 6] if encoded[at + 3] & 1 else -1
        at = _behind_blocks(encoded, at + 2)
    if encoded[at] != 0x2C:
        raise NoPictureError("GIF without a picture")
    left, top, wide, high = (little(encoded, at + place, 2) for place in (1, 3, 5, 7))
    flags, start = encoded[at + 9], at + 10 + palette_bytes(encoded[at + 9])
    palette = encoded[at + 10 : start] or palette
    data = encoded[start + 1 : _behind_blocks(encoded, start + 1)]
    interlaced = flags >> 6 & 1
    numbers = unpacked("L", wide, high, data, "gif", encoded[start], interlaced)[..., 0]
    seen = numbers[: max(height - top, 0), : max(width - left, 0)]
    if (seen[seen != clear] >= len(palette) // 3).any():
        raise NoPictureError("GIF with colours that its palette lacks")
    image = np.zeros((height, width, 3), np.uint8)
    colours = coloured(seen, palette) * (seen != clear)[..., np.newaxis]
    image[top : top + high, left : left + wide] = colours
    return image


def _behind_blocks(encoded: bytes, at: int) -> int:
    while encoded[at]:
        at += 1 + encoded[at]
    return at + 1
