"""What decodes is traced once in a process, and gives the pixels of `load_pixels`."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tl_keras.data import decoding_graphs, fingerprints
from tl_keras.data.decoding import decode_image, load_pixels
from tl_keras.data.picture_reading import DEFAULTS, EARLIER, PictureReading
from tl_keras.data.pixels import load_pictures
from tl_keras.serving.signatures import signatures

READINGS = (DEFAULTS, EARLIER, PictureReading("pad"), PictureReading("crop"))


def encoded(name: str) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (23, 17, 3)).astype(np.uint8)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if name in ("JPEG", "PNG") else {}
    Image.fromarray(pixels).save(stream, name, **options)
    return stream.getvalue()


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[PictureReading]]:
    """The readings whose decoding is traced, none of them before."""
    seen: list[PictureReading] = []

    def decode(file: Any, reading: PictureReading) -> Any:
        seen.append(reading)
        return decode_image(file, reading)

    monkeypatch.setattr(decoding_graphs, "decode_image", decode)
    decoding_graphs._decoding.cache_clear()
    yield seen
    decoding_graphs._decoding.cache_clear()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "GIF"])
@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_the_pixels_are_those_of_the_plain_functions(name: str, reading: PictureReading) -> None:
    file = tf.constant(encoded(name))
    image = decoding_graphs.decoding(reading)(file)
    np.testing.assert_array_equal(image, decode_image(file, reading))
    loaded = decoding_graphs.loading(8, reading)(file)
    np.testing.assert_array_equal(loaded, load_pixels(file, 8, reading))


def test_audit_training_and_export_share_one_trace(
    tmp_path: Path, traced: list[PictureReading]
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded("JPEG"))
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Softmax()(pooled))

    fingerprints.fingerprint(path.read_bytes())
    for _ in range(2):
        load_pictures([path], np.arange(1), image_size=8, reading=DEFAULTS)
        fingerprints.fingerprint(path.read_bytes(), PictureReading("pad"))
        for function in signatures(model, list("abc"), 8, DEFAULTS).values():
            function.get_concrete_function()
    assert traced == [DEFAULTS]


def test_a_trace_within_another_belongs_to_none(traced: list[PictureReading]) -> None:
    file = tf.constant(encoded("PNG"))

    @tf.function(autograph=False)
    def within() -> Any:
        return decoding_graphs.loading(8, DEFAULTS)(file)

    with tf.device("CPU:0"):
        inside = within()
    np.testing.assert_array_equal(inside, decoding_graphs.loading(8, DEFAULTS)(file))
    graph = decoding_graphs.decoding(DEFAULTS).graph
    devices = {tf.DeviceSpec.from_string(op.device).device_type for op in graph.get_operations()}
    assert devices <= {"CPU", None}
    assert traced == [DEFAULTS]
