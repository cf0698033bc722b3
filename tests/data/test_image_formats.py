"""Formats are rows: what is listed, recognised and named follows from them."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.config.schema import DataConfig
from tl_keras.data import decoding, decoding_graphs
from tl_keras.data.file_audit import examine
from tl_keras.data.image_formats import (
    FORMATS,
    ImageFormat,
    endings_in_words,
    format_by_content,
    format_by_name,
    formats_in_words,
    served_in_words,
    why_undecodable,
)
from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.data.sources import load_images


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_known_by_name_and_by_content(name: str, tmp_path: Path) -> None:
    for ending in FORMATS[name].endings:
        path = tmp_path / f"picture{ending}"
        Image.new("RGB", (4, 4)).save(path)
        assert format_by_content(path.read_bytes()) == name
        assert format_by_name(path) == format_by_name(str(path).upper()) == name


@pytest.mark.parametrize("content", [b"", b"text", b"RIFF....WAVE", b"II", b"IIRC"])
def test_other_content_has_no_format(content: bytes) -> None:
    assert format_by_content(content) is None


@pytest.mark.parametrize("name", ["notes.txt", "png", ".png", "picture.png.part"])
def test_other_names_have_no_format(name: str) -> None:
    assert format_by_name(name) is None


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"\x89PNG\r\n", "cut short PNG"), (b"text", "no JPEG")]
)
def test_what_cannot_be_decoded_is_described(content: bytes, reason: str) -> None:
    assert reason in why_undecodable(content)


def test_a_new_row_that_is_not_served_is_read_by_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "TGA", ImageFormat((".tga",), rb"\0\0\x02\0{5}", served=False))
    for gray, name in enumerate(("a/1.tga", "b/2.png", "b/3.TGA")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 2), (9 * gray,) * 3).save(tmp_path / name)
    table = load_images(DataConfig(folder=str(tmp_path)))
    checked = examine(table, image_size=32)
    assert list(checked.images["format"]) == ["TGA", "PNG", "TGA"]
    assert checked.left_out == 0
    pixels = table.decode(np.arange(3), 32, DEFAULTS)[np.arange(3)]
    assert [int(picture.max()) for picture in pixels] == [0, 9, 18]
    assert "TGA" in formats_in_words()
    assert "TGA" not in served_in_words()


def test_a_new_row_is_listed_recognised_decoded_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def decode_ppm(encoded: tf.Tensor, reading: PictureReading) -> tf.Tensor:
        # of 4 x 2 pixels, which follow 11 bytes
        return tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, 11, 24), tf.uint8), (2, 4, 3))

    monkeypatch.setitem(FORMATS, "PPM", ImageFormat((".ppm",), b"P6"))
    monkeypatch.setitem(decoding._DECODERS, "PPM", decode_ppm)
    # traced once in a process, with the formats that are known then
    decoding_graphs._decoding.cache_clear()
    request.addfinalizer(decoding_graphs._decoding.cache_clear)
    for gray, name in enumerate(("a/1.ppm", "b/1.PPM", "b/2.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 2), (9 * gray,) * 3).save(tmp_path / name)
    (tmp_path / "b" / "notes.txt").touch()

    table = load_images(DataConfig(folder=str(tmp_path)))
    assert list(table.frame["image_id"]) == ["a/1.ppm", "b/1.PPM", "b/2.png"]
    assert "WEBP or PPM" in table.ignored["reason"].item()
    assert ".ppm" in endings_in_words()
    assert formats_in_words().endswith("PPM")

    checked = examine(table, image_size=32)
    assert checked.left_out == 0
    assert list(checked.images["format"]) == ["PPM", "PPM", "PNG"]
    assert "wrong_extension" not in {finding.kind for finding in checked.findings}
    pixels = table.decode(np.arange(3), 32, DEFAULTS)[np.arange(3)]
    assert [int(picture.max()) for picture in pixels] == [0, 9, 18]
