"""A fabricated backbone of four blocks, and images whose classes differ in colour."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest

from tests.tiny_spec import tiny_spec
from tl_keras.backbone_table import BACKBONES
from tl_keras.config.schema import HeadConfig, HeadPhaseConfig, TrainingConfig
from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.trainer import LabelledImages, Trainer

TINY = tiny_spec(8, ("stem", "block1", "block2", "top"))


def tiny_network(drop: float = 0.0) -> keras.Model:
    """Three convolutions, one of them residual, with BatchNorm; `drop` is its drop-connect."""
    layers = keras.layers
    images = keras.Input((8, 8, 3))
    outputs = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(
        images
    )
    shortcut = outputs = layers.BatchNormalization(name="stem_bn")(outputs)
    outputs = layers.Conv2D(4, 3, padding="same", activation="relu", name="block1_conv")(outputs)
    outputs = layers.BatchNormalization(name="block1_bn")(outputs)
    if drop:
        outputs = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name="block1_drop")(outputs)
    outputs = layers.Add(name="block1_add")([shortcut, outputs])
    outputs = layers.Conv2D(6, 3, strides=2, activation="relu", name="block2_conv")(outputs)
    outputs = layers.BatchNormalization(name="block2_bn", momentum=0.999)(outputs)
    outputs = layers.Conv2D(5, 1, activation="relu", name="top_conv")(outputs)
    return keras.Model(images, outputs)


def pretend_pretrained(model: keras.Model) -> keras.Model:
    """The model with random values in every weight, statistics of BatchNorm included."""
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(-0.6, 0.9, w.shape) ** 2 + 0.05 for w in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(rng.normal(0, 0.4, layer.kernel.shape))
    return model


@pytest.fixture(scope="module", autouse=True)
def tiny_family() -> Iterator[None]:
    """Let the table and the builder of random networks know the fabricated family."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "Tiny", TINY)
        patch.setattr(
            "tl_keras.models.backbone.build_backbone", lambda name, **size: tiny_network()
        )
        yield


@pytest.fixture(scope="module")
def make_backbone(tiny_family: None) -> Callable[..., Backbone]:
    """Equal backbones with "source" weights: `make_backbone(drop=0.0)`."""

    def make(drop: float = 0.0) -> Backbone:
        return Backbone.wrap("Tiny", None, pretend_pretrained(tiny_network(drop)))

    return make


@pytest.fixture(scope="module")
def images() -> LabelledImages:
    """30 images of three classes, 0 1 2 0 1 2 ...; the last six are no part of `draw`."""
    rng = np.random.default_rng(3)
    classes = np.tile(np.arange(3), 10)
    pixels = rng.integers(50, 150, (30, 8, 8, 3))
    pixels[np.arange(30), ..., classes] += 80
    return LabelledImages(pixels.astype(np.uint8), classes, 3)


@pytest.fixture(scope="module")
def draw() -> Draw:
    """14 training images, so that batches of 4 leave a smaller one, and 10 for validation."""
    return Draw(train=np.arange(14), validation=np.arange(14, 24))


@pytest.fixture(scope="module")
def make_trainer(
    make_backbone: Callable[..., Backbone], images: LabelledImages
) -> Callable[..., Trainer]:
    """`make_trainer(drop=0.0, dropout=0.0, phase_1=(epochs, rate), **TrainingConfig keys)`."""

    def make(
        drop: float = 0.0,
        dropout: float = 0.0,
        phase_1: tuple[int, float] = (2, 0.02),
        labelled: LabelledImages = images,
        **settings: object,
    ) -> Trainer:
        epochs, rate = phase_1
        training = TrainingConfig.model_validate(
            {
                "batch_size": 4,
                "phase_1": HeadPhaseConfig(epochs=epochs, learning_rate=rate, patience=epochs),
                **settings,
            }
        )
        return Trainer(make_backbone(drop), labelled, HeadConfig(dropout=dropout), training)

    return make
