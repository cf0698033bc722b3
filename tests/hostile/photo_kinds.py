"""Kinds of photos that other programs write and Pillow does not: JPEG and PNG by hand."""

import base64
import itertools
import struct
import zlib
from collections.abc import Iterable

import numpy as np

_COMMENT = 0xFE
# Gray, 19 x 13, its coefficients by the arithmetic coder: `cjpeg -arithmetic -grayscale`.
ARITHMETIC = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwkA5CA9u8~`2wBLE%%82~5%BLE=)BLFP`D*z|}FaSINWB@?`JODQUHvl{UdjMDf"
    "T>wb{WB`!>fB=~QmH>|cfB=jDiU6Phv;gJ+!vLTFssP#mtpJJui~z_15dg~o+5qkV^#K9_1OWm7n*hN98v!o?7y$YK"
    "ECA*J{Q&|1`2WcO3kU!W022WL5di<p00saM5C#9*00;pA002J#&&_MyS6?!ND>_iwC_;RDr6FaLhYuTsz>zS9ictUA"
)
# Numbers with so many bits, or in the other table so many bits behind no zeros; 0 ends a block.
_DIFFERENCES, _COEFFICIENTS = range(12), range(6)


def with_comments(encoded: bytes, count: int) -> bytes:
    """A JPEG file with this many bytes of remarks in front, in as many segments as they need."""
    sizes = [min(65_533, count - at) for at in range(0, count, 65_533)]
    comments = b"".join(_segment(_COMMENT, b" " * size) for size in sizes)
    return encoded[:2] + comments + encoded[2:]


def sampled_jpeg(
    width: int, height: int, *sampling: tuple[int, int], names: bytes = b"\1\2\3\4"
) -> bytes:
    """A JPEG file of noise whose channels have any resolution.

    Args:
        width: In pixels.
        height: In pixels.
        sampling: Of each channel, across and down, 1..4: those with less are stretched to those
            with the most.
        names: A byte for each channel.
    """
    most = [max(each) for each in zip(*sampling, strict=True)]
    # a channel alone has its blocks one by one
    blocks = [wide * high for wide, high in sampling] if len(sampling) > 1 else [1]
    across, down = most if len(sampling) > 1 else (1, 1)
    units = -(-width // (8 * across)) * -(-height // (8 * down))
    chance = np.random.default_rng(width)
    last, bits = [0] * len(sampling), []
    for _, (channel, count) in itertools.product(range(units), enumerate(blocks)):
        for level in chance.integers(-60, 60, count).tolist():
            bits.append(_coded(level - last[channel], _DIFFERENCES, 4))
            bits.append(_coded(int(chance.integers(1, 20)), _COEFFICIENTS, 3) + "000")
            last[channel] = level
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    ways = [wide << 4 | high for wide, high in sampling]
    channels = [bytes([name, way, 0]) for name, way in zip(names, ways, strict=False)]
    size = struct.pack(">BHHB", 8, height, width, len(sampling))
    scan = bytes([len(sampling)]) + b"".join(each[:1] + b"\0" for each in channels) + b"\0\x3f\0"
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, b"\0" + bytes([9]) * 64),
            _segment(0xC0, size + b"".join(channels)),
            _segment(0xC4, b"\0" + _table(_DIFFERENCES, 4) + b"\x10" + _table(_COEFFICIENTS, 3)),
            _segment(0xDA, scan),
            data,
            b"\xff\xd9",
        )
    )


def png_of(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of these chunks, whatever they are, each with its right sum."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _table(symbols: Iterable[int], bits: int) -> bytes:
    """Codes of one length, in the order of what they mean."""
    content = bytes(symbols)
    return bytes(len(content) if length == bits else 0 for length in range(1, 17)) + content


def _coded(number: int, symbols: range, bits: int) -> str:
    """How many bits a number has, and those."""
    size = abs(number).bit_length()
    code = f"{symbols.index(size):0{bits}b}"
    return code + (f"{number if number > 0 else number + 2**size - 1:0{size}b}" if size else "")
