"""An export explains its answers as the trained network would."""

import io
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.hostile.pictures import photo, saved
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.errors import ExportError
from tl_keras.models.backbone import Backbone
from tl_keras.models.grad_cam import GradCam
from tl_keras.models.heads import build_head
from tl_keras.models.networks import build_backbone
from tl_keras.models.pooling import Pooling
from tl_keras.serving.exported_classifier import ExportedClassifier
from tl_keras.serving.fresh import classify_and_time
from tl_keras.serving.saved_model import export_classifier
from tl_keras.serving.verify import check_heat_maps
from tl_keras.transfer.familiar_network import familiar_classifier, features_of
from tl_keras.transfer.familiarity import fit_familiarity
from tl_keras.transfer.probes import probe_classifier

SIZE = 32
RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)
LABELS = ("good", "crack", "stain")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_evidence_worked_out_by_hand(colour_export: Path) -> None:
    """The logits are twice the means of the channels, 0..1; the score is less their mean."""
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[:2, :, 2], photo[3, 3, 0] = 255, 51
    classifier = ExportedClassifier(colour_export / "3")
    found = classifier.heat_maps([png(photo), b"nothing", png(photo[::-1])])
    expected = np.zeros((4, 4))
    expected[:2], expected[3, 3] = 2 - 2 / 3, -0.4 / 3
    assert classifier.explains
    assert found.answers.labels == ["blue", "", "blue"]
    assert found.decoded.tolist() == [True, False, True]
    np.testing.assert_allclose(found.evidence, [expected, 0 * expected, expected[::-1]], rtol=1e-6)
    np.testing.assert_array_equal(found.photos, [photo, 0 * photo, photo[::-1]])
    assert found.pictures.dtype == np.uint8
    assert found.pictures.shape == (3, 4, 4, 3)
    # red for, blue against, and gray where nothing speaks
    red, blue = (found.pictures[0, ..., channel].astype(int) for channel in (0, 2))
    assert (np.sign(red - blue) == np.sign(expected)).all()


def test_libraries_of_formats_say_nothing_of_damaged_files(
    colour_export: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    classifier = ExportedClassifier(colour_export / "3")
    noise = saved(photo(), "JPEG")[:-2] + b"\x01" * 99 + b"\xff\xd9"
    capfd.readouterr()
    assert classifier.classify([noise]).decoded.all()
    assert classifier.heat_maps([noise]).decoded.all()
    assert capfd.readouterr().err == ""


def test_the_check_of_an_export_covers_its_heat_maps(colour_export: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(np.full((4, 4, 3), (9, 90, 200), np.uint8)))
    found = classify_and_time(colour_export / "3", [file])
    assert found.map_scores is not None
    check_heat_maps(found.map_scores, found.answers.probabilities, [file])


def test_no_files(colour_export: Path) -> None:
    found = ExportedClassifier(colour_export / "3").heat_maps([])
    assert (found.pictures.shape, found.evidence.shape) == ((0, 4, 4, 3), (0, 4, 4))


@pytest.fixture
def backbone(tiny_backbone: None) -> Backbone:
    keras.utils.set_random_seed(3)
    return Backbone.wrap("Tiny", None, build_backbone("Tiny", image_size=SIZE))


def probe(backbone: Backbone, blocks: tuple[str, ...], pooling: Pooling) -> keras.Model:
    channels = sum(pooling.width(b.output.shape[-1]) for b in backbone.blocks if b.name in blocks)
    kernel = np.random.default_rng(1).normal(size=(channels, 3)).astype(np.float32)
    return probe_classifier(backbone, blocks, 3, [kernel, np.zeros(3)], pooling)


def headed(backbone: Backbone, units: tuple[int, ...], pooling: Pooling) -> keras.Model:
    width = pooling.width(backbone.channels)
    return backbone.inference_model(build_head(width, 3, hidden_units=units, dropout=0.5), pooling)


def strange(backbone: Backbone, model: keras.Model) -> keras.Model:
    pixels = RNG.integers(0, 256, (24, SIZE, SIZE, 3), np.uint8)
    labels, groups = np.arange(24) % 3, np.arange(24)
    blocks = ("stem", "block1")
    features = features_of(backbone, blocks, pixels, np.arange(24))
    familiarity = fit_familiarity(features, labels, groups)
    assert familiarity is not None
    return familiar_classifier(model, backbone, familiarity)


# a classifier, and whether it knows strangers
MODELS: dict[str, tuple[Callable[[Backbone], keras.Model], bool]] = {
    "a block": (lambda backbone: probe(backbone, ("stem",), Pooling()), False),
    "several blocks, spread, views": (
        lambda backbone: probe(backbone, ("stem", "top"), Pooling("mean_std", "flip")),
        True,
    ),
    "a cut, a head": (lambda backbone: headed(backbone.cut_after("block1"), (), Pooling()), False),
    "hidden layers, spread": (
        lambda backbone: headed(backbone, (7, 5), Pooling("mean_std")),
        True,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_maps_are_those_of_the_trained_network(
    backbone: Backbone, tmp_path: Path, kind: str
) -> None:
    make, knows_strangers = MODELS[kind]
    model = make(backbone)
    served = strange(backbone, model) if knows_strangers else model
    version = export_classifier(
        served, labels=LABELS, image_size=SIZE, reading=DEFAULTS, directory=tmp_path
    )
    classifier, files = ExportedClassifier(version), [png(photo) for photo in PHOTOS]
    found, answers = classifier.heat_maps(files), classifier.classify(files)
    classes = np.array([LABELS.index(label) for label in answers.labels])
    expected = GradCam(model).evidence(PHOTOS, classes)
    np.testing.assert_allclose(
        found.evidence, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )
    np.testing.assert_array_equal(found.photos, PHOTOS)
    assert found.answers.labels == answers.labels
    np.testing.assert_allclose(found.answers.probabilities, answers.probabilities, atol=1e-6)
    assert classifier.knows_strangers == knows_strangers
    if knows_strangers:
        assert found.answers.familiar is not None and answers.familiar is not None
        np.testing.assert_allclose(found.answers.familiar, answers.familiar, atol=1e-5)
    # of the blocks of 15, 7 and 3 rows
    finest = {"a block": 15, "several blocks, spread, views": 15, "a cut, a head": 7}
    assert found.places.tolist() == [finest.get(kind, 3)] * len(PHOTOS)


def test_a_network_that_reads_more_than_averages_says_that_it_has_no_maps(tmp_path: Path) -> None:
    images = keras.Input((SIZE, SIZE, 3))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(images))
    version = export_classifier(
        keras.Model(images, outputs),
        labels=LABELS,
        image_size=SIZE,
        reading=DEFAULTS,
        directory=tmp_path,
    )
    classifier = ExportedClassifier(version)
    assert not classifier.explains
    with pytest.raises(ExportError, match="to draw heat maps"):
        classifier.heat_maps([png(PHOTOS[0])])
