"""A copied classifier answers as the original, needs Keras alone, and is nobody else's."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.kinds_of_networks import NETWORKS
from tests.tiny_spec import tiny_spec
from tl_keras.backbone_table import BACKBONES, Scaling
from tl_keras.models.backbone import Backbone
from tl_keras.models.heads import build_head
from tl_keras.models.networks import build_backbone
from tl_keras.models.plain_classifier import plain_classifier
from tl_keras.models.pooling import PLAIN, Pooling
from tl_keras.transfer.probes import probe_classifier

TINY = tiny_spec(8)
IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
LABELS = np.eye(3)[[0, 1, 2, 0, 1, 2]]


def with_random_weights(model: keras.Model) -> keras.Model:
    """No two weights alike, so that any that change places are noticed."""
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(0, 0.02, w.shape) for w in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def tiny(scaling: Scaling = "tf") -> Backbone:
    """With weights in a Normalization, as EfficientNet has them, BatchNorm and drop-connect."""
    layers = keras.layers
    images = keras.Input((8, 8, 3))
    outputs = layers.Normalization(name="stem_normalization")(images)
    outputs = layers.Conv2D(4, 3, strides=2, name="stem_conv")(outputs)
    shortcut = outputs = layers.BatchNormalization(name="stem_bn", momentum=0.5)(outputs)
    outputs = layers.Conv2D(4, 3, padding="same", activation="relu", name="block1_conv")(outputs)
    outputs = layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name="block1_drop")(outputs)
    outputs = layers.Add(name="block1_add")([shortcut, outputs * 0.5])
    outputs = layers.Conv2D(5, 1, name="top_conv")(outputs)
    outputs = layers.BatchNormalization(name="top_bn", momentum=0.5)(outputs)
    model = with_random_weights(keras.Model(images, outputs))
    wrapped = Backbone.wrap("Tiny", None, model)
    return replace(wrapped, spec=replace(TINY, scaling=scaling))


def classifier(
    backbone: Backbone, units: tuple[int, ...] = (), dropout: float = 0.0
) -> keras.Model:
    head = build_head(backbone.channels, 3, hidden_units=units, dropout=dropout)
    return backbone.inference_model(with_random_weights(head))


def probe(backbone: Backbone, *blocks: str, pooling: Pooling = PLAIN) -> keras.Model:
    channels = sum(b.output.shape[-1] for b in backbone.blocks if b.name in blocks)
    width = pooling.width(channels)
    kernel = np.random.default_rng(1).normal(size=(width, 3)).astype(np.float32)
    return probe_classifier(backbone, blocks, 3, [kernel, np.zeros(3)], pooling)


KINDS: dict[str, Callable[[], keras.Model]] = {
    "whole": lambda: classifier(tiny()),
    "hidden_units": lambda: classifier(tiny(), (7, 6), dropout=0.5),
    "cut": lambda: classifier(tiny().cut_after("block1")),
    "probe": lambda: probe(tiny(), "block1"),
    "probe_of_two_blocks": lambda: probe(tiny(), "stem", "top"),
    "probe_of_eight_views": lambda: probe(tiny(), "top", pooling=Pooling("mean_std", "turns")),
    "caffe": lambda: classifier(tiny("caffe")),
    "torch": lambda: classifier(tiny("torch")),
    "scaled_inside": lambda: classifier(tiny("none")),
}


@pytest.fixture(scope="module", autouse=True)
def patch() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "Tiny", TINY)
        yield patch


@pytest.fixture(scope="module")
def originals() -> dict[str, keras.Model]:
    return {name: make() for name, make in KINDS.items()}


@pytest.fixture(scope="module")
def copies(originals: dict[str, keras.Model]) -> dict[str, keras.Model]:
    return {name: plain_classifier(model) for name, model in originals.items()}


@pytest.fixture
def original() -> keras.Model:
    return KINDS["whole"]()


def answers(model: keras.Model, images: np.ndarray = IMAGES) -> np.ndarray:
    return np.asarray(model(images, training=False))


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_answers_as_the_original(
    originals: dict[str, keras.Model], copies: dict[str, keras.Model], kind: str
) -> None:
    probabilities = answers(copies[kind])
    np.testing.assert_array_equal(probabilities, answers(originals[kind]))
    # the answers to the six images do differ
    assert np.ptp(probabilities, axis=0).min() > 1e-6


def test_a_saved_copy_answers_the_same_where_there_is_only_keras(
    originals: dict[str, keras.Model], copies: dict[str, keras.Model], tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    for name, copied in copies.items():
        copied.save(tmp_path / f"{name}.keras")
    code = """
