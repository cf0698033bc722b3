"""Grad-CAM against maps worked out by hand, on tasks with a known place, and on every backbone."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.kinds_of_networks import NETWORKS
from tests.tiny_spec import tiny_spec
from tl_keras.backbone_table import BACKBONES
from tl_keras.models import grad_cam
from tl_keras.models.backbone import Backbone
from tl_keras.models.grad_cam import GradCam, take_apart
from tl_keras.models.heads import build_head
from tl_keras.models.map_check import randomisation_check
from tl_keras.models.networks import build_backbone
from tl_keras.models.pooling import VIEWS, Pooling
from tl_keras.transfer.probes import probe_classifier

SHARED = Path(__file__).parents[2].parent / "shared"
SPEC = tiny_spec(16)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 16, 16, 3), np.uint8)
CLASSES = np.array([0, 1, 2, 0, 1])


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """Blocks of 16, 8 and 4 pixels; the first one has a squeeze-and-excite branch."""
    monkeypatch.setitem(BACKBONES, "Tiny", SPEC)
    keras.utils.set_random_seed(3)
    layers = keras.layers
    images = keras.Input((16, 16, 3))
    outputs = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem_conv")(images)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="stem_pool")(outputs)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="stem_gate")(gate)
    outputs = layers.Multiply(name="stem_scale")([outputs, gate])
    outputs = layers.Conv2D(6, 3, 2, padding="same", name="block1_conv")(outputs)
    outputs = layers.BatchNormalization(name="block1_bn")(outputs)
    outputs = layers.Dropout(0.5, name="block1_drop")(outputs)
    outputs = layers.Conv2D(5, 3, 2, padding="same", activation="relu", name="top_conv")(outputs)
    return Backbone.wrap("Tiny", None, keras.Model(images, outputs))


def random_head(channels: int, hidden_units: tuple[int, ...] = ()) -> keras.Model:
    head = build_head(channels, 3, hidden_units=hidden_units, dropout=0.5)
    rng = np.random.default_rng(1)
    head.set_weights([rng.normal(size=weights.shape) for weights in head.get_weights()])
    return head


def probe(backbone: Backbone, *blocks: str) -> keras.Model:
    channels = sum(b.output.shape[-1] for b in backbone.blocks if b.name in blocks)
    kernel = np.random.default_rng(1).normal(size=(channels, 3)).astype(np.float32)
    return probe_classifier(backbone, blocks, 3, [kernel, np.zeros(3)])


def scores(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The logits of the classes less the mean of all."""
    head = keras.Model(model.input, model.layers[-1].input)
    found = np.asarray(head(images.astype("float32")))
    return np.asarray(found[np.arange(len(images)), classes] - found.mean(axis=1))


