"""Files become what the graph decodes, with the pixels that Pillow has for them."""

import io
import struct
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.hostile.pictures import (
    BROKEN,
    HEIGHT,
    PICTURES,
    SOUND,
    WIDTH,
    black_png,
    gray_tiff,
    orientation,
    photo,
    saved,
    sixteen_bits,
)
from tl_keras.data.decoding import decode_image
from tl_keras.data.image_formats import format_by_content, is_served
from tl_keras.data.picture_bytes import (
    UnreadableError,
    opened,
    orientation_of,
    readable_bytes,
    why_unreadable,
)
from tl_keras.data.picture_reading import EARLIER

CONVERTED = [name for name, content in SOUND.items() if not is_served(format_by_content(content))]
# Pillow cuts 16-bit gray off at 255, and takes CMYK without a marker for inverted.
OTHERWISE = {name for name in SOUND if "16_bit" in name and "rgb" not in name}
OTHERWISE |= {"cmyk_unmarked.jpg"}


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(decode_image(tf.constant(readable_bytes(content)), EARLIER))


def by_pillow(content: bytes) -> np.ndarray:
    """RGB as stored, uint8 (height, width, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(content))
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", [name for name in SOUND if name not in OTHERWISE])
def test_sound_pictures_have_the_pixels_that_pillow_has_for_them(name: str) -> None:
    ours = decoded(SOUND[name])
    if name.startswith("orientation_") and name.endswith(".tif"):
        # as it was held, which Pillow undoes for TIFF alone
        ours = upright(readable_bytes(SOUND[name]))
    np.testing.assert_array_equal(ours, by_pillow(SOUND[name]))


def upright(content: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(content))
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def test_cmyk_without_a_marker_is_the_negative() -> None:
    difference = np.abs(
        decoded(SOUND["cmyk_unmarked.jpg"]) - by_pillow(SOUND["cmyk.jpg"]).astype(int)
    )
    assert difference.mean() > 50


@pytest.mark.parametrize("name", [name for name in SOUND if name not in CONVERTED])
def test_served_formats_are_handed_on_as_they_are(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(SOUND[name])
    assert readable_bytes(SOUND[name]) == readable_bytes(path) == SOUND[name]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_sixteen_bits_stay_sixteen(compression: str | None) -> None:
    content = saved(sixteen_bits(), "TIFF", compression=compression)
    with Image.open(io.BytesIO(readable_bytes(content))) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(sixteen_bits()))
    # 65535 is 255
    np.testing.assert_array_equal(decoded(content)[..., 0], np.asarray(photo("L")))


def test_the_big_end_first_is_understood() -> None:
    content = SOUND["gray_16_bit_big_end.tif"]
    np.testing.assert_array_equal(decoded(content)[..., 0], np.asarray(photo("L", 41)))


@pytest.mark.parametrize("form", ["TIFF", "WEBP"])
@pytest.mark.parametrize("number", range(1, 9))
def test_the_orientation_is_handed_on_and_not_applied(form: str, number: int) -> None:
    stored = photo(seed=3)
    options: dict[str, Any] = {"tiffinfo": {0x0112: number}}
    if form == "WEBP":
        options = {"exif": orientation(number), "lossless": True}
    made = readable_bytes(saved(stored, form, **options))
    np.testing.assert_array_equal(decoded(made), np.asarray(stored))
    with opened(made) as image:
        assert orientation_of(image) == number
    # where a graph finds it: signature and header take 33 bytes
    assert (made[37:41] == b"eXIf") == (number > 1)
    assert number == 1 or struct.unpack(">H", made[59:61]) == (number,)


@pytest.mark.parametrize("name", [name for name in BROKEN if format_by_content(BROKEN[name])])
def test_a_broken_file_is_refused_with_words_alone(name: str) -> None:
    try:
        readable_bytes(BROKEN[name])
    except UnreadableError as error:
        assert len(str(error)) < 120
        assert str(error).isprintable()
    else:
        assert is_served(format_by_content(BROKEN[name]))


@pytest.mark.parametrize("name", BROKEN)
def test_why_a_file_is_unreadable_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    assert why_unreadable(path) == why_unreadable(BROKEN[name])
    assert 5 < len(why_unreadable(path)) < 120


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"text", "no JPEG, PNG, BMP, GIF, TIFF or WEBP content"),
        (BROKEN["cut_at_25.png"], "damaged or cut short PNG"),
        (BROKEN["sixteen_bit.bmp"], "damaged BMP, or of a kind that is not read: save it anew"),
        (BROKEN["float.tif"], "32-bit, signed or decimal numbers: save it with 8 or 16 bits"),
        (BROKEN["black_is_65535.tif"], "16 bits whose 0 is white"),
        (BROKEN["packed_somehow.tif"], "damaged TIFF, or of a kind that is not read"),
        (BROKEN["claims_900_megapixels.png"], "30,000 x 30,000 pixels, more than data.max_mega"),
        (gray_tiff(claimed=60_000), "60,000 x 60,000 pixels, more than data.max_mega"),
    ],
)
def test_the_reason_says_what_it_is_and_what_to_do(content: bytes, words: str) -> None:
    assert why_unreadable(content).startswith(words)


def test_the_limit_is_of_pixels_and_inclusive() -> None:
    content = saved(photo(), "TIFF")
    assert readable_bytes(content, max_megapixels=WIDTH * HEIGHT / 1e6)
    with pytest.raises(UnreadableError, match=r"48 x 30 pixels, more than data\.max_"):
        readable_bytes(content, max_megapixels=(WIDTH * HEIGHT - 1) / 1e6)


def test_pillows_own_limit_neither_stops_nor_warns() -> None:
    with opened(black_png(14_000)) as image:
        assert image.size == (14_000, 14_000)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        readable_bytes(tmp_path / "missing.tif")
    assert why_unreadable(tmp_path / "missing.tif") == (
        "cannot be opened: No such file or directory"
    )


def test_what_is_longer_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.jpg"
    with path.open("wb") as file:
        file.write(SOUND["plain.jpg"])
        file.truncate(2**40)
    with pytest.raises(UnreadableError, match="more than 2 GB"):
        readable_bytes(path)
    assert why_unreadable(path) == "a file of more than 2 GB"


def test_whatever_reading_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[BaseException] = [
        MemoryError(),
        RecursionError("deep"),
        struct.error("short"),
        OverflowError("infinity"),
        ZeroDivisionError(),
        AssertionError(),
        Image.DecompressionBombError("bomb"),
    ]

    def refuse(*_: object) -> None:
        raise raised[-1]

    monkeypatch.setitem(Image.OPEN, "TIFF", (refuse, None))
    while raised:
        with pytest.raises(UnreadableError) as caught:
            readable_bytes(SOUND["plain.tif"])
        assert ("memory" in str(caught.value)) == isinstance(raised.pop(), MemoryError)


def test_what_pillow_remarks_is_kept_from_the_user_in_every_thread() -> None:
    before = list(warnings.filters)
    failed: list[Exception] = []

    def read() -> None:
        for content in PICTURES.values():
            try:
                readable_bytes(content)
                why_unreadable(content)
            except UnreadableError:
                pass
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert list(warnings.filters) == before
