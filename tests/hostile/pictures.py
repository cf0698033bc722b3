"""Picture files as people's folders hold them: sound ones of every kind, damaged ones, and traps.

`SOUND` can be decoded and `BROKEN` cannot; both go from the name of a file, whose ending may lie,
to its bytes. All are small on the disk; what the traps claim to be is not.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 48, 30
_ORIENTATION = 0x0112

Files = dict[str, bytes]


def photo(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A smooth colourful picture with edges and a little noise, which no two numbers share."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    waves = [120 + 90 * np.sin(x / (5 + c) + seed) * np.cos(y / (4 + c)) for c in range(3)]
    pixels = np.stack(waves, axis=-1)
    pixels[8:16, 10 + seed % 9 : 22] += 40
    pixels += np.random.default_rng(seed).normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sixteen_bits(seed: int = 0) -> Image.Image:
    """The photo in gray, 0..65535."""
    return Image.fromarray(np.asarray(photo("L", seed)).astype(np.uint16) * 257)


def png(
    width: int, height: int, depth: int, colour: int, data: bytes, *more: tuple[bytes, bytes]
) -> bytes:
    """A PNG file by hand.

    Args:
        width: That the header claims.
        height: That the header claims.
        depth: Bits.
        colour: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
        data: Rows with their filter bytes, uncompressed.
        more: Chunks between header and data.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def tiff(entries: list[tuple[int, int, int, int]], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF file by hand, its data right behind the header.

    Args:
        entries: Tag, type, count and value or offset of each.
        data: Which begins at byte 8.
        following: Where the next page is.
    """
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    place = 8 + len(data)
    head = b"II*\0" + struct.pack("<I", place) + data
    return head + struct.pack("<H", len(entries)) + table + struct.pack("<I", following)


def gray_tiff(
    side: int = 16,
    *,
    claimed: int | None = None,
    bits: int = 8,
    compression: int = 1,
    offset: int = 8,
    following: int = 0,
    sample_format: int = 1,
    white: int = 1,
) -> bytes:
    """A gray picture as such a file; `claimed` is the side that it says it has."""
    data = bytes(range(256))[: side * side] * (bits // 8)
    entries = [
        (256, 4, 1, claimed or side),
        (257, 4, 1, claimed or side),
        (258, 3, 1, bits),
        (259, 3, 1, compression),
        (262, 3, 1, white),
        (273, 4, 1, offset),
        (277, 3, 1, 1),
        (278, 4, 1, claimed or side),
        (279, 4, 1, len(data)),
        (339, 3, 1, sample_format),
    ]
    return tiff(entries, data, following)


def with_exif(encoded: bytes, exif: bytes) -> bytes:
    """A JPEG file with these bytes as its EXIF data."""
    segment = b"Exif\0\0" + exif
    return encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + encoded[2:]


def orientation(number: int) -> Image.Exif:
    """EXIF data that says how the camera was held."""
    exif = Image.Exif()
    exif[_ORIENTATION] = number
    return exif


def without_adobe_marker(encoded: bytes) -> bytes:
    """A CMYK JPEG that does not say whether it is inverted."""
    place = encoded.index(b"\xff\xee")
    (length,) = struct.unpack(">H", encoded[place + 2 : place + 4])
    return encoded[:place] + encoded[place + 2 + length :]


def black_png(side: int) -> bytes:
    """A square of zeros of one bit, however large, in a small file."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (side + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", _crc(kind, content))


def _crc(kind: bytes, content: bytes) -> int:
    return zlib.crc32(kind + content)


def _adobe_transform(encoded: bytes, transform: int) -> bytes:
    place = encoded.index(b"Adobe") + 11
    return encoded[:place] + bytes([transform]) + encoded[place + 1 :]


def _rational_orientation(denominator: int) -> bytes:
    """EXIF data whose orientation is 1 divided by something."""
    entry = struct.pack(">HHII", _ORIENTATION, 5, 1, 26)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">III", 0, 1, denominator)


