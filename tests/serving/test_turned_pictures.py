"""Every target of an export sees a photo upright, whichever way the camera was held."""

import io
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.hostile.pictures_for_graph import exif, jpeg_with, photo, png_with, saved, too_large
from tl_keras.data.decoding import load_pixels
from tl_keras.data.picture_reading import DEFAULTS, EARLIER, PictureReading
from tl_keras.serving.keras_file import read_model, write_model
from tl_keras.serving.reading_record import READING_FILE, stored_reading
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.targets import load_target, write_target
from tl_keras.serving.versions import EXTRA
from tl_keras.target_table import TARGETS

SIZE, LABELS = 8, ["left", "right", "top"]
JPEG, PNG = saved(photo(), "JPEG", quality=95), saved(photo(), "PNG")
FILES = tuple(
    make(exif(orientation, little=little), encoded)
    for orientation in range(1, 9)
    for little in (True, False)
    for make, encoded in ((jpeg_with, JPEG), (png_with, PNG))
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Answers otherwise as soon as a picture is turned."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 64)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(flat))


@cache
def read(files: tuple[bytes, ...], reading: PictureReading) -> np.ndarray:
    data = tf.data.Dataset.from_tensor_slices(list(files))
    data = data.map(lambda file: load_pixels(file, SIZE, reading)).batch(len(files))
    return np.asarray(data.get_single_element())


@cache
def upright() -> np.ndarray:
    """The pixels of `FILES`, turned by Pillow, then saved without loss and without a turn."""
    turned = []
    for file in FILES:
        with Image.open(io.BytesIO(file)) as image:
            turned.append(saved(Image.fromarray(np.asarray(ImageOps.exif_transpose(image))), "PNG"))
    return read(tuple(turned), EARLIER)


def test_the_saved_model_turns_what_it_decodes(model: keras.Model, tmp_path: Path) -> None:
    version = export_classifier(
        model, labels=LABELS, image_size=SIZE, reading=DEFAULTS, directory=tmp_path
    )
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    expected = model.predict(upright(), verbose=0)
    assert len(np.unique(expected.round(4), axis=0)) >= 8
    answers = served(image_bytes=tf.constant(FILES))
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5)

    hostile = [JPEG, *too_large().values()]
    answers = served(image_bytes=tf.constant(hostile))
    assert answers["decoded"].numpy().tolist() == [True] + [False] * (len(hostile) - 1)
    assert set(answers["label"].numpy()[1:]) == {b""}

    assert stored_reading(version / EXTRA) == DEFAULTS


def test_the_record_says_how_pictures_were_read(model: keras.Model, tmp_path: Path) -> None:
    reading = PictureReading("pad", "ignore", (5, 900), 12.5)
    version = export_classifier(
        model, labels=LABELS, image_size=SIZE, reading=reading, directory=tmp_path
    )
    assert stored_reading(version / EXTRA) == reading
    broken = ("{", "[1]", "3", '{"later": 1}', '{"resize": "squeeze"}', '{"max_megapixels": "9"}')
    for text in (*broken, '{"max_megapixels": NaN}', "[" * 100_000):
        (version / EXTRA / READING_FILE).write_text(text)
        assert stored_reading(version / EXTRA) == EARLIER
    (version / EXTRA / READING_FILE).unlink()
    assert stored_reading(version / EXTRA) == EARLIER


@pytest.mark.parametrize("name", [name for name, row in TARGETS.items() if row.exact])
def test_other_targets_answer_for_pictures_read_that_way(
    model: keras.Model, tmp_path: Path, name: str
) -> None:
    for module in TARGETS[name].modules:
        pytest.importorskip(module)
    pixels = read(FILES, DEFAULTS)
    np.testing.assert_array_equal(pixels, upright())
    path = write_target(name, model, tmp_path, pixels[:1], LABELS)
    answers = load_target(name, path).outputs(pixels)["probabilities"]
    np.testing.assert_allclose(answers, model.predict(upright(), verbose=0), atol=1e-5)


def test_the_keras_file_answers_for_pictures_read_that_way(
    model: keras.Model, tmp_path: Path
) -> None:
    write_model(tmp_path, model, LABELS)
    pixels = read(FILES, DEFAULTS)
    answers = read_model(tmp_path).predict(pixels, verbose=0)
    np.testing.assert_allclose(answers, model.predict(upright(), verbose=0), atol=1e-6)
