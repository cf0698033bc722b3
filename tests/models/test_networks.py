"""Backbones of the table: what the table says, and the scaling of pixels."""

import subprocess
import sys
from importlib import import_module

import keras
import numpy as np
import pytest

from tl_keras.backbone_table import BACKBONES, BackboneSpec
from tl_keras.errors import ConfigError
from tl_keras.models.networks import build_backbone, scaling_layer

# where keras.applications keeps preprocess_input of a family
MODULES = {
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3",
    "MobileNetV3Large": "mobilenet_v3",
    "EfficientNetB0": "efficientnet",
    "EfficientNetB1": "efficientnet",
    "EfficientNetB2": "efficientnet",
    "EfficientNetB3": "efficientnet",
    "EfficientNetV2B0": "efficientnet_v2",
    "EfficientNetV2B1": "efficientnet_v2",
    "EfficientNetV2B2": "efficientnet_v2",
    "ResNet50": "resnet",
    "ResNet50V2": "resnet_v2",
    "DenseNet121": "densenet",
    "Xception": "xception",
    "InceptionV3": "inception_v3",
    "VGG16": "vgg16",
    "ConvNeXtTiny": "convnext",
    "NASNetMobile": "nasnet",
}
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 5, 5, 3)).astype("float32")


def test_table_needs_no_tensorflow() -> None:
    code = "import sys, tl_keras.backbone_table; print({'keras', 'tensorflow'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=BACKBONES)
def test_scaling_equals_preprocess_input(spec: BackboneSpec) -> None:
    module = import_module(f"keras.applications.{MODULES[spec.name]}")
    expected = module.preprocess_input(PIXELS.copy())
    np.testing.assert_allclose(scaling_layer(spec.scaling)(PIXELS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0"])
def test_scaling_survives_saving(name: str) -> None:
    layer = scaling_layer(BACKBONES[name].scaling)
    model = keras.Sequential([keras.Input((5, 5, 3)), layer])
    copy = keras.Sequential.from_config(model.get_config())
    np.testing.assert_array_equal(copy(PIXELS), model(PIXELS))


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0"])
def test_scaling_takes_bytes(name: str) -> None:
    layer = scaling_layer(BACKBONES[name].scaling)
    pixels = PIXELS.astype("uint8")
    np.testing.assert_array_equal(layer(pixels), layer(pixels.astype("float32")))


def test_scaling_leaves_the_images_as_they_were() -> None:
    pixels = PIXELS.copy()
    scaling_layer(BACKBONES["ResNet50"].scaling)(pixels)
    np.testing.assert_array_equal(pixels, PIXELS)


def test_alpha_changes_the_width() -> None:
    narrow = build_backbone("MobileNet", image_size=32, alpha=0.25)
    assert narrow.output_shape == (None, 1, 1, 256)


def test_same_name_builds_other_weights_each_time() -> None:
    first, second = (build_backbone("MobileNet", image_size=32, alpha=0.25) for _ in range(2))
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=BACKBONES)
def test_too_small_an_image_is_refused(spec: BackboneSpec) -> None:
    smallest = spec.minimum_image_size
    message = f"at least {smallest} for {spec.name}; got {smallest - 1}"
    with pytest.raises(ConfigError, match=message):
        build_backbone(spec.name, image_size=smallest - 1)


@pytest.mark.parametrize("spec", BACKBONES.values(), ids=BACKBONES)
def test_keras_agrees_on_the_smallest_image(spec: BackboneSpec) -> None:
    size = spec.minimum_image_size - 1
    with pytest.raises(ValueError, match="Input size must be at least"):
        getattr(keras.applications, spec.name)(
            include_top=False, weights=None, input_shape=(size, size, 3)
        )


def test_unknown_alpha_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"alpha of MobileNet must be 0\.25, .*; got 0\.3"):
        build_backbone("MobileNet", image_size=32, alpha=0.3)


def test_alpha_without_width_multiplier_is_refused() -> None:
    with pytest.raises(ConfigError, match="alpha of VGG16 must be left out"):
        build_backbone("VGG16", image_size=32, alpha=1.0)


def test_unknown_backbone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be one of MobileNet, .*; got 'ResNet51'"):
        build_backbone("ResNet51", image_size=32)
