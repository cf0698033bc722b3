"""The folder answers as the SavedModel, and says which of its files is missing or damaged."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.hostile.pictures import PICTURES
from tests.hostile.pictures_for_graph import exif, jpeg_with, photo, saved, too_large
from tests.serving.conftest import LABELS, RULE, SIZE
from tl_keras.config.schema import ResizeMode
from tl_keras.data.picture_bytes import UnreadableError, readable_bytes
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.serving.portable.model import FACTS, FolderError, PlainClassifier
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.targets import write_target


def as_served(encoded: bytes) -> bytes:
    """As `tl-keras predict` hands it over."""
    try:
        return readable_bytes(encoded)
    except UnreadableError:
        return b""


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_odd_photos_have_the_answers_of_the_saved_model(
    resize: ResizeMode, portable_folder: Path, portable_model: keras.Model, tmp_path: Path
) -> None:
    reading = replace(DEFAULTS, resize=resize)
    version = export_classifier(
        portable_model,
        labels=LABELS,
        image_size=SIZE,
        reading=reading,
        directory=tmp_path,
        rule=RULE,
    )
    files = [*PICTURES.values(), *too_large().values()]
    files += [jpeg_with(exif(turn), saved(photo(), "JPEG")) for turn in range(1, 9)]
    files += [saved(photo(1, 4000), "PNG"), saved(photo(2000, 1500), "JPEG")]
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    expected = served(image_bytes=tf.constant([as_served(file) for file in files]))

    classifier = PlainClassifier.of(portable_folder)
    classifier = replace(classifier, facts=classifier.facts | {"reading": reading.as_dict()})
    found = [classifier.answer(file) for file in files]
    assert [not answer["problem"] for answer in found] == expected["decoded"].numpy().tolist()
    assert [answer["label"] for answer in found] == [
        label.decode() for label in expected["label"].numpy()
    ]
    decoded = expected["decoded"].numpy()
    assert 60 < decoded.sum() < len(files) - 60
    np.testing.assert_allclose(
        [answer["probability"] or 0 for answer in found],
        expected["probability"].numpy(),
        atol=1e-5,
    )
    assert [answer["decision"] for answer in found] == [
        word.decode() if whole else ""
        for word, whole in zip(expected["decision"].numpy(), decoded, strict=True)
    ]
    np.testing.assert_allclose(
        [answer["confidence"] or 0 for answer in found],
        expected["confidence"].numpy() * decoded,
        atol=1e-5,
    )
    assert len({answer["decision"] for answer in found}) == 4
    assert len({answer["label"] for answer in found}) >= 3


def test_a_network_that_knows_strangers(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    inputs = keras.Input((SIZE, SIZE, 3))
    bright = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    answers = {"probabilities": keras.layers.Softmax()(bright), "familiar": bright[:, 0]}
    rule = replace(RULE, stranger_share=0.05, review_limit=None)
    pixels = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    model = keras.Model(inputs, answers)
    classifier = PlainClassifier.of(write_target("portable", model, tmp_path, pixels, LABELS, rule))
    names = ["label", "probability", "confidence", "decision", "familiar", "problem"]
    assert classifier.columns == names
    assert list(classifier.answer(b"")) == names
    for light, decision, familiar in ((0, "unknown", 0.0), (255, "not crack", 1.0)):
        answer = classifier.answer(saved(Image.new("RGB", (9, 9), (light,) * 3), "PNG"))
        assert list(answer) == names
        assert (answer["decision"], answer["familiar"]) == (decision, familiar)


@pytest.fixture
def copied(portable_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(portable_folder, tmp_path / "copied"))


@pytest.mark.parametrize("name", [FACTS, "classifier.tflite"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"\xff" * 99, b"[" * 100_000])
def test_a_missing_or_damaged_file_is_named(copied: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (copied / name).unlink()
    else:
        (copied / name).write_bytes(content)
    with pytest.raises(FolderError, match=rf"{name}.*Copy it anew"):
        PlainClassifier.of(copied)


@pytest.mark.parametrize("key", ["labels", "reading", "sha256"])
def test_a_missing_fact_is_named(copied: Path, key: str) -> None:
    facts = json.loads((copied / FACTS).read_text())
    del facts[key]
    (copied / FACTS).write_text(json.dumps(facts))
    with pytest.raises(FolderError, match=f"without {key}"):
        PlainClassifier.of(copied)


def test_a_model_that_the_runtime_refuses(copied: Path) -> None:
    import hashlib

    facts = json.loads((copied / FACTS).read_text())
    (copied / "classifier.tflite").write_bytes(b"nothing")
    facts["sha256"] = hashlib.sha256(b"nothing").hexdigest()
    (copied / FACTS).write_text(json.dumps(facts))
    with pytest.raises(FolderError, match="that the runtime refuses"):
        PlainClassifier.of(copied)


def test_a_missing_runtime(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(FolderError, match="pip install ai-edge-litert"):
        PlainClassifier.of(copied)