import sys
sys.modules["tl_keras"] = None
import keras, numpy, pathlib
folder = pathlib.Path(sys.argv[1])
images = numpy.load(folder / "images.npy")
for path in folder.glob("*.keras"):
    model = keras.models.load_model(path)
    numpy.save(path.with_suffix(".npy"), model.predict(images, verbose=0))
"""
    # Isolated: neither the working directory nor PYTHONPATH is looked into.
    subprocess.run([sys.executable, "-I", "-c", code, tmp_path], check=True, capture_output=True)
    for name, original in originals.items():
        fresh = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(fresh, answers(original), rtol=0, atol=1e-6, err_msg=name)


def test_a_copy_stays_when_the_original_changes(original: keras.Model) -> None:
    copied = plain_classifier(original)
    before = answers(copied)
    original.set_weights([weights + 0.1 for weights in original.get_weights()])
    np.testing.assert_array_equal(answers(copied), before)
    assert np.abs(answers(original) - before).max() > 1e-3


@pytest.mark.parametrize("reloaded", [False, True])
def test_training_a_copy_trains_its_head_alone(
    original: keras.Model, reloaded: bool, tmp_path: Path
) -> None:
    copied = plain_classifier(original)
    before, first = copied.get_layer("backbone").get_weights(), answers(original)
    if reloaded:
        copied.save(tmp_path / "copy.keras")
        copied = keras.models.load_model(tmp_path / "copy.keras")
    copied.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    loss = copied.fit(IMAGES, LABELS, epochs=5, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    for old, new in zip(before, copied.get_layer("backbone").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(answers(original), first)


def test_the_backbone_can_be_made_trainable(original: keras.Model) -> None:
    copied = plain_classifier(original)
    backbone = copied.get_layer("backbone")
    backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    before = backbone.get_layer("stem_conv").get_weights()[0]
    statistics = backbone.get_layer("stem_bn").get_weights()
    copied.compile("sgd", "categorical_crossentropy")
    copied.fit(IMAGES, LABELS, verbose=0)
    assert not np.array_equal(before, backbone.get_layer("stem_conv").get_weights()[0])
    for old, new in zip(statistics, backbone.get_layer("stem_bn").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_nothing_is_random_in_the_backbone_while_a_copy_trains(original: keras.Model) -> None:
    copied = plain_classifier(original)
    np.testing.assert_array_equal(copied(IMAGES, training=True), answers(original))


def test_dropout_of_the_head_stays(copies: dict[str, keras.Model]) -> None:
    copied = copies["hidden_units"]
    first, second = (np.asarray(copied(IMAGES, training=True)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_an_original_is_left_as_it_was(original: keras.Model) -> None:
    def state() -> list[tuple[str, bool]]:
        return [(weight.path, weight.trainable) for weight in original.weights]

    before = state()
    plain_classifier(original)
    assert state() == before


# Kinds of layers that the quick ones do not have: operations that are no layers, depthwise
# convolutions, weights in a Normalization.
QUICK = {"MobileNetV3Small"}


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS],
)
def test_every_kind_of_backbone_can_be_copied_and_saved(name: str, tmp_path: Path) -> None:
    size = BACKBONES[name].minimum_image_size
    backbone = Backbone.wrap(name, None, with_random_weights(build_backbone(name, image_size=size)))
    path = tmp_path / "model.keras"
    images = np.random.default_rng(2).uniform(0, 255, (2, size, size, 3)).astype("float32")
    model = classifier(backbone.cut_after(backbone.block_names[-2]), (4,), dropout=0.5)
    copied = plain_classifier(model)
    copied.save(path)
    with zipfile.ZipFile(path) as archive:
        assert "tl_keras" not in json.dumps(json.loads(archive.read("config.json")))
    expected = answers(model, images)
    assert 0 < expected.min() < expected.max() < 1
    np.testing.assert_array_equal(answers(copied, images), expected)
    # Keras 3.10 warns of its own doing where a loaded model is called directly.
    loaded = keras.models.load_model(path).predict(images, verbose=0)
    np.testing.assert_array_equal(loaded, model.predict(images, verbose=0))
