"""Files have the pixels that training gave them, bit for bit, and are refused where it refused."""

import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.hostile import pictures_for_graph as graph
from tests.hostile.gifs import clear, gif
from tests.hostile.mutated_pictures import mutated_picture
from tests.hostile.photo_kinds import ARITHMETIC, png_of, sampled_jpeg, with_comments
from tests.hostile.pictures import PICTURES, photo, png, saved
from tl_keras.data.decoding_graphs import decoding, loading
from tl_keras.data.picture_bytes import UnreadableError, readable_bytes
from tl_keras.data.picture_reading import PictureReading
from tl_keras.serving.portable.decoders import decode
from tl_keras.serving.portable.unpacking import NoPictureError

READINGS = [
    PictureReading(),
    PictureReading(exif_rotation="ignore", range_16_bit="per_file", max_megapixels=0.01),
    PictureReading(range_16_bit=(700, 40_000)),
    PictureReading(range_16_bit="12_bit"),
]


def in_training(encoded: bytes, reading: PictureReading) -> np.ndarray | None:
    try:
        readable = readable_bytes(encoded, reading.max_megapixels)
        pixels: np.ndarray = decoding(reading)(tf.constant(readable)).numpy()
        return pixels
    # a message of TensorFlow may hold the bytes of the file
    except (UnreadableError, tf.errors.OpError, UnicodeDecodeError):
        return None


def here(encoded: bytes, reading: PictureReading) -> np.ndarray | None:
    try:
        pixels = decode(encoded, reading.as_dict())
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    except NoPictureError as error:
        assert str(error)
        return None


def check(encoded: bytes, reading: PictureReading) -> bool:
    """Whether both read it; then alike."""
    expected, found = in_training(encoded, reading), here(encoded, reading)
    assert (found is None) == (expected is None), "refused" if found is None else "taken"
    if found is None or expected is None:
        return False
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    return True


@pytest.mark.parametrize("reading", READINGS, ids=["default", "as stored", "range", "12 bit"])
def test_all_odd_files(reading: PictureReading) -> None:
    files = PICTURES | graph.too_large()
    taken = [name for name, encoded in files.items() if check(encoded, reading)]
    assert len(taken) >= 30
    assert len(files) - len(taken) >= 60


def test_damaged_files() -> None:
    taken = [check(mutated_picture(seed)[1], READINGS[0]) for seed in range(400)]
    assert 20 < sum(taken) < 380


@cache
def colours(width: int, height: int) -> Image.Image:
    return graph.photo(width, height)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (401, 1), (2, 3), (17, 9), (33, 31)], ids=str)