def _endless_exif() -> bytes:
    """EXIF data whose table follows itself and holds itself."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 8)


def _frames(mode: str = "RGB") -> dict[str, Any]:
    return {"save_all": True, "append_images": [photo(mode, 91), photo(mode, 92)]}


def _low_png(depth: int) -> bytes:
    """A gray PNG of few bits: stripes of all its levels."""
    row = b"\0" + bytes(range(0, 256, 11))[: WIDTH * depth // 8]
    return png(WIDTH, HEIGHT, depth, 0, row * HEIGHT)


def _interlaced_png() -> bytes:
    """Adam7 by hand: seven small pictures of their own."""
    pixels = np.asarray(photo("L", 40))
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    parts = [pixels[top::down, left::right] for top, left, down, right in [*steps, (1, 0, 2, 1)]]
    data = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _big_endian_tiff() -> bytes:
    """The photo in 16-bit gray, big end first."""
    pixels = np.asarray(sixteen_bits(41)).astype(">u2").tobytes()
    tags = (
        (256, 4, 1, WIDTH),
        (257, 4, 1, HEIGHT),
        (258, 3, 1, 16 << 16),
        (259, 3, 1, 1 << 16),
        (262, 3, 1, 1 << 16),
        (273, 4, 1, 8),
        (277, 3, 1, 1 << 16),
        (278, 4, 1, HEIGHT),
        (279, 4, 1, len(pixels)),
    )
    table = b"".join(struct.pack(">HHII", *tag) for tag in tags)
    head = b"MM\0*" + struct.pack(">I", 8 + len(pixels)) + pixels
    return head + struct.pack(">H", len(tags)) + table + struct.pack(">I", 0)


def _jpegs() -> Iterator[tuple[str, bytes]]:
    plain = saved(photo(seed=1), "JPEG", quality=95)
    cmyk = saved(photo("CMYK", 2), "JPEG", quality=95)
    yield "plain.jpg", plain
    yield "capitals.JPEG", saved(photo(seed=3), "JPEG")
    yield "short_ending.jpe", saved(photo(seed=4), "JPEG")
    yield "windows.jfif", saved(photo(seed=5), "JPEG")
    yield "gray.jpg", saved(photo("L", 6), "JPEG")
    yield "progressive.jpg", saved(photo(seed=7), "JPEG", progressive=True)
    yield "restarts.jpg", saved(photo(seed=8), "JPEG", restart_marker_rows=1)
    yield "rgb_inside.jpg", saved(photo(seed=9), "JPEG", keep_rgb=True)
    yield "cmyk.jpg", cmyk
    yield "ycck.jpg", _adobe_transform(cmyk, 2)
    yield "cmyk_unmarked.jpg", without_adobe_marker(cmyk)
    two = {"save_all": True, "append_images": [photo(seed=90)]}
    yield "two_pictures.jpg", saved(photo(seed=10), "MPO", **two)
    yield "held_upright.jpg", saved(photo(seed=11), "JPEG", exif=orientation(6))
    yield "orientation_0.jpg", saved(photo(seed=12), "JPEG", exif=orientation(0))
    yield "orientation_999.jpg", saved(photo(seed=13), "JPEG", exif=orientation(999))
    yield "orientation_infinite.jpg", with_exif(plain, _rational_orientation(0))
    yield "orientation_rational.jpg", with_exif(plain, _rational_orientation(1))
    yield "exif_noise.jpg", with_exif(plain, bytes(range(200)))
    yield "exif_cut.jpg", with_exif(plain, b"MM\0*\0\0\0\x08\0\x09\x01")
    yield "exif_endless.jpg", with_exif(plain, _endless_exif())
    yield "profile_noise.jpg", saved(photo(seed=14), "JPEG", icc_profile=b"no profile" * 9)
    yield "long_comment.jpg", saved(photo(seed=15), "JPEG", comment=b"\x1b[31m" * 12_000)
    yield "noise_behind.jpg", plain + bytes(range(256)) * 3
    yield "an_archive_too.jpg", plain + _archive()
    yield "named_as_png.png", saved(photo(seed=16), "JPEG")


def _pngs() -> Iterator[tuple[str, bytes]]:
    for depth in (1, 2, 4):
        yield f"gray_{depth}_bit.png", _low_png(depth)
    yield "gray.png", saved(photo("L", 20), "PNG")
    yield "gray_16_bit.png", saved(sixteen_bits(21), "PNG")
    wide = np.asarray(photo(seed=22)).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in wide.astype(">u2"))
    yield "rgb_16_bit.png", png(WIDTH, HEIGHT, 16, 2, rows)
    yield "palette.png", saved(photo("P", 23), "PNG")
    yield "palette_4_bit.png", saved(photo(seed=24).quantize(16), "PNG", bits=4)
    yield "palette_clear.png", saved(photo("P", 25), "PNG", transparency=bytes(range(256)))
    yield "gray_alpha.png", saved(photo("LA", 26), "PNG")
    yield "alpha.png", saved(photo("RGBA", 27), "PNG")
    yield "clear_colour.png", saved(photo(seed=28), "PNG", transparency=(1, 2, 3))
    yield "interlaced.png", _interlaced_png()
    yield "animated.png", saved(photo(seed=29), "PNG", **_frames())
    yield "held_upright.png", saved(photo(seed=30), "PNG", exif=orientation(8))
    yield "gamma.png", _with_chunk(saved(photo(seed=31), "PNG"), b"gAMA", struct.pack(">I", 1))
    profile = b"a\0\0" + zlib.compress(b"no profile")
    yield "profile_noise.png", _with_chunk(saved(photo(seed=32), "PNG"), b"iCCP", profile)
    yield "noise_behind.png", saved(photo(seed=33), "PNG") + b"<script>"
    yield "one_pixel.png", saved(Image.new("RGB", (1, 1), "red"), "PNG")
    yield "a_line.png", saved(photo(seed=34).resize((4000, 1)), "PNG")
    yield "named_as_jpeg.jpg", saved(photo(seed=35), "PNG")


def _bmps_and_gifs() -> Iterator[tuple[str, bytes]]:
    yield "one_bit.bmp", saved(photo("1", 50), "BMP")
    yield "gray.bmp", saved(photo("L", 51), "BMP")
    yield "palette.bmp", saved(photo("P", 52), "BMP")
    yield "plain.bmp", saved(photo(seed=53), "BMP")
    yield "alpha.bmp", saved(photo("RGBA", 54), "BMP")
    yield "plain.gif", saved(photo("P", 55), "GIF")
    yield "gray.gif", saved(photo("L", 56), "GIF")
    yield "animated.gif", saved(photo("P", 57), "GIF", **_frames("P"))
    yield "named_as_jpeg_too.jpeg", saved(photo("P", 58), "GIF")


def _tiffs() -> Iterator[tuple[str, bytes]]:
    yield "plain.tif", saved(photo(seed=60), "TIFF")
    yield "capitals.TIFF", saved(photo(seed=61), "TIFF")
    yield "one_bit.tif", saved(photo("1", 62), "TIFF", compression="group4")
    yield "gray.tif", saved(photo("L", 63), "TIFF", compression="tiff_lzw")
    yield "gray_16_bit.tif", saved(sixteen_bits(64), "TIFF")
    yield "gray_16_bit_packed.tif", saved(sixteen_bits(65), "TIFF", compression="tiff_deflate")
    yield "gray_16_bit_big_end.tif", _big_endian_tiff()
    yield "palette.tif", saved(photo("P", 66), "TIFF")
    yield "alpha.tif", saved(photo("RGBA", 67), "TIFF")
    yield "gray_alpha.tif", saved(photo("LA", 68), "TIFF")
    yield "cmyk.tif", saved(photo("CMYK", 69), "TIFF")
    yield "lab.tif", saved(photo(seed=71).convert("LAB"), "TIFF")
    yield "jpeg_inside.tif", saved(photo(seed=72), "TIFF", compression="jpeg")
    yield "pages.tif", saved(photo(seed=73), "TIFF", **_frames())
    yield "more_than_4_gb.tif", saved(photo(seed=74), "TIFF", big_tiff=True)
    for number in range(1, 9):
        image = photo(seed=74 + number)
        yield f"orientation_{number}.tif", saved(image, "TIFF", tiffinfo={_ORIENTATION: number})
    yield "follows_itself.tif", gray_tiff(following=8 + 256)
    yield "black_is_1.tif", gray_tiff(white=0)
    yield "named_as_jpeg_by_a_scanner.jpg", saved(photo(seed=83), "TIFF")


def _webps() -> Iterator[tuple[str, bytes]]:
    yield "lossy.webp", saved(photo(seed=84), "WEBP")
    yield "lossless.webp", saved(photo(seed=85), "WEBP", lossless=True)
    yield "alpha.webp", saved(photo("RGBA", 86), "WEBP", lossless=True)
    yield "animated.webp", saved(photo(seed=87), "WEBP", **_frames())
    yield "held_upright.webp", saved(photo(seed=88), "WEBP", exif=orientation(6).tobytes())
    yield "downloaded.jpg", saved(photo(seed=89), "WEBP")


def _texts() -> Iterator[tuple[str, bytes]]:
    yield "empty.png", b""
    yield "one_byte.jpg", b"\xff"
    yield "zeros.bmp", b"\0" * 500
    yield "text.jpg", b"The photo was moved to another server.\n"
    yield "page.png", b"<!DOCTYPE html><title>404</title>"
    yield "drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "document.jpg", b"%PDF-1.7\n%\xe2\xe3"
    yield "archive.tif", _archive()
    yield "sound.webp", b"RIFF\x24\0\0\0WAVEfmt "
    yield "phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    yield "pointer.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    yield "bad_text.jpg", b"\x80\x81\xfe\xff" * 20


def _cuts() -> Iterator[tuple[str, bytes]]:
    """Files that end too soon, at every kind of place."""
    whole = {
        "jpg": saved(photo(seed=1), "JPEG"),
        "png": saved(photo(seed=2), "PNG"),
        "bmp": saved(photo(seed=3), "BMP"),
        "gif": saved(photo("P", 4), "GIF"),
        "tif": saved(photo(seed=5), "TIFF", compression="tiff_lzw"),
        "webp": saved(photo(seed=6), "WEBP"),
    }
    for ending, encoded in whole.items():
        # in the first bytes, in the header, and in the pixels
        for size in (
            6 if ending == "gif" else 12 if ending == "webp" else 4,
            25,
            len(encoded) // 2,
        ):
            yield f"cut_at_{size}.{ending}", encoded[:size]


def _traps() -> Iterator[tuple[str, bytes]]:
    """Files that claim to be large, or are once they are unpacked."""
    claim = png(30_000, 30_000, 8, 2, b"\0" * 40)
    yield "claims_900_megapixels.png", claim
    yield "196_megapixels_of_zeros.png", black_png(14_000)
    yield "claims_all_there_is.png", png(2**31 - 1, 2**31 - 1, 16, 6, b"")
    plain = saved(photo(seed=1), "JPEG")
    size = plain.index(b"\xff\xc0") + 5
    yield "claims_4_gigapixels.jpg", plain[:size] + b"\xff\xdc\xff\xdc" + plain[size + 4 :]
    bitmap = saved(photo(seed=2), "BMP")
    yield "claims_much.bmp", bitmap[:18] + struct.pack("<ii", 60_000, 60_000) + bitmap[26:]
    yield "claims_minus.bmp", bitmap[:18] + struct.pack("<ii", 60_000, -(2**31)) + bitmap[26:]
    still = saved(photo("P", 3), "GIF")
    yield "claims_much.gif", still[:6] + b"\xff\xff\xff\xff" + still[10:]
    yield "claims_much.tif", gray_tiff(claimed=60_000)
    extended = b"VP8X" + struct.pack("<IIHBHB", 10, 0, 16_382, 0, 16_382, 0)
    yield "claims_268_megapixels.webp", b"RIFF" + struct.pack("<I", 22) + b"WEBP" + extended
    text = b"Comment\0\0" + zlib.compress(b"\0" * 2**26, 9)
    yield "text_of_64_mb.png", _with_chunk(claim, b"zTXt", text)


def _wrong_inside() -> Iterator[tuple[str, bytes]]:
    """Files whose header is right and whose inside is not, or of kinds that are not read."""
    plain = saved(photo(seed=1), "JPEG")
    frame = plain.index(b"\xff\xc0")
    yield "arithmetic.jpg", plain[: frame + 1] + b"\xca" + plain[frame + 2 :]
    yield "lossless.jpg", plain[: frame + 1] + b"\xc3" + plain[frame + 2 :]
    yield "twelve_bit.jpg", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :]
    yield "no_width.jpg", plain[: frame + 7] + b"\0\0" + plain[frame + 9 :]
    yield "no_width.png", png(0, 5, 8, 0, b"\0" * 5)
    yield "bits_that_there_are_not.png", png(5, 5, 3, 0, b"\0" * 30)
    yield "colours_that_there_are_not.png", png(5, 5, 8, 5, b"\0" * 30)
    yield "no_palette.png", png(5, 5, 8, 3, b"\0" * 30)
    header = png(5, 5, 8, 0, b"\0" * 30)
    yield "wrong_sum.png", header[:29] + b"\0\0\0\0" + header[33:]
    yield "noise_packed.png", header[:33] + _chunk(b"IDAT", bytes(range(90))) + header[-12:]
    yield "chunk_without_end.png", header[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(90)
    bitmap = saved(photo(seed=2), "BMP")
    yield "packed.bmp", bitmap[:30] + b"\x01\0\0\0" + bitmap[34:]
    yield "sixteen_bit.bmp", bitmap[:28] + b"\x10\0" + bitmap[30:]
    yield "old_header.bmp", bitmap[:14] + struct.pack("<IHHHH", 12, 4, 4, 1, 24) + bytes(48)
    yield "float.tif", saved(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF")
    yield "thirty_two_bit.tif", saved(Image.fromarray(np.ones((9, 9), np.int32)), "TIFF")
    yield "black_is_65535.tif", gray_tiff(bits=16, white=0)
    yield "far_away.tif", gray_tiff(offset=2**31)
    yield "packed_somehow.tif", gray_tiff(compression=34_712)
    yield "no_tags.tif", tiff([])
    yield "many_tags.tif", b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 40
    yield "table_nowhere.tif", b"MM\0*\x7f\xff\xff\xff"
    yield "huge_counts.tif", tiff([(256, 4, 2**32 - 1, 8), (258, 3, 2**31, 8)])
    yield "noise.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(range(90))


def _with_chunk(encoded: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return encoded[:33] + _chunk(kind, content) + encoded[33:]


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "text")
    return buffer.getvalue()


def _collected(*sources: Callable[[], Iterator[tuple[str, bytes]]]) -> Files:
    pairs = [pair for source in sources for pair in source()]
    assert len({name.lower() for name, _ in pairs}) == len(pairs), "a name is there twice"
    return dict(pairs)


SOUND = _collected(_jpegs, _pngs, _bmps_and_gifs, _tiffs, _webps)
BROKEN = _collected(_texts, _cuts, _traps, _wrong_inside)
PICTURES = SOUND | BROKEN
