"""A backbone and its head in pieces: they compose to the whole, and frozen means frozen."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.tiny_spec import tiny_spec
from tl_keras.backbone_table import BACKBONES
from tl_keras.models.backbone import Backbone, Depth, Frozen, seed_random_layers
from tl_keras.models.blocks import set_trainable
from tl_keras.models.heads import build_head
from tl_keras.models.networks import build_backbone

SPEC = tiny_spec(8)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("float32")
DEPTHS = pytest.mark.parametrize("depth", [0, 1, 2, 3, "all", "block1:block1", "stem:block1"])


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """Three blocks with BatchNorm, and drop-connect in the middle one."""
    monkeypatch.setitem(BACKBONES, "Tiny", SPEC)
    layers = keras.layers
    images = keras.Input((8, 8, 3))
    outputs = layers.Conv2D(4, 3, strides=2, name="stem_conv")(images)
    shortcut = outputs = layers.BatchNormalization(name="stem_bn", momentum=0.5)(outputs)
    outputs = layers.Conv2D(4, 3, padding="same", activation="relu", name="block1_conv")(outputs)
    outputs = layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name="block1_drop")(outputs)
    outputs = layers.Add(name="block1_add")([shortcut, outputs])
    outputs = layers.Conv2D(5, 1, name="top_conv")(outputs)
    outputs = layers.BatchNormalization(name="top_bn", momentum=0.5)(outputs)
    return Backbone.wrap("Tiny", None, keras.Model(images, outputs))


def random_head(dropout: float = 0.0) -> keras.Model:
    head = build_head(5, 3, hidden_units=(4,), dropout=dropout)
    rng = np.random.default_rng(1)
    head.set_weights([rng.normal(size=weights.shape) for weights in head.get_weights()])
    return head


def logits_by_hand(backbone: Backbone, head: keras.Model) -> np.ndarray:
    activations = np.asarray(backbone.model(PIXELS / 127.5 - 1, training=False))
    return np.asarray(head(activations.mean(axis=(1, 2)), training=False))


def states(model: keras.Model) -> list[tuple[int, ...]]:
    """Of every random layer of the model."""
    return [
        tuple(np.asarray(variable).tolist())
        for variable in model.variables
        if "seed_generator" in variable.path
    ]


def test_wrapping_freezes(backbone: Backbone) -> None:
    assert backbone.model.trainable_weights == []


def test_sizes_are_those_of_the_model(backbone: Backbone) -> None:
    assert (backbone.image_size, backbone.channels) == (8, 5)


def test_restoring_undoes_every_change(backbone: Backbone) -> None:
    before = [weights.copy() for weights in backbone.source_weights]
    backbone.model.set_weights([weights + 1 for weights in before])
    backbone.restore_source()
    for old, new in zip(before, backbone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@DEPTHS
def test_parts_compose_to_the_whole(backbone: Backbone, depth: Depth) -> None:
    head = random_head()
    frozen, trained = backbone.frozen_part(depth), backbone.trained_part(depth, head)
    inputs = PIXELS if frozen is None else frozen(PIXELS, training=False)
    np.testing.assert_allclose(
        trained(inputs, training=False), logits_by_hand(backbone, head), rtol=1e-4, atol=1e-5
    )


def test_with_nothing_unfrozen_the_frozen_part_gives_pooled_features(backbone: Backbone) -> None:
    frozen = backbone.frozen_part(0)
    assert frozen is not None
    assert frozen.output_shape == (None, 5)


@pytest.mark.parametrize("depth", [3, "all"])
def test_with_everything_unfrozen_there_is_no_frozen_part(backbone: Backbone, depth: Depth) -> None:
    assert backbone.frozen_part(depth) is None
    assert backbone.trained_part(depth, random_head()).input_shape == (None, 8, 8, 3)


@DEPTHS
@pytest.mark.parametrize("level", ["none", "strong"])
def test_augmented_classifier_is_the_plain_one_in_inference(
    backbone: Backbone, depth: Depth, level: str
) -> None:
    head = random_head()
    model = backbone.augmented(depth, head, level)
    np.testing.assert_allclose(
        model(PIXELS, training=False), logits_by_hand(backbone, head), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("level", "changes"), [("none", False), ("light", True), ("strong", True)])
def test_images_change_in_training_alone(backbone: Backbone, level: str, changes: bool) -> None:
    model = backbone.augmented(0, random_head(), level)
    first, second = (np.asarray(model(PIXELS, training=True)) for _ in range(2))
    assert np.array_equal(first, second) != changes


@pytest.mark.parametrize(("depth", "changes"), [(0, False), (1, False), (2, True)])
def test_stochastic_layers_rest_where_they_are_frozen(
    backbone: Backbone, depth: int, changes: bool
) -> None:
    set_trainable(backbone.model, backbone.blocks, depth)
    model = backbone.augmented(depth, random_head(), "none")
    seed_random_layers(model, 0)
    first, second = (np.asarray(model(PIXELS, training=True)) for _ in range(2))
    assert np.array_equal(first, second) != changes


def test_stochastic_layers_above_a_range_rest(backbone: Backbone) -> None:
    set_trainable(backbone.model, backbone.blocks, "stem:stem")
    model = backbone.augmented("stem:stem", random_head(), "none")
    first, second = (np.asarray(model(PIXELS, training=True)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_cut_has_the_source_weights_whatever_is_in_the_layers(backbone: Backbone) -> None:
    backbone.model.set_weights([weights + 1 for weights in backbone.source_weights])
    cut = backbone.cut_after("block1")
    assert (cut.block_names, cut.is_whole) == (("stem", "block1"), False)
    cut.restore_source()
    for weights, variable in zip(backbone.source_weights, backbone.model.weights, strict=True):
        own = variable.path.split("_")[0] in cut.block_names
        np.testing.assert_array_equal(variable.numpy(), weights + (not own))
    backbone.restore_source()


@pytest.mark.parametrize("depth", [0, 1, "all", "stem:block1"])
def test_statistics_stay_while_fit_trains(backbone: Backbone, depth: Depth) -> None:
    set_trainable(backbone.model, backbone.blocks, depth)
    model = backbone.augmented(depth, random_head(), "none")
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    before = {weight.path: weight.numpy() for weight in backbone.model.weights}
    model.fit(PIXELS, np.eye(3)[[0, 1, 2, 0, 1, 2]], verbose=0)
    after = {weight.path: weight.numpy() for weight in backbone.model.weights}
    for path in before:
        if "_bn/" in path:
            np.testing.assert_array_equal(before[path], after[path], err_msg=path)


def test_frozen_ignores_the_mode_of_the_model_around_it() -> None:
    inner = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
    inputs = keras.Input((50,))
    around = keras.Model(inputs, Frozen(inner)(inputs))
    np.testing.assert_array_equal(around(np.ones((1, 50)), training=True), np.ones((1, 50)))


def test_frozen_trains_nothing() -> None:
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert Frozen(inner).trainable_weights == []


def test_model_to_serve_gives_probabilities(backbone: Backbone) -> None:
    head = random_head()
    probabilities = np.asarray(backbone.inference_model(head)(PIXELS))
    exponentials = np.exp(logits_by_hand(backbone, head))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_model_to_serve_is_always_in_inference_mode(backbone: Backbone, training: bool) -> None:
    backbone.model.trainable = True
    model = backbone.inference_model(random_head(dropout=0.5))
    first, second = (np.asarray(model(PIXELS, training=training)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, model.predict(PIXELS, verbose=0), rtol=1e-5, atol=1e-6)


def test_seeds_reach_every_random_layer(backbone: Backbone) -> None:
    model = backbone.augmented(2, random_head(dropout=0.5), "strong")
    unseeded = states(model)
    seed_random_layers(model, 3)
    seeded = states(model)
    # six layers of "strong", the backbone's drop-connect, two dropouts of the head
    assert len(seeded) == 9
    assert not set(seeded) & set(unseeded)


def test_random_layers_have_streams_of_their_own(backbone: Backbone) -> None:
    model = backbone.augmented(2, random_head(dropout=0.5), "strong")
    seed_random_layers(model, 3)
    assert len(set(states(model))) == 9


def test_same_seed_gives_the_same_random_changes(backbone: Backbone) -> None:
    model = backbone.augmented("all", random_head(dropout=0.5), "light")
    outputs = []
    for seed in (3, 4, 3):
        seed_random_layers(model, seed)
        outputs.append(np.asarray(model(PIXELS, training=True)))
    np.testing.assert_array_equal(outputs[0], outputs[2])
    assert not np.allclose(outputs[0], outputs[1])


@pytest.mark.parametrize(
    ("name", "alpha", "size"),
    [
        ("MobileNet", 0.25, 32),
        pytest.param("EfficientNetB0", None, 32, marks=pytest.mark.slow),
    ],
)
def test_parts_of_a_real_backbone_compose_to_the_whole(
    name: str, alpha: float | None, size: int
) -> None:
    backbone = Backbone.wrap(name, alpha, build_backbone(name, image_size=size, alpha=alpha))
    head = build_head(backbone.channels, 4, hidden_units=(), dropout=0.0)
    head.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in head.get_weights()])
    images = np.random.default_rng(1).integers(0, 256, (2, size, size, 3)).astype("float32")
    whole = backbone.inference_model(head)(images)
    frozen, trained = backbone.frozen_part(2), backbone.trained_part(2, head)
    assert frozen is not None
    # In training mode EfficientNet's frozen drop-connect must rest, too.
    logits = trained(frozen(images, training=True), training=False)
    np.testing.assert_allclose(keras.ops.softmax(logits), whole, rtol=1e-4, atol=1e-5)


def test_frozen_can_be_saved(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.Dropout(0.5)])
    inputs = keras.Input((2,))
    around = keras.Model(inputs, Frozen(inner, name="inner")(inputs))
    around.save(tmp_path / "around.keras")
    loaded = keras.models.load_model(tmp_path / "around.keras")
    ones, frozen = np.ones((1, 2)), loaded.get_layer("inner")
    np.testing.assert_array_equal(frozen(ones, training=True), around(ones))
    assert frozen.trainable_weights == []


def test_blocks_below_the_first_changed_weight_are_as_loaded(backbone: Backbone) -> None:
    assert backbone.blocks_as_loaded() == ("stem", "block1", "top")
    part = backbone.cut_after("block1")
    assert part.blocks_as_loaded() == ("stem", "block1")
    for name, kept in (("top_bn", ("stem", "block1")), ("block1_conv", ("stem",))):
        weights = backbone.model.get_layer(name).weights
        weights[-1].assign(weights[-1] + 0.01)
        assert backbone.blocks_as_loaded() == kept
    assert part.blocks_as_loaded() == ("stem",)
    backbone.restore_source()
    assert backbone.blocks_as_loaded() == ("stem", "block1", "top")
