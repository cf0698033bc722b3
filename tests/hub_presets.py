"""Small presets of KerasHub with random weights, saved as KerasHub saves its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.models.networks import IMAGENET_MEAN, IMAGENET_STDDEV

_IMAGENET: Mapping[str, Any] = {
    "scale": [1 / 255 / std for std in IMAGENET_STDDEV],
    "offset": [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STDDEV, strict=True)],
}


def _resnet(hub: Any) -> tuple[Any, Any]:
    network = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 8],
        stackwise_num_blocks=[1, 2],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        use_pre_activation=False,
    )
    return network, hub.layers.ResNetImageConverter(image_size=(224, 224), **_IMAGENET)


def _efficientnet(hub: Any) -> tuple[Any, Any]:
    """Its blocks are layers of KerasHub."""
    per_stage = ("width_coefficients", "depth_coefficients", "squeeze_and_excite_ratios")
    network = hub.models.EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[32, 16],
        stackwise_output_filters=[16, 24],
        stackwise_expansion_ratios=[1, 2],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "v1"],
        stackwise_force_input_filters=[0, 0],
        stackwise_nores_option=[False, False],
        **{f"stackwise_{name}": [1.0, 1.0] for name in per_stage},
    )
    return network, hub.layers.EfficientNetImageConverter(image_size=(224, 224), **_IMAGENET)


def _vit(hub: Any) -> tuple[Any, Any]:
    network = hub.models.ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=8,
        num_layers=3,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
    )
    converter = hub.layers.ViTImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0)
    return network, converter


def _dinov2(hub: Any) -> tuple[Any, Any]:
    """With registers, and with positions of more patches than it is built for."""
    network = hub.models.DINOV2Backbone(
        patch_size=8,
        num_layers=3,
        hidden_dim=8,
        num_heads=2,
        intermediate_dim=16,
        layer_scale_init_value=0.7,
        num_register_tokens=2,
        image_shape=(32, 32, 3),
        position_embedding_shape=(64, 64, 3),
    )
    for weight in network.weights:
        # as trained: registers begin as zeros, and scales alike
        weight.assign_add(np.random.default_rng(0).normal(0, 0.1, weight.shape))
    embedding = network.embeddings
    embedding.interpolated_position_embeddings.assign(
        embedding._interpolate_position_embeddings(
            embedding.position_embeddings, 8, (64, 64), (32, 32)
        )
    )
    return network, hub.layers.DINOV2ImageConverter(image_size=(32, 32), **_IMAGENET)


PRESETS: Mapping[str, Callable[[Any], tuple[Any, Any]]] = {
    "resnet": _resnet,
    "efficientnet": _efficientnet,
    "vit": _vit,
    "dinov2": _dinov2,
}


def write_preset(name: str, folder: Path) -> tuple[Any, Any]:
    """Save one of `PRESETS` into a folder of its name; the network and its converter.

    The test that asks is skipped where KerasHub is not installed.
    """
    import keras
    import pytest

    hub = pytest.importorskip("keras_hub")
    keras.utils.set_random_seed(0)
    network, converter = PRESETS[name](hub)
    for part in (network, converter):
        part.save_to_preset(str(folder / name))
    return network, converter
