"""Every kind of file is decoded as Pillow decodes it, and resized alike in every setting."""

import io
import struct
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.hostile.pictures_for_graph import photo, saved
from tl_keras.config.schema import DataConfig, ResizeMode
from tl_keras.data.decoding import decode_image, load_pixels, resize_image
from tl_keras.data.picture_reading import DEFAULTS, PictureReading

HEIGHT, WIDTH = 37, 53


def as_pillow_reads(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def decode(encoded: bytes, reading: PictureReading = DEFAULTS) -> np.ndarray:
    return np.asarray(decode_image(tf.constant(encoded), reading))


def with_alpha() -> Image.Image:
    image = photo().convert("RGBA")
    alpha = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    image.putalpha(Image.fromarray(alpha))
    return image


def lossless_files() -> dict[str, bytes]:
    gray, palette = photo().convert("L"), photo().quantize(16)
    other = photo().transpose(Image.Transpose.ROTATE_180).quantize(16)
    return {
        "png_rgb": saved(photo(), "PNG"),
        "png_gray": saved(gray, "PNG"),
        "png_gray_alpha": saved(with_alpha().convert("LA"), "PNG"),
        "png_rgba": saved(with_alpha(), "PNG"),
        "png_palette": saved(palette, "PNG"),
        "png_palette_transparent": saved(palette, "PNG", transparency=3),
        "png_palette_2_bits": saved(photo().quantize(4), "PNG", bits=2),
        "png_1_bit": saved(gray.convert("1"), "PNG"),
        "bmp_24_bits": saved(photo(), "BMP"),
        "bmp_32_bits": saved(with_alpha(), "BMP"),
        "bmp_gray": saved(gray, "BMP"),
        "bmp_palette": saved(palette, "BMP"),
        "bmp_1_bit": saved(gray.convert("1"), "BMP"),
        "gif": saved(palette, "GIF"),
        "gif_gray": saved(gray, "GIF"),
        "gif_animated": saved(palette, "GIF", save_all=True, append_images=[other]),
    }


def bmp_file(
    rows: list[bytes],
    *,
    width: int,
    bits: int,
    top_down: bool = False,
    compression: int = 0,
    after_header: bytes = b"",
    colours: int = 0,
) -> bytes:
    body = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    height = -len(rows) if top_down else len(rows)
    start = 14 + 40 + len(after_header)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0, colours, 0
    )
    return (
        struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + info + after_header + body
    )


@pytest.mark.parametrize("kind", sorted(lossless_files()))
def test_lossless_file_is_decoded_exactly(kind: str) -> None:
    encoded = lossless_files()[kind]
    np.testing.assert_array_equal(decode(encoded), as_pillow_reads(encoded))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_decoded_as_by_pillow(mode: str, options: dict[str, object]) -> None:
    encoded = saved(photo().convert(mode), "JPEG", quality=90, **options)
    difference = decode(encoded).astype(int) - as_pillow_reads(encoded)
    assert np.abs(difference).max() <= 2


def test_sixteen_bits_are_mapped_linearly() -> None:
    wide = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    decoded = decode(saved(Image.fromarray(wide), "PNG"))
    expected = np.rint(wide / 257).astype(np.uint8)
    np.testing.assert_array_equal(decoded, np.repeat(expected[..., np.newaxis], 3, axis=-1))


def test_orientation_tag_is_ignored_on_request() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = saved(photo(), "JPEG", exif=exif)
    assert decode(encoded, PictureReading(exif_rotation="ignore")).shape == (HEIGHT, WIDTH, 3)


def test_transparent_pixels_of_a_gif_are_black() -> None:
    palette = photo().quantize(16)
    hidden = np.asarray(palette) == 2
    decoded = decode(saved(palette, "GIF", transparency=2))
    assert hidden.any()
    assert not decoded[hidden].any()


def test_bmp_with_4_bits_and_few_colours() -> None:
    palette = bytes([1, 2, 3, 0, 40, 50, 60, 0, 7, 8, 9, 0])
    encoded = bmp_file([b"\x01\x20"], width=3, bits=4, after_header=palette, colours=3)
    np.testing.assert_array_equal(decode(encoded), [[[3, 2, 1], [60, 50, 40], [9, 8, 7]]])


@pytest.mark.parametrize("top_down", [True, False])
def test_bmp_rows_start_where_the_header_says(top_down: bool) -> None:
    encoded = bmp_file([b"\x01\x02\x03", b"\x04\x05\x06"], width=1, bits=24, top_down=top_down)
    first, second = [[3, 2, 1]], [[6, 5, 4]]
    expected = [first, second] if top_down else [second, first]
    np.testing.assert_array_equal(decode(encoded), expected)