def test_jpegs_of_any_size_sampling_and_order(size: tuple[int, int]) -> None:
    image = colours(*size)
    for sampling in (0, 1, 2):
        for progressive in (False, True):
            options: dict[str, Any] = {"subsampling": sampling, "progressive": progressive}
            assert check(saved(image, "JPEG", quality=80, **options), READINGS[0])
    for mode in ("L", "CMYK"):
        assert check(saved(image.convert(mode), "JPEG"), READINGS[0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pictures_that_are_copied_in_parts(mode: str) -> None:
    image = colours(1300, 900).convert(mode)
    assert check(saved(image, "PNG"), READINGS[0])
    if mode in ("L", "RGB"):
        assert check(saved(image, "JPEG"), READINGS[0])


@pytest.mark.parametrize("names", [b"\1\2\3\4", b"RGBA", b"\0\1\2\3"], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpegs_whose_channels_have_any_resolution(channels: int, names: bytes) -> None:
    ways = [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 2), (3, 1), (3, 2)]
    taken = 0
    for first in ways:
        for other in [(1, 1), (2, 1), (1, 2)]:
            # a block of channels has ten parts at the most
            sampling = [first, *[other] * min(channels - 1, 2), *[first] * (channels - 3)]
            for size in ((1, 1), (29, 23)):
                taken += check(sampled_jpeg(*size, *sampling, names=names), READINGS[0])
    assert taken >= 20
    assert not check(sampled_jpeg(9, 9, (1, 1), (1, 1)), READINGS[0])


@pytest.mark.parametrize("before", [0, *range(65_320, 65_400, 20), 200_000])
def test_arithmetic_jpegs_of_any_length(before: int) -> None:
    file = with_comments(ARITHMETIC, before)
    assert check(file, READINGS[0])
    assert not check(file[:-9], READINGS[0])


@pytest.mark.parametrize("orientation", range(10))
def test_turned_files(orientation: int) -> None:
    small = colours(7, 5)
    for little in (True, False):
        block = graph.exif(orientation, little=little, before=orientation)
        for reading in READINGS[:2]:
            assert check(graph.jpeg_with(block, saved(small, "JPEG")), reading)
            for mode in ("RGBA", "P", "LA", "1"):
                file = saved(small.convert(mode), "PNG")
                assert check(graph.png_with(block, file, at_end=little), reading)


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 8, 9])
def test_orientations_of_other_types(kind: int) -> None:
    plain = saved(colours(7, 5), "JPEG")
    options: list[dict[str, Any]] = [{"count": 2}, {"tag": 0x0113}, {"offset": 4000}, {}]
    for more in options:
        assert check(graph.jpeg_with(graph.exif(6, kind=kind, **more), plain), READINGS[0])


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
@pytest.mark.parametrize("interlaced", [False, True])
def test_png_of_16_bits_with_every_filter(colour: int, interlaced: bool) -> None:
    width, height, channels = 13, 9, {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    chance = np.random.default_rng(colour)
    sizes = [(width, height)]
    if interlaced:
        sizes = [(2, 2), (2, 2), (4, 1), (3, 3), (7, 2), (6, 5), (13, 4)]
    data = b"".join(
        bytes([row % 5]) + chance.bytes(wide * channels * 2)
        for wide, high in sizes
        for row in range(high)
    )
    file = bytearray(png(width, height, 16, colour, data))
    file[28] = interlaced
    file[29:33] = struct.pack(">I", zlib.crc32(file[12:29]))
    assert all(check(bytes(file), reading) for reading in READINGS)
    # a row is missing
    short = png(width, height, 16, colour, data[: -width * channels * 2])
    assert not check(short, READINGS[0])


H, P, D, A, E = b"IHDR", b"PLTE", b"IDAT", b"tEXt", b"IEND"


@pytest.mark.parametrize(
    ("order", "taken"),
    [
        ([H, D, D, E], True),
        ([H, A, P, A, D, D, A, E], True),
        ([H, D, D, P, E], True),
        ([H, P, P, D, D, E], False),
        ([H, D, A, D, E], False),
        ([H, D, D], False),
        ([H, H, D, D, E], False),
        ([A, H, D, D, E], False),
        ([H, b"ABCD", D, D, E], False),
        ([H, b"abCD", D, D, E], True),
        ([H, b"ab0D", D, D, E], False),
    ],
)
def test_the_order_of_the_chunks_of_a_png(order: list[bytes], taken: bool) -> None:
    packed = zlib.compress((b"\0" + bytes(range(27))) * 7)
    halves = [packed[:9], packed[9:]]
    fixed = {H: struct.pack(">IIBBBBB", 9, 7, 8, 2, 0, 0, 0), P: bytes(range(9)), E: b""}
    chunks = [(kind, halves.pop(0) if kind == D else fixed.get(kind, b"a\0b")) for kind in order]
    assert check(png_of(chunks), READINGS[0]) is taken


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 6])
def test_the_header_and_the_palette_of_a_png(kind: int) -> None:
    data = zlib.compress(bytes(5 * (1 + 4 * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind])))
    for bits, *rest in ((8, 0, 0, 0), (8, 1, 0, 0), (8, 0, 1, 0), (8, 0, 0, 2), (3, 0, 0, 0)):
        header = struct.pack(">IIBBBBB", 4, 5, bits, kind, *rest)
        sound = (bits, *rest) == (8, 0, 0, 0)
        for palette in (b"", b"abc", b"abcd", bytes(768), bytes(771)):
            chunks = [(H, header), *[(P, palette)] * bool(palette), (D, data), (E, b"")]
            colours = kind != 3 or len(palette) in (3, 768)
            assert check(png_of(chunks), READINGS[0]) is (sound and colours)
    long = struct.pack(">IIBBBBBB", 4, 5, 8, kind, 0, 0, 0, 0)
    assert not check(png_of([(H, long), (P, b"abc"), (D, data), (E, b"")]), READINGS[0])
    # the beginning of the file
    right = png_of([(H, long[:-1]), (P, b"abc"), (D, data), (E, b"")])
    assert check(right, READINGS[0])
    assert not check(right.replace(b"\r\n", b"\n\n"), READINGS[0])


