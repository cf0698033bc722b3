"""What a picture file says of itself before its pixels are decoded: its size and its orientation.

Numbers beyond the end of a file are 0, as in the graph of the SavedModel. Layouts: ITU-T T.81
(JPEG), the W3C's PNG specification, GIF89a, the BITMAPINFOHEADER, and CIPA DC-008 (Exif).
"""

from collections.abc import Iterator
from dataclasses import dataclass

# A longer chain of segments or blocks is not followed to its end.
_MOST_STEPS = 2**16
# More pixels than anybody allows.
ENDLESS = 2**63 - 1
_ORIENTATION = 0x0112
_EXIF = b"Exif\0\0"
# Types of a number in a table of Exif, and its bytes.
_BYTES_OF = {3: 2, 8: 2, 4: 4, 9: 4}
_ENTRY = 12
_APP1, _APP14, _LAST = 0xE1, 0xEE, (0xD9, 0xDA)
_JPEG_BYTES, _ADOBE, _ADOBE_BYTES = 10, b"Adobe", 14
# C4, C8 and CC are no frames.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_BMP_HEADER_BYTES = 40
_FRAME, _EXTENSION = 0x2C, 0x21
_FRAMES_LIKE_A_PICTURE = 4


def big(content: bytes, at: int, count: int) -> int:
    """The number in some bytes, the highest first."""
    return int.from_bytes(content[at : at + count].ljust(count, b"\0"), "big")


def little(content: bytes, at: int, count: int) -> int:
    """The number in some bytes, the lowest first."""
    return int.from_bytes(content[at : at + count].ljust(count, b"\0"), "little")


@dataclass(frozen=True)
class JpegHeader:
    """What stands before the pixels of a JPEG file.

    Attributes:
        width: in pixels.
        height: in pixels.
        channels: numbers of a pixel.
        pixels: of the largest frame; `ENDLESS` where none is found.
        orientation: 1..8.
        adobe: whether Adobe's segment is there.
        end: where it ends.
    """

    width: int
    height: int
    channels: int
    pixels: int
    orientation: int
    adobe: bool
    end: int


def jpeg_header(encoded: bytes) -> JpegHeader:
    """That of a JPEG file."""
    at, pixels, exif, adobe = 2, 0, None, False
    frame = (0, 0, 0)
    for _ in range(_MOST_STEPS):
        if at >= len(encoded):
            break
        head = encoded[at : at + _JPEG_BYTES].ljust(_JPEG_BYTES, b"\0")
        marker, length = head[1], head[2] * 256 + head[3]
        # what fills, or begins no segment, is passed over byte by byte
        if head[0] != 0xFF or marker in (0, 0xFF):
            at += 1
            continue
        if marker in _FRAMES:
            height, width = big(head, 5, 2), big(head, 7, 2)
            frame, pixels = (width, height, head[9]), max(pixels, width * height)
        elif marker == _APP1 and exif is None and head[4:] == _EXIF:
            exif = encoded[at + 10 : at + 2 + max(length, 8)]
        elif marker == _APP14:
            adobe = adobe or (length >= _ADOBE_BYTES and head[4:9] == _ADOBE)
        elif marker in _LAST:
            break
        at += 2 + (0 if marker in _WITHOUT_LENGTH else max(length, 2))
    orientation = 1 if exif is None else _orientation(exif)
    return JpegHeader(*frame, pixels or ENDLESS, orientation, adobe, at)


def png_orientation(encoded: bytes) -> int:
    """The orientation of a PNG file, 1..8; it may stand behind the pixels."""
    for kind, at, count in png_chunks(encoded):
        if kind == b"eXIf":
            return _orientation(encoded[at : at + count])
    return 1


def png_chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk of a PNG file, place of its content, and bytes of it as it claims."""
    at = 8
    for _ in range(_MOST_STEPS):
        if at >= len(encoded):
            return
        count = big(encoded, at, 4)
        yield encoded[at + 4 : at + 8], at + 8, count
        at += 12 + count


def bmp_pixels(encoded: bytes) -> int:
    """The pixels of a BMP file, whose height is negative where the top row comes first."""
    if little(encoded, 14, 4) < _BMP_HEADER_BYTES:
        return 0
    height = little(encoded, 22, 4)
    return little(encoded, 18, 4) * min(height, 2**32 - height)


def gif_sides(encoded: bytes) -> tuple[int, int, int]:
    """Of a GIF file, the largest width and height of its frames, and its pixels.

    These are those of the screen or a frame, whichever is larger; four frames count as one.
    `ENDLESS` where its end is not found.
    """
    wide = high = every = 0
    at, inside = 13 + palette_bytes(big(encoded, 10, 1)), False
    for _ in range(_MOST_STEPS):
        if at >= len(encoded):
            break
        first = encoded[at]
        if inside:
            at, inside = at + 1 + first, first != 0
        elif first == _FRAME:
            width, height = little(encoded, at + 5, 2), little(encoded, at + 7, 2)
            wide, high, every = max(wide, width), max(high, height), every + width * height
            at, inside = at + 11 + palette_bytes(big(encoded, at + 9, 1)), True
        elif first == _EXTENSION:
            at, inside = at + 2, True
        else:
            at = len(encoded)
    screen = little(encoded, 6, 2) * little(encoded, 8, 2)
    pixels = max(screen, wide * high, every // _FRAMES_LIKE_A_PICTURE)
    return wide, high, ENDLESS if at < len(encoded) else pixels


def palette_bytes(flags: int) -> int:
    """Bytes of the palette behind a header of GIF with these flags."""
    return 3 * 2 ** (flags % 8 + 1) if flags >= 128 else 0


def _orientation(exif: bytes) -> int:
    """The orientation that a block of Exif gives, 1..8; 1, upright, where it gives none."""
    exif = exif.removeprefix(_EXIF)
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    number = little if exif[:4] == b"II*\0" else big
    table = number(exif, 4, 4)
    count = number(exif, table, 2)
    entries = exif[table + 2 : table + 2 + _ENTRY * count]
    for at in range(0, len(entries) // _ENTRY * _ENTRY, _ENTRY):
        if number(entries, at, 2) == _ORIENTATION:
            known = _BYTES_OF.get(number(entries, at + 2, 2))
            value = number(entries, at + 8, known) if known else 0
            return value if number(entries, at + 4, 4) == 1 and 1 <= value <= 8 else 1
    return 1