def test_bmp_channel_masks_are_followed() -> None:
    masks = struct.pack("<III", 0xFF000000, 0x00FF0000, 0x0000FF00)
    encoded = bmp_file([b"\x01\x02\x03\x04"], width=1, bits=32, compression=3, after_header=masks)
    np.testing.assert_array_equal(decode(encoded), [[[4, 3, 2]]])


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"not a picture", "Unknown image file format"),
        (b"", "Unknown image file format|empty"),
        (bmp_file([b"\0\0"], width=1, bits=16), "bits per pixel must be one of"),
        (bmp_file([b"\0\0"], width=1, bits=8, compression=1), "must be uncompressed"),
        (
            bmp_file(
                [b"\0" * 4],
                width=1,
                bits=32,
                compression=3,
                after_header=struct.pack("<III", 0x3FF00000, 0x000FFC00, 0x000003FF),
            ),
            "channels must fill one byte each",
        ),
        (b"BM" + b"\0" * 12 + struct.pack("<IHHHH", 12, 1, 1, 1, 24) + b"\0" * 32, "header must"),
    ],
)
def test_what_cannot_be_decoded_is_refused(encoded: bytes, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.function(decode_image)(tf.constant(encoded), DEFAULTS)


@pytest.mark.parametrize("kind", ["png_rgb", "bmp_24_bits", "bmp_palette", "gif"])
def test_file_that_is_cut_short_is_refused(kind: str) -> None:
    encoded = lossless_files()[kind]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded[: len(encoded) * 7 // 10])


def test_jpeg_that_is_cut_short_is_refused() -> None:
    encoded = saved(photo(), "JPEG")
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded[: len(encoded) * 7 // 10])


def test_data_set_gives_the_same_pixels_as_eager_calls() -> None:
    files = lossless_files()
    files["jpeg"] = saved(photo(), "JPEG")
    data = tf.data.Dataset.from_tensor_slices(list(files.values()))
    data = data.map(
        lambda encoded: load_pixels(encoded, 16, PictureReading("pad")), num_parallel_calls=2
    )
    assert data.element_spec == tf.TensorSpec((16, 16, 3), tf.uint8)
    for pixels, encoded in zip(data, files.values(), strict=True):
        np.testing.assert_array_equal(
            pixels, load_pixels(tf.constant(encoded), 16, PictureReading("pad"))
        )


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
def test_picture_of_the_right_size_stays_as_it_is(mode: ResizeMode) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_image(image, 8, mode), image)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = 200
    centre = np.asarray(resize_image(stripes, 4, "stretch"))[1:3, 1:3]
    assert np.abs(centre.astype(int) - 100).max() <= 1


def test_pad_centres_the_picture_between_black_borders() -> None:
    image = np.full((10, 40, 3), 90, np.uint8)
    padded = np.asarray(resize_image(image, 20, "pad"))
    expected = np.zeros((20, 20, 3), np.uint8)
    expected[7:12] = 90
    np.testing.assert_array_equal(padded, expected)


def test_crop_takes_the_central_square() -> None:
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 120
    cropped = np.asarray(resize_image(image, 5, "crop"))
    np.testing.assert_array_equal(cropped, np.full((5, 5, 3), 120))


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (1, 1)])
def test_extreme_shapes_are_resized(mode: ResizeMode, shape: tuple[int, int]) -> None:
    resized = resize_image(np.full((*shape, 3), 50, np.uint8), 12, mode)
    assert resized.shape == (12, 12, 3)
    assert np.asarray(resized)[5:7, 5:7].max() == 50


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
def test_float_batch_gets_the_values_of_single_byte_pictures(mode: ResizeMode) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 21, 13, 3), dtype=np.uint8)
    batch = resize_image(tf.constant(images, tf.float32), 8, mode)
    assert batch.dtype == tf.uint8
    for row in range(2):
        np.testing.assert_array_equal(batch[row], resize_image(images[row], 8, mode))


def test_resizing_equals_pillow_on_a_smooth_picture() -> None:
    image = photo()
    reference = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
    resized = np.asarray(resize_image(np.asarray(image), 16, "stretch"))
    assert np.abs(resized.astype(int) - reference).max() <= 1


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="got 'squeeze'"):
        resize_image(np.zeros((4, 4, 3), np.uint8), 4, "squeeze")  # type: ignore[arg-type]


def test_every_mode_of_the_configuration_is_known() -> None:
    configured = get_args(DataConfig.model_fields["resize"].annotation)
    assert set(configured) == set(get_args(ResizeMode))
