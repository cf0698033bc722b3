"""Files are turned, brightened and refused as the reading says, in eager calls and in graphs."""

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.hostile.pictures_for_graph import (
    bmp,
    exif,
    gif,
    jpeg_with,
    photo,
    png,
    png_with,
    saved,
    too_large,
)
from tl_keras.config.schema import DataConfig
from tl_keras.data.decoding import decode_image, load_pixels, resize_image
from tl_keras.data.picture_reading import DEFAULTS, EARLIER, PictureReading

ORIENTATIONS = tuple(range(1, 9))
JPEG, PNG = saved(photo(), "JPEG", quality=95), saved(photo(), "PNG")
AS_STORED = PictureReading(exif_rotation="ignore")


@cache
def graph(reading: PictureReading) -> Callable[[bytes], np.ndarray]:
    """Traced once: that takes longer than to decode all that is tried."""
    decode = tf.function(
        lambda encoded: decode_image(encoded, reading),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )
    return lambda encoded: np.asarray(decode(tf.constant(encoded)))


UPRIGHT, STORED = graph(DEFAULTS), graph(AS_STORED)


def by_pillow(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_is_turned_as_by_pillow(orientation: int, little: bool) -> None:
    block = exif(orientation, little=little, before=orientation)
    for encoded in (
        jpeg_with(block, JPEG),
        jpeg_with(block, JPEG, b"\xff\xff\xff\xfe\0\x04ab"),
        png_with(block, PNG),
        png_with(block, PNG, at_end=True),
    ):
        np.testing.assert_array_equal(UPRIGHT(encoded), by_pillow(encoded))
    np.testing.assert_array_equal(UPRIGHT(jpeg_with(block, JPEG)).size, UPRIGHT(JPEG).size)


@pytest.mark.parametrize("kind", [3, 4, 8, 9])
def test_orientation_may_be_any_whole_number_of_exif(kind: int) -> None:
    encoded = png_with(exif(6, kind=kind), PNG)
    np.testing.assert_array_equal(UPRIGHT(encoded), by_pillow(encoded))
    assert UPRIGHT(encoded).shape == (53, 37, 3)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"MM",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\0" * 50,
        b"XX\0*" + exif(6)[4:],
        exif(0),
        exif(9),
        exif(2**16 - 1),
        exif(2**32 - 1, kind=4),
        exif(6, kind=5),
        exif(6, kind=7),
        exif(6, count=0),
        exif(6, count=2),
        exif(6, tag=0x0113),
        exif(6, offset=0),
        exif(6, offset=2**32 - 1),
        exif(6, offset=1000),
        exif(6)[:-10],
    ],
)
def test_an_orientation_that_is_odd_is_none(block: bytes) -> None:
    np.testing.assert_array_equal(UPRIGHT(png_with(block, PNG)), STORED(PNG))
    np.testing.assert_array_equal(UPRIGHT(jpeg_with(block, JPEG)), STORED(JPEG))


def test_the_first_orientation_counts_and_a_table_ends_with_its_segment() -> None:
    twice = jpeg_with(exif(6), jpeg_with(exif(3), JPEG))
    assert UPRIGHT(twice).shape == (53, 37, 3)
    # the entry would lie in the next segment
    cut = jpeg_with(b"MM\0*\0\0\0\x08\0\x01", jpeg_with(exif(6)[10:], JPEG))
    np.testing.assert_array_equal(UPRIGHT(cut), STORED(JPEG))


def test_pictures_can_be_taken_as_they_are_stored() -> None:
    np.testing.assert_array_equal(STORED(jpeg_with(exif(6), JPEG)), UPRIGHT(JPEG))
    np.testing.assert_array_equal(STORED(png_with(exif(6), PNG)), UPRIGHT(PNG))


def test_an_eager_call_turns_alike() -> None:
    encoded = jpeg_with(exif(7), JPEG)
    np.testing.assert_array_equal(decode_image(tf.constant(encoded), DEFAULTS), by_pillow(encoded))


