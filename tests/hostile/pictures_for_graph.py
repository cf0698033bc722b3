"""Picture files for the decoding graph: turned ones, and small ones that claim or take much."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112
_SHORT = 3


def photo(width: int = 53, height: int = 37) -> Image.Image:
    """A smooth picture that no turn leaves as it is."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(
    orientation: int,
    *,
    little: bool = False,
    kind: int = _SHORT,
    count: int = 1,
    tag: int = _ORIENTATION,
    offset: int = 8,
    before: int = 0,
) -> bytes:
    """A block of Exif that gives an orientation.

    Args:
        orientation: The number, whatever it is.
        little: The order of its bytes; big endian otherwise.
        kind: Type of the number; 3 and 8 have two bytes, others four.
        count: Of numbers, that it claims.
        tag: Of the number.
        offset: Where it says that the table is.
        before: Entries of other tags before it.
    """
    order = "<" if little else ">"
    form = "HH" if kind in (_SHORT, 8) else "I"
    value = struct.pack(order + form, orientation, *[0] * (len(form) - 1))
    entries = [struct.pack(order + "HHII", 0x0100 + n, 4, 1, n) for n in range(before)]
    entries.append(struct.pack(order + "HHI", tag, kind, count) + value)
    table = struct.pack(order + "H", len(entries)) + b"".join(entries) + b"\0" * 4
    return (b"II*\0" if little else b"MM\0*") + struct.pack(order + "I", offset) + table


def jpeg_with(block: bytes, encoded: bytes, *segments: bytes) -> bytes:
    """A JPEG file with a block of Exif, behind other segments."""
    content = b"Exif\0\0" + block
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return encoded[:2] + b"".join(segments) + segment + encoded[2:]


def png_with(block: bytes, encoded: bytes, *, at_end: bool = False) -> bytes:
    """A PNG file with a block of Exif, behind the header or behind the pixels."""
    place = encoded.rindex(b"IEND") - 4 if at_end else 33
    return encoded[:place] + _chunk(b"eXIf", block) + encoded[place:]


def png(
    width: int, height: int, *, rows: int | None = None, depth: int = 8, interlaced: bool = False
) -> bytes:
    """A black gray PNG file that may hold fewer rows than it claims."""
    row = b"\0" * (width * depth // 8 + 1)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height if rows is None else rows))
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", packed + packer.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def bmp(width: int, height: int, *, rows: int | None = None) -> bytes:
    """A BMP file of one bit per pixel that may hold fewer rows than it claims."""
    colours = b"\0\0\0\0\xff\xff\xff\0"
    stored = abs(height) if rows is None else rows
    body = b"\x55" * ((width + 31) // 32 * 4 * stored)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 1, 0, len(body), 0, 0, 2, 0)
    start = 14 + len(info) + len(colours)
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + info + colours + body


def gif(width: int, height: int, frames: list[tuple[int, int]]) -> bytes:
    """A GIF file with a screen and frames of these sizes, whose pixels are missing."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"".join(
        b"\x2c" + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02\x4c\x01\0" for size in frames
    )
    return head + frame + b";"


def jpeg_of_claimed_size(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A JPEG file that says it has another size than its pixels."""
    encoded = saved(photo(), "JPEG", progressive=progressive)
    place = encoded.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    return encoded[:place] + struct.pack(">HH", height, width) + encoded[place + 4 :]


def too_large() -> dict[str, bytes]:
    """Files of far more than 179 million pixels, by their headers."""
    return {
        "png": png(30_000, 30_000, rows=1),
        "png_long": png(2**31 - 1, 1, rows=0),
        "png_interlaced": png(30_000, 30_000, rows=1, interlaced=True),
        "png_16_bit": png(30_000, 30_000, rows=1, depth=16),
        "jpeg": jpeg_of_claimed_size(65_500, 65_500),
        "jpeg_progressive": jpeg_of_claimed_size(65_500, 65_500, progressive=True),
        "jpeg_behind_filling": jpeg_of_claimed_size(65_500, 65_500).replace(
            b"\xff\xc0", b"\xff" * 9 + b"\xc0", 1
        ),
        "bmp": bmp(2**30, 2**29, rows=0),
        "bmp_top_down": bmp(2**30, -(2**29), rows=0),
        "bmp_lowest": bmp(2**31 - 1, -(2**31), rows=0),
        "gif_screen": gif(65_535, 65_535, [(1, 1)]),
        "gif_frame": gif(1, 1, [(65_535, 65_535)]),
        "gif_later_frame": gif(1, 1, [(1, 1), (65_535, 65_535)]),
        "gif_many_frames": gif(1, 1, [(13_000, 13_000)] * 5),
    }


def _chunk(kind: bytes, content: bytes) -> bytes:
    sum_ = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_)
