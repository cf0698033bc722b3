"""What all tests share: the environment, set before any test imports TensorFlow, and photos."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# Without a GPU every machine computes the same.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

COLOURS = {"amber": (200, 150, 90), "blue": (110, 110, 200), "green": (110, 190, 110)}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fourteen noisy pictures of each colour, one sub-folder per colour."""
    folder = tmp_path_factory.mktemp("shared") / "photos"
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(14):
            shade = np.array(colour) + rng.normal(0, 30, 3)
            pixels = shade + rng.normal(0, 40, (36, 40, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def tiny_backbone() -> Iterator[None]:
    """Let Keras and the table of backbones know "Tiny" and "Tiny2", of three convolutions each."""
    import keras

    from tl_keras.backbone_table import BACKBONES, BackboneSpec

    def network(
        include_top: bool, weights: None, input_shape: tuple[int, int, int], alpha: float = 1.0
    ) -> Any:
        images = outputs = keras.Input(input_shape)
        for block in ("stem", "block1", "top"):
            convolution = keras.layers.Conv2D(int(6 * alpha), 3, strides=2, name=f"{block}_conv")
            outputs = convolution(outputs)
            outputs = keras.layers.BatchNormalization(name=f"{block}_bn")(outputs)
            outputs = keras.layers.ReLU(name=f"{block}_relu")(outputs)
        return keras.Model(images, outputs)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("Tiny", "Tiny2"):
            spec = BackboneSpec(
                name=name,
                scaling="tf",
                minimum_image_size=32,
                imagenet_size=32,
                gflops=1e-3,
                blocks=("stem", "block1", "top"),
                block_rules=((r"(stem|block1|top)_", r"\1"),),
                alphas=(0.5, 1.0),
            )
            patch.setitem(BACKBONES, name, spec)
            patch.setattr(keras.applications, name, network, raising=False)
        yield