def placed(model: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The evidence that lies at places, before what lies at none is spread."""
    parts = take_apart(model)
    maps = keras.tree.flatten(parts.maps(images.astype("float32"), training=False))
    return np.asarray(parts.placed(maps, classes)[0])


def scaled_up(maps: np.ndarray, size: int) -> np.ndarray:
    """Bilinear, by another library."""
    return np.stack(
        [np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR))
         for one in maps]
    )  # fmt: skip


def grey_levels(kernel: list[list[float]], bias: tuple[float, float] = (0, 0)) -> keras.Model:
    """Red and green, 0..1, are two channels that a linear head reads, at the image's own size."""
    images = keras.Input((2, 2, 3))
    pick = keras.layers.Conv2D(2, 1, name="pick")
    maps = pick(keras.layers.Rescaling(1 / 255)(images))
    dense = keras.layers.Dense(2)
    outputs = dense(keras.layers.GlobalAveragePooling2D()(maps))
    pick.set_weights([np.array([[[[1, 0], [0, 1], [0, 0]]]]), np.zeros(2)])
    dense.set_weights([np.array(kernel), np.array(bias)])
    return keras.Model(images, keras.layers.Softmax()(outputs))


def test_a_map_worked_out_by_hand() -> None:
    # class 0 wants twice the red less the green, class 1 nothing, so that the score is half of
    # 0.4 - 0, 0.8 - 1 (cut off), 2 - 0.4, 0
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[0, ..., 0] = [[51, 102], [255, 0]]
    image[0, ..., 1] = [[0, 255], [102, 0]]
    maps = GradCam(grey_levels([[2, 0], [-1, 0]])).maps(image, np.array([0]))
    np.testing.assert_allclose(maps[0], np.array([[0.25, 0], [1, 0]]), atol=1e-6)
    assert maps.dtype == np.float32


def test_a_bias_lies_everywhere() -> None:
    # the halves above, and half of what the biases differ by
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[0, ..., 0] = [[51, 102], [255, 0]]
    image[0, ..., 1] = [[0, 255], [102, 0]]
    model, classes = grey_levels([[2, 0], [-1, 0]], bias=(3, 1)), np.array([0, 1])
    evidence = GradCam(model).evidence(np.repeat(image, 2, axis=0), classes)
    expected = np.array([[0.2, -0.1], [0.8, 0]]) + 1
    np.testing.assert_allclose(evidence, [expected, -expected], atol=1e-6)


def test_nothing_speaks_for_the_class() -> None:
    image = np.full((1, 2, 2, 3), 100, np.uint8)
    maps = GradCam(grey_levels([[-1, 0], [-1, 0]])).maps(image, np.array([0]))
    np.testing.assert_array_equal(maps, np.zeros((1, 2, 2)))


@pytest.mark.parametrize("cut", ["stem", "block1", "top"])
def test_linear_head_on_a_cut_gives_the_map_of_zhou(backbone: Backbone, cut: str) -> None:
    part = backbone.cut_after(cut)
    head = random_head(part.channels)
    activations = np.asarray(part.model(IMAGES / 127.5 - 1, training=False))
    kernel, bias = (
        weights - weights.mean(axis=-1, keepdims=True) for weights in head.get_weights()
    )
    weighted = np.einsum("nhwc,nc->nhw", activations, kernel.T[CLASSES])
    expected = scaled_up(weighted, 16) + bias[CLASSES, np.newaxis, np.newaxis]
    evidence = GradCam(part.inference_model(head)).evidence(IMAGES, CLASSES)
    np.testing.assert_allclose(evidence, expected, rtol=1e-4, atol=1e-5)


def test_hidden_layers_weigh_channels_by_the_slope_of_the_logit(backbone: Backbone) -> None:
    head = random_head(5, hidden_units=(7,))
    activations = np.asarray(backbone.model(IMAGES / 127.5 - 1, training=False))
    first, first_bias, second, _ = head.get_weights()
    active = activations.mean(axis=(1, 2)) @ first + first_bias > 0
    slopes = (active * (second.T[CLASSES] - second.mean(axis=1))) @ first.T
    expected = scaled_up(np.einsum("nhwc,nc->nhw", activations, slopes), 16)
    model = backbone.inference_model(head)
    np.testing.assert_allclose(placed(model, IMAGES, CLASSES), expected, rtol=1e-4, atol=1e-5)
    # what no place has is everywhere
    rest = GradCam(model).evidence(IMAGES, CLASSES) - expected
    missing = scores(model, IMAGES, CLASSES) - expected.mean(axis=(1, 2))
    np.testing.assert_allclose(rest, missing[:, None, None] + 0 * rest, rtol=1e-3, atol=1e-4)


def test_a_sure_answer_has_a_map_as_well(backbone: Backbone) -> None:
    head = random_head(5)
    unsure = GradCam(backbone.inference_model(head)).maps(IMAGES, CLASSES)
    head.set_weights([1000 * weights for weights in head.get_weights()])
    sure = GradCam(backbone.inference_model(head)).maps(IMAGES, CLASSES)
    np.testing.assert_allclose(sure, unsure, atol=1e-5)


def test_evidence_of_several_blocks_adds_up_to_the_scores(backbone: Backbone) -> None:
    model = probe(backbone, "stem", "block1", "top")
    for number in range(3):
        classes = np.full(5, number)
        found = placed(model, IMAGES, classes).mean(axis=(1, 2))
        np.testing.assert_allclose(found, scores(model, IMAGES, classes), rtol=1e-3, atol=1e-5)


def test_evidence_of_several_blocks_is_the_sum_of_theirs(backbone: Backbone) -> None:
    model = probe(backbone, "stem", "top")
    kernel = model.layers[-2].model.get_weights()[0]
    zeros = np.zeros(3)
    parts = [
        probe_classifier(backbone, ["stem"], 3, [kernel[:4], zeros]),
        probe_classifier(backbone, ["top"], 3, [kernel[4:], zeros]),
    ]
    expected = sum(GradCam(part).evidence(IMAGES, CLASSES) for part in parts)
    evidence = GradCam(model).evidence(IMAGES, CLASSES)
    np.testing.assert_allclose(evidence, expected, rtol=1e-4, atol=1e-5)


def test_the_peak_lies_on_the_patch_that_makes_the_class(backbone: Backbone) -> None:
    """A class without the patch could be told by what is absent, so only the other is asked."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 100, (60, 16, 16, 3), np.uint8)
    corners = rng.integers(0, 12, (30, 2))
    for image, (top, left) in zip(images, corners, strict=False):
        image[top : top + 4, left : left + 4] = 250
    labels = np.repeat([1, 0], 30)
    head = build_head(5, 2, hidden_units=(), dropout=0.0)
    train_all(backbone, head, images, labels)
    cam = GradCam(backbone.inference_model(head))
    maps = cam.maps(images[:30], labels[:30])
    peaks = np.stack(np.unravel_index(maps.reshape(30, -1).argmax(axis=1), (16, 16)), axis=1)
    distances = np.abs(peaks - (corners + 1.5)).max(axis=1)
    # the patch reaches 2 pixels from its middle, and a cell of the last maps is 4 pixels wide
    assert (np.median(distances) <= 2.5, distances.max() <= 6) == (True, True)
    assert abs(randomisation_check(cam, images[:30], labels[:30], repeats=10).mean()) < 0.4


def train_all(
    backbone: Backbone, head: keras.Model, images: np.ndarray, labels: np.ndarray
) -> None:
    backbone.model.trainable = True
    classifier = backbone.augmented("all", head, "none")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(0.01), loss)
    classifier.fit(images.astype("float32"), labels, batch_size=20, epochs=40, verbose=0)
    assert np.array_equal(classifier.predict(images, verbose=0).argmax(axis=1), labels)


def test_one_by_one_in_batches_and_again(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam = GradCam(probe(backbone, "block1", "top"))
    whole = cam.maps(IMAGES, CLASSES)
    np.testing.assert_array_equal(cam.maps(IMAGES, CLASSES), whole)
    monkeypatch.setattr(grad_cam, "BATCH", 2)
    np.testing.assert_allclose(cam.maps(IMAGES, CLASSES), whole, atol=1e-5)
    single = [cam.maps(IMAGES[n : n + 1], CLASSES[n : n + 1])[0] for n in range(5)]
    np.testing.assert_allclose(single, whole, atol=1e-5)


def test_no_more_than_a_batch_is_computed_at_once(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam, sizes = GradCam(probe(backbone, "top")), []
    compiled = cam._compiled

    def watched(weights: object, images: np.ndarray, classes: object) -> object:
        sizes.append(len(images))
        return compiled(weights, images, classes)

    monkeypatch.setattr(cam, "_compiled", watched)
    cam.maps(np.repeat(IMAGES, 7, axis=0), np.repeat(CLASSES, 7))
    assert sizes == [16, 16, 3]


def test_no_images(backbone: Backbone) -> None:
    maps = GradCam(probe(backbone, "top")).maps(IMAGES[:0], CLASSES[:0])
    assert maps.shape == (0, 16, 16)


def test_the_classifier_stays_as_it_is(backbone: Backbone) -> None:
    model = probe(backbone, "stem", "top")
    weights, before = model.get_weights(), scores(model, IMAGES, CLASSES)
    blocks = [(block.name, id(block.output)) for block in backbone.blocks]
    randomisation_check(GradCam(model), IMAGES, CLASSES, repeats=1)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(scores(model, IMAGES, CLASSES), before)
    again = Backbone.wrap("Tiny", None, backbone.model)
    assert [(block.name, id(block.output)) for block in again.blocks] == blocks


def test_maps_follow_the_weights(backbone: Backbone) -> None:
    head = random_head(5)
    cam = GradCam(backbone.inference_model(head))
    before = cam.evidence(IMAGES, CLASSES)
    head.set_weights([2 * weights for weights in head.get_weights()])
    np.testing.assert_allclose(cam.evidence(IMAGES, CLASSES), 2 * before, rtol=1e-4, atol=1e-5)


def test_shuffled_kernels_hold_the_same_values_elsewhere(backbone: Backbone) -> None:
    cam = GradCam(backbone.inference_model(random_head(5)))
    own = [np.asarray(value) for value in cam._values()]
    shuffled = cam.shuffled_weights(0)
    for before, after in zip(own, shuffled, strict=True):
        np.testing.assert_array_equal(np.sort(before.ravel()), np.sort(after.ravel()))
        assert np.array_equal(before, after) == (before.ndim == 1)
    for first, again in zip(shuffled, cam.shuffled_weights(0), strict=True):
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(shuffled[0], cam.shuffled_weights(1)[0])


def test_check_is_one_where_the_weights_are_the_same(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam = GradCam(probe(backbone, "block1", "top"))
    own = [np.asarray(value) for value in cam._values()]
    monkeypatch.setattr(cam, "shuffled_weights", lambda _: own)
    check = randomisation_check(cam, IMAGES, CLASSES, repeats=2)
    np.testing.assert_allclose(check, np.ones((2, 5)), atol=1e-12)


@pytest.mark.parametrize(
    ("classes", "message"),
    [([0, 1], "one class for each of 5 images; got 2"), ([0, 1, 2, 3, 0], "0 to 2; got 0 to 3")],
)
def test_classes_that_do_not_fit(backbone: Backbone, classes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradCam(probe(backbone, "top")).maps(IMAGES, np.array(classes))


def test_classifier_without_softmax(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="must end in a Softmax layer; it ends in Functional"):
        GradCam(backbone.augmented("all", random_head(5), "none"))


def test_classifier_that_reads_more_than_averages() -> None:
    images = keras.Input((4, 4, 3))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    with pytest.raises(ValueError, match="averages of feature maps alone"):
        GradCam(keras.Model(images, keras.layers.Softmax()(outputs)))


@pytest.mark.parametrize(
    "name",
    [name if name == "MobileNet" else pytest.param(name, marks=pytest.mark.slow)
     for name in NETWORKS],
)  # fmt: skip
def test_every_kind_of_backbone(name: str) -> None:
    """The evidence on its first block and its output adds up to the scores."""
    spec = BACKBONES[name]
    alpha = spec.alphas[0] if spec.alphas else None
    size = spec.minimum_image_size
    backbone = Backbone.wrap(name, alpha, build_backbone(name, image_size=size, alpha=alpha))
    classifier = probe(backbone, spec.blocks[0], spec.blocks[-1])
    images = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), np.uint8)
    classes = np.array([1, 2])
    evidence = placed(classifier, images, classes)
    expected = scores(classifier, images, classes)
    # maps whose size does not divide the image's change their mean a little
    atol = 0.02 * np.abs(evidence).max()
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)), expected, rtol=1e-3, atol=atol)


@pytest.mark.parametrize(
    "pooling", [Pooling(kind, views) for kind in ("mean", "mean_std") for views in VIEWS]
)
def test_evidence_of_other_poolings_sums_to_the_score(backbone: Backbone, pooling: Pooling) -> None:
    blocks = ("stem", "block1", "top")
    channels = sum(pooling.width(b.output.shape[-1]) for b in backbone.blocks)
    kernel = np.random.default_rng(1).normal(size=(channels, 3)).astype(np.float32)
    model = probe_classifier(backbone, blocks, 3, [kernel, np.zeros(3)], pooling)
    evidence, wanted = placed(model, IMAGES, CLASSES), scores(model, IMAGES, CLASSES)
    # a share of 1e-4 of the mean squares is in the deviation and in no pixel
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)), wanted, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("views", ["flip", "turns"])
def test_evidence_of_views_lies_where_the_image_has_it(backbone: Backbone, views: str) -> None:
    pooling = Pooling("mean_std", views)
    channels = pooling.width(backbone.channels)
    kernel = np.random.default_rng(1).normal(size=(channels, 3)).astype(np.float32)
    cam = GradCam(probe_classifier(backbone, ("top",), 3, [kernel, np.zeros(3)], pooling))
    evidence = cam.evidence(IMAGES, CLASSES)
    for view in VIEWS[views]:
        turned = cam.evidence(np.asarray(view.of(IMAGES)), CLASSES)[..., np.newaxis]
        found = np.asarray(view.back(turned))[..., 0]
        np.testing.assert_allclose(found, evidence, atol=1e-3 * np.abs(evidence).max())
