"""An exported model answers with class names, whatever it is given, wherever it is loaded."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from tl_keras.config.schema import ResizeMode
from tl_keras.data.decoding import load_pixels
from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.versions import find_version

SIZE = 8
LABELS = ["scratches", "pitted surface", "überzug"]


def classifier(*layers: keras.layers.Layer, classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 255),
            *layers,
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


def encoded_pictures() -> list[bytes]:
    """Return a JPEG, a gray PNG, a paletted BMP and a GIF of four sizes."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    encoded = []
    kinds = [("JPEG", "RGB", (30, 20)), ("PNG", "L", (8, 8)), ("BMP", "P", (13, 40))]
    for kind, mode, size in [*kinds, ("GIF", "P", (5, 6))]:
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize(size).convert(mode).save(buffer, kind)
        encoded.append(buffer.getvalue())
    return encoded


def write(directory: Path, model: keras.Model | None = None) -> Path:
    return export_classifier(
        model or classifier(),
        labels=LABELS,
        image_size=SIZE,
        reading=DEFAULTS,
        directory=directory,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def served(exported: Path) -> Any:
    """The signatures of the export, loaded and traced once."""
    return tf.saved_model.load(str(exported)).signatures


def test_bytes_are_answered_as_the_model_answers_their_pixels(served: Any) -> None:
    encoded = encoded_pictures()
    pixels = np.stack([load_pixels(tf.constant(file), SIZE, DEFAULTS) for file in encoded])
    expected = classifier().predict(pixels.astype(np.float32), verbose=0)
    answer = served["serving_default"](image_bytes=tf.constant(encoded))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(answer["probability"], expected.max(axis=1), atol=1e-6)
    names = [name.decode() for name in answer["label"].numpy()]
    assert names == [LABELS[column] for column in expected.argmax(axis=1)]


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_images_are_answered_as_their_bytes(tmp_path: Path, resize: ResizeMode) -> None:
    image = np.random.default_rng(3).integers(0, 256, (19, 27, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    path = export_classifier(
        classifier(),
        labels=LABELS,
        image_size=SIZE,
        reading=PictureReading(resize),
        directory=tmp_path,
    )
    signatures = tf.saved_model.load(str(path)).signatures
    from_bytes = signatures["serving_default"](image_bytes=tf.constant([buffer.getvalue()]))
    from_images = signatures["serving_images"](images=tf.constant(image[None], tf.float32))
    from_uint8 = signatures["serving_images_uint8"](images=tf.constant(image[None]))
    assert set(from_images) == set(from_uint8) == {"label", "probability", "probabilities"}
    for name, value in from_images.items():
        np.testing.assert_array_equal(value, from_bytes[name])
        np.testing.assert_array_equal(value, from_uint8[name])


RULE = DecisionRule(tuple(LABELS), 0.6, (1.5, 0.5, 1.0), (LABELS[0],), 0.3, 0.15, 0.4)


def knowing_strangers() -> keras.Model:
    """The classifier, which also says how bright a picture is, 0..1, as how familiar."""
    images, inner = keras.Input((SIZE, SIZE, 3)), classifier()
    brightness = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    familiar = keras.ops.mean(brightness, axis=-1)
    return keras.Model(images, {"probabilities": inner(images), "familiar": familiar})


@pytest.mark.parametrize("model", [classifier, knowing_strangers])
def test_every_signature_decides_as_the_rule_does(
    tmp_path: Path, model: Callable[[], keras.Model]
) -> None:
    path = export_classifier(
        model(), labels=LABELS, image_size=SIZE, reading=DEFAULTS, directory=tmp_path, rule=RULE
    )
    signatures = tf.saved_model.load(str(path)).signatures
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 1, 1, 3)) * rng.uniform(0.5, 1, (60, SIZE, SIZE, 3))
    pixels = images.astype(np.uint8)
    files = [tf.io.encode_png(each).numpy() for each in pixels]
    answers = {
        "serving_default": signatures["serving_default"](image_bytes=tf.constant([*files, b"?"])),
        "serving_images": signatures["serving_images"](images=tf.constant(pixels, tf.float32)),
        "serving_images_uint8": signatures["serving_images_uint8"](images=tf.constant(pixels)),
    }
    plain = {"label", "probability", "probabilities", "decision", "confidence"}
    for name, answer in answers.items():
        found = {key: values.numpy()[:60] for key, values in answer.items()}
        assert set(found) - plain == {
            *(["familiar"] if model is knowing_strangers else []),
            *(["decoded"] if name == "serving_default" else []),
        }
        words = [word.decode() for word in found["decision"]]
        assert words == RULE.decisions(found["probabilities"], found.get("familiar"))
        confidence = RULE.confidence(found["probabilities"])
        np.testing.assert_array_equal(found["confidence"], confidence)
        assert ("unknown" in words) == (model is knowing_strangers)
        assert len(set(words)) > 1
    broken = {key: values.numpy()[60] for key, values in answers["serving_default"].items()}
    assert (broken["decision"], broken["label"]) == (b"", b"")
    assert (broken["confidence"], broken.get("familiar", 0), broken["decoded"]) == (0, 0, False)
    scores = signatures["classify"](inputs=tf.constant([example(image_bytes=files[0])]))["scores"]
    assert scores.numpy()[0, 0] == answers["serving_images"]["probability"].numpy()[0]


def test_a_rule_for_other_classes_is_refused(tmp_path: Path) -> None:
    rule = DecisionRule(tuple(reversed(LABELS)), 1.0, (1.0, 1.0, 1.0))
    with pytest.raises(ExportError, match="for the classes of the model"):
        export_classifier(
            classifier(),
            labels=LABELS,
            image_size=SIZE,
            reading=DEFAULTS,
            directory=tmp_path,
            rule=rule,
        )


def two_outputs(name: str, familiar: Callable[[Any], Any]) -> keras.Model:
    images, inner = keras.Input((SIZE, SIZE, 3)), classifier()
    return keras.Model(images, {"probabilities": inner(images), name: familiar(images)})


@pytest.mark.parametrize(
    ("name", "familiar", "message"),
    [
        ("stranger", lambda images: keras.ops.mean(images, axis=(1, 2, 3)), "nothing else; got"),
        ("familiar", lambda images: keras.ops.mean(images, axis=(1, 2)), "nothing else; got"),
        ("familiar", lambda images: keras.ops.mean(images, axis=(1, 2, 3)), "must lie in 0..1"),
    ],
)
def test_another_second_output_is_refused(
    tmp_path: Path, name: str, familiar: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        write(tmp_path, two_outputs(name, familiar))


def test_signatures_state_types_and_shapes(served: Any) -> None:
    default = served["serving_default"]
    assert default.structured_input_signature[1] == {
        "image_bytes": tf.TensorSpec((None,), tf.string, name="image_bytes")
    }
    assert served["serving_images"].structured_input_signature[1] == {
        "images": tf.TensorSpec((None, None, None, 3), tf.float32, name="images")
    }
    found = {name: (spec.dtype, spec.shape) for name, spec in default.structured_outputs.items()}
    assert found["label"] == (tf.string, tf.TensorShape([None]))
    assert found["probability"] == (tf.float32, tf.TensorShape([None]))
    assert found["probabilities"] == (tf.float32, tf.TensorShape([None, 3]))


def test_plain_tensorflow_without_keras_answers_names(exported: Path, tmp_path: Path) -> None:
    picture = tmp_path / "part.jpg"
    picture.write_bytes(encoded_pictures()[0])
    client = (
        "import sys\n"
        "sys.modules['keras'] = sys.modules['tl_keras'] = None\n"
        "import tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "content = tf.constant([open(sys.argv[2], 'rb').read()])\n"
        "answer = model.signatures['serving_default'](image_bytes=content)\n"
        "sys.stdout.buffer.write(answer['label'].numpy()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", client, str(exported), str(picture)],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() in LABELS


def broken_pictures() -> list[bytes]:
    """Nothing, garbage, headers alone, files cut short, and a BMP of a kind that is refused."""
    files = encoded_pictures()
    unsupported = bytearray(files[2])
    unsupported[28] = 16
    headers = [file[:12] for file in files]
    return [b"", b"no picture", *headers, *(file[:-40] for file in files), bytes(unsupported)]


@pytest.mark.parametrize("broken", broken_pictures(), ids=lambda file: repr(file[:4]))
def test_broken_picture_does_not_disturb_the_others(served: Any, broken: bytes) -> None:
    good = encoded_pictures()
    alone = served["serving_default"](image_bytes=tf.constant(good))
    mixed = served["serving_default"](image_bytes=tf.constant([*good[:2], broken, *good[2:]]))
    assert mixed["decoded"].numpy().tolist() == [True, True, False, True, True]
    assert mixed["label"].numpy()[2] == b""
    assert mixed["probability"].numpy()[2] == 0
    for name, value in alone.items():
        np.testing.assert_array_equal(np.delete(mixed[name], 2, axis=0), value)


@pytest.mark.parametrize("count", [1, 3])
def test_batch_without_a_readable_picture_is_answered(served: Any, count: int) -> None:
    answer = served["serving_default"](image_bytes=tf.constant([b"?"] * count, tf.string))
    assert answer["decoded"].numpy().tolist() == [False] * count
    assert answer["probabilities"].shape == (count, 3)


def example(**features: bytes) -> bytes:
    made = tf.train.Example()
    for name, value in features.items():
        made.features.feature[name].bytes_list.value.append(value)
    return bytes(made.SerializeToString())


def test_examples_are_classified_from_the_most_probable_class_on(served: Any) -> None:
    good = encoded_pictures()
    expected = served["serving_default"](image_bytes=tf.constant(good))
    examples = [*(example(image_bytes=file) for file in good), example(other=b"x"), example()]
    found = served["classify"](inputs=tf.constant(examples))
    assert found["classes"].numpy()[:4, 0].tolist() == expected["label"].numpy().tolist()
    np.testing.assert_array_equal(found["scores"][:4, 0], expected["probability"])
    assert (np.diff(found["scores"], axis=1) <= 0).all()
    assert sorted(found["classes"].numpy()[0]) == sorted(label.encode() for label in LABELS)
    np.testing.assert_array_equal(found["scores"][4:], np.zeros((2, 3)))


def test_signatures_name_the_api_that_they_serve(exported: Path) -> None:
    stored = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    (graph,) = stored.meta_graphs
    methods = {name: signature.method_name for name, signature in graph.signature_def.items()}
    assert methods.pop("classify") == "tensorflow/serving/classify"
    assert methods.pop("__saved_model_init_op") == ""
    assert methods == dict.fromkeys(
        ["serving_default", "serving_images", "serving_images_uint8"], "tensorflow/serving/predict"
    )


def test_labels_lie_beside_the_model(exported: Path) -> None:
    lines = (exported / "assets.extra" / "labels.txt").read_text("utf-8").splitlines()
    assert lines == LABELS


def test_versions_count_up_from_the_highest(tmp_path: Path) -> None:
    assert write(tmp_path).name == "1"
    (tmp_path / "1").rename(tmp_path / "9")
    (tmp_path / "notes").mkdir()
    (tmp_path / "12.old").mkdir()
    assert write(tmp_path) == tmp_path / "10"
    assert find_version(tmp_path).number == 10
    assert (tmp_path / "latest").read_text() == "10\n"


def test_version_that_fails_its_check_is_not_published(tmp_path: Path) -> None:
    def refuse(version: Path) -> None:
        assert (version / "saved_model.pb").exists()
        raise ExportError("It answers otherwise.")

    with pytest.raises(ExportError, match="It answers otherwise"):
        export_classifier(
            classifier(),
            labels=LABELS,
            image_size=SIZE,
            reading=DEFAULTS,
            directory=tmp_path,
            complete=refuse,
        )
    assert list(tmp_path.iterdir()) == []


def test_unfinished_model_never_has_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def save_half(_: object, folder: str, **__: object) -> None:
        Path(folder).mkdir(parents=True)
        Path(folder, "saved_model.pb").touch()
        seen.extend(path.name for path in tmp_path.iterdir())
        raise OSError("No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", save_half)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path)
    assert len(seen) == 1
    assert not seen[0].isdecimal()
    assert list(tmp_path.iterdir()) == []


def test_other_users_can_read_the_model(exported: Path) -> None:
    assert exported.stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize("layer", ["RandomFlip", "RandomTranslation", "RandomBrightness", "always"])
def test_model_that_answers_at_random_is_refused(tmp_path: Path, layer: str) -> None:
    layers: dict[str, keras.layers.Layer] = {
        "RandomFlip": keras.layers.RandomFlip("horizontal", seed=1),
        "RandomTranslation": keras.layers.RandomTranslation(0.1, 0.1, seed=1),
        "RandomBrightness": keras.layers.RandomBrightness(0.1, value_range=(0, 1), seed=1),
    }
    if layer == "always":
        images = keras.Input((SIZE, SIZE, 3))
        dropped = keras.layers.Dropout(0.5, seed=1)(images, training=True)
        model = keras.Model(images, classifier()(dropped))
    else:
        model = classifier(layers[layer])
    with pytest.raises(ExportError, match="must answer the same when called twice"):
        write(tmp_path, model)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([classifier(), keras.layers.Rescaling(3.0)])
    with pytest.raises(ExportError, match=r"probabilities that sum to 1, got .*softmax"):
        write(tmp_path, model)


def test_other_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"one probability per label, .* got \(None, 4\)"):
        write(tmp_path, classifier(classes=4))


def test_other_input_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"\(None, 9, 9, 3\), got \(None, 8, 8, 3\)"):
        export_classifier(
            classifier(),
            labels=LABELS,
            image_size=9,
            reading=PictureReading("pad"),
            directory=tmp_path,
        )


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "a"], ["a", "b", ""], ["a", "b", "c\nd"]])
def test_unusable_labels_are_refused(tmp_path: Path, labels: list[str]) -> None:
    with pytest.raises(ExportError, match=r"labels must (each )?be"):
        export_classifier(
            classifier(),
            labels=labels,
            image_size=SIZE,
            reading=PictureReading("pad"),
            directory=tmp_path,
        )