@pytest.mark.parametrize("reading", [DEFAULTS, EARLIER, PictureReading(max_megapixels=0.002)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_plain_pictures_are_the_same_however_they_are_read(
    kind: str, reading: PictureReading
) -> None:
    encoded = saved(photo(), kind)
    expected = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    if kind == "JPEG":
        expected = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(graph(reading)(encoded), expected)


@pytest.mark.parametrize(
    ("ends", "values", "expected"),
    [
        ("full", [0, 128, 129, 257, 65535], [0, 0, 1, 1, 255]),
        ("12_bit", [0, 8, 9, 4095, 65535], [0, 0, 1, 255, 255]),
        ("per_file", [100, 101, 102, 103, 355], [0, 1, 2, 3, 255]),
        ("per_file", [7, 7, 7, 7, 7], [0, 0, 0, 0, 0]),
        ((1000, 1510), [0, 1000, 1001, 1255, 9999], [0, 0, 1, 128, 255]),
        ((0, 65535), [0, 128, 129, 257, 65535], [0, 0, 1, 1, 255]),
    ],
)
def test_range_of_16_bits(ends: Any, values: list[int], expected: list[int]) -> None:
    wide = saved(Image.fromarray(np.array([values], np.uint16)), "PNG")
    decoded = graph(PictureReading(range_16_bit=ends))(wide)
    np.testing.assert_array_equal(decoded, np.repeat([expected], 3, 0).T[None])


@pytest.mark.parametrize("name", sorted(too_large()))
def test_a_picture_that_claims_too_much_is_refused_by_its_header(name: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 179 million pixels"):
        UPRIGHT(too_large()[name])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
def test_the_limit_is_the_last_size_that_is_taken(kind: str) -> None:
    encoded = saved(photo(50, 40), kind)
    assert graph(PictureReading(max_megapixels=0.002))(encoded).shape == (40, 50, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"at most 0\.00199 million pixels"):
        graph(PictureReading(max_megapixels=0.00199))(encoded)


def test_an_animation_counts_as_a_quarter_of_its_frames() -> None:
    frames = [photo(50, 40).rotate(90 * turn).quantize(16) for turn in range(4)]
    encoded = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], optimize=False)
    assert graph(PictureReading(max_megapixels=0.002))(encoded).shape == (40, 50, 3)


def test_a_gif_of_endless_blocks_is_refused() -> None:
    endless = gif(1, 1, [])[:-1] + b"\x21\xfe" + b"\x01a" * 2**17
    with pytest.raises(tf.errors.InvalidArgumentError, match="million pixels"):
        UPRIGHT(endless)


@pytest.mark.parametrize("first", [b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF89a"])
@pytest.mark.parametrize("seed", range(12))
def test_garbage_is_refused_by_an_error_that_pipelines_pass_over(first: bytes, seed: int) -> None:
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, random.integers(0, 200), np.uint8).tobytes()
    with pytest.raises(tf.errors.InvalidArgumentError):
        UPRIGHT(first + noise)


def test_formats_that_are_not_named_are_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        UPRIGHT(saved(photo(), "WEBP"))


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("encoded", [bmp(300_000, 1), png(1, 300_000), png(300_000, 2)])
def test_long_pictures_are_resized(mode: Any, encoded: bytes) -> None:
    pixels = load_pixels(tf.constant(encoded), 160, PictureReading(mode))
    assert pixels.shape == (160, 160, 3)


def test_a_long_picture_is_averaged_as_a_shorter_one_is() -> None:
    # the second is the first in the usual order
    steps = np.repeat(np.arange(16, dtype=np.uint8) * 16, 10_000)
    long = np.repeat(steps[None, :, None], 3, axis=-1)
    lying = resize_image(long, 160, "stretch")
    standing = resize_image(np.swapaxes(long, 0, 1), 160, "stretch")
    assert np.abs(lying.numpy().astype(int) - np.swapaxes(standing, 0, 1)).max() <= 1


def test_pad_keeps_the_ratio_of_the_longest_pictures() -> None:
    image = np.full((2, 2**21 + 2**19, 3), 200, np.uint8)
    padded = np.asarray(resize_image(image, 1024, "pad"))
    assert (padded.max(axis=(1, 2)) > 0).sum() == 1


def test_the_reading_is_that_of_the_configuration() -> None:
    data = DataConfig(folder="x", resize="pad", range_16_bit=(3, 9), max_megapixels=20.5)
    reading = PictureReading.of(data)
    assert reading == PictureReading("pad", "apply", (3, 9), 20.5)
    assert PictureReading.from_dict(reading.as_dict()) == reading
    assert PictureReading.of(DataConfig(folder="x")) == DEFAULTS


def test_a_reading_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="got 'squeeze'"):
        PictureReading("squeeze")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PictureReading.from_dict({"later_key": 1})