@pytest.mark.parametrize("sides", [(1_000_000, 1), (1_000_001, 1), (1, 1_000_001)], ids=str)
def test_a_side_of_a_png_has_a_million_pixels(sides: tuple[int, int]) -> None:
    width, height = sides
    file = png(width, height, 8, 0, bytes((width + 1) * height))
    assert check(file, READINGS[0]) is (max(sides) == 1_000_000)


@pytest.mark.parametrize(
    ("file", "taken"),
    [
        (gif((20, 15), (0, 0, 20, 15)), True),
        (gif((30, 40), (0, 0, 20, 15)), True),
        (gif((30, 40), (3, 4, 20, 15)), True),
        (gif((60, 60), (33, 4, 20, 15)), True),
        (gif((5, 4), (0, 0, 20, 15)), True),
        (gif((30, 40), (0, 0, 20, 15), (0, 0, 30, 40)), True),
        (gif((30, 40), (2, 3, 20, 15), (5, 5, 10, 40)), True),
        (gif((20, 15), (0, 0, 20, 15), before=clear(7)), True),
        (gif((20, 15), (0, 0, 20, 15), before=clear(7) + clear(9)), True),
        (gif((20, 15), (0, 0, 20, 15), before=clear(7, flags=0) + clear(9)), True),
        (gif((20, 15), (0, 0, 20, 15), before=b"\x21\xfe\x03abc\0"), True),
        (gif((20, 15), (0, 0, 20, 15), own_palette=7), True),
        (gif((20, 15), (0, 0, 20, 15), palette=None, own_palette=7), True),
        (gif((20, 15), (0, 0, 20, 15), palette=None), False),
        (gif((20, 15), (0, 0, 20, 15), palette=3), False),
        (gif((20, 15), (0, 0, 20, 15))[:-1], True),
        (gif((20, 15), (0, 0, 20, 15))[:-40], False),
        (gif((20, 15)), False),
    ],
)
def test_gifs(file: bytes, taken: bool) -> None:
    assert check(file, READINGS[0]) is taken


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmps_from_below_and_from_above(mode: str) -> None:
    file = saved(photo(mode, 3), "BMP")
    assert check(file, READINGS[0])
    height = struct.unpack("<i", file[22:26])[0]
    assert check(file[:22] + struct.pack("<i", -height) + file[26:], READINGS[0])
    assert not check(file[:-4], READINGS[0])
    # without width: training decodes it, and then has nothing to resize
    narrow = file[:18] + bytes(4) + file[22:]
    assert here(narrow, READINGS[0]) is None
    with pytest.raises(tf.errors.OpError):
        loading(8, READINGS[0])(tf.constant(narrow))


def test_the_reason_is_given() -> None:
    reading = PictureReading(max_megapixels=0.001).as_dict()
    for encoded, why in (
        (b"", "empty"),
        (b"text", "no JPEG, PNG"),
        (saved(photo(), "PNG"), r"1,440 pixels, more than the 0.001 million"),
        (saved(colours(7, 5), "PNG")[:-20], "cut short"),
        (saved(colours(7, 5), "JPEG")[:-20], "cut short"),
    ):
        with pytest.raises(NoPictureError, match=why):
            decode(encoded, reading)
