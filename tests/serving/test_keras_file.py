"""The classifier's own file is whole, has its class names beside it, and can be loaded."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tl_keras.digests import DIGESTS
from tl_keras.errors import ExportError
from tl_keras.serving.keras_file import LABELS_FILE, MODEL_FILE, write_model

LABELS = ("crack", "grün")
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")


def classifier(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    images = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.Softmax()(keras.layers.Dense(2)(pooled)))


def loaded_answers(file: Path) -> np.ndarray:
    return np.asarray(keras.models.load_model(file).predict(IMAGES, verbose=0))


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    model = classifier(1)
    file = write_model(tmp_path, model, LABELS)
    assert file == tmp_path / MODEL_FILE
    np.testing.assert_array_equal(loaded_answers(file), model.predict(IMAGES, verbose=0))
    assert json.loads((tmp_path / LABELS_FILE).read_text()) == list(LABELS)
    assert {path.name for path in tmp_path.iterdir()} == {MODEL_FILE, LABELS_FILE, DIGESTS}


def test_a_second_model_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write_model(tmp_path, classifier(1), LABELS)
    second = classifier(2)
    file = write_model(tmp_path, second, LABELS)
    np.testing.assert_array_equal(loaded_answers(file), second.predict(IMAGES, verbose=0))


def test_a_failure_leaves_the_earlier_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write_model(tmp_path, classifier(1), LABELS).read_bytes()
    second = classifier(2)

    def save(path: Path) -> None:
        path.write_text("half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(second, "save", save)
    with pytest.raises(OSError, match="No space"):
        write_model(tmp_path, second, LABELS)
    assert (tmp_path / MODEL_FILE).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {MODEL_FILE, LABELS_FILE, DIGESTS}


def test_names_must_be_as_many_as_answers(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"2 classes .* got 1: crack"):
        write_model(tmp_path, classifier(1), ["crack"])
    assert not list(tmp_path.iterdir())
