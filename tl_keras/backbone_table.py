"""The backbones that an experiment may name, as pure data: no TensorFlow is imported here.

The block names are what a user writes and reads; `tl_keras.models.blocks` finds the same blocks in
the graph of a built backbone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BlockRules = tuple[tuple[str, str], ...]

# What stands for a network of one's own, in place of a name of the table.
FILE = "file"
# What the name of a preset of KerasHub, or the folder of one, stands behind.
HUB = "keras_hub:"
# The weights that a preset brings.
PRESET = "preset"
NamedScaling = Literal["tf", "caffe", "torch", "none"]


@dataclass(frozen=True)
class MeanAndStd:
    """A scaling without a name of its own: (pixel - mean) / std, of RGB pixels 0..255.

    Attributes:
        mean: Of red, green and blue.
        std: Likewise.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __str__(self) -> str:
        return f"(pixel - {_brief(self.mean)}) / {_brief(self.std)}"


def as_setting(scaling: "Scaling") -> str:
    """A scaling as the key `backbone.scaling` takes it, in JSON."""
    if isinstance(scaling, MeanAndStd):
        return f'{{"mean": {_brief(scaling.mean)}, "std": {_brief(scaling.std)}}}'
    return f'"{scaling}"'


def scaling_in_words(scaling: "Scaling") -> str:
    """What a scaling does with pixels, 0..255, for people.

    >>> scaling_in_words("tf")
    'scaled to -1 to 1'
    """
    if isinstance(scaling, MeanAndStd):
        to_one = scaling == MeanAndStd((0.0,) * 3, (255.0,) * 3)
        return "scaled to 0 to 1" if to_one else f"scaled to {scaling}"
    return {
        "tf": "scaled to -1 to 1",
        "torch": "less ImageNet's mean, by its standard deviation",
        "caffe": "less ImageNet's mean, blue first",
        "none": "left at 0 to 255",
    }[scaling]


Scaling = NamedScaling | MeanAndStd


@dataclass(frozen=True)
class BackboneSpec:
    """One row of the table.

    Attributes:
        name: The function's name in `keras.applications`, or that of a network's file or preset.
        scaling: What the backbone wants to see: "tf" is [-1, 1], "caffe" BGR less the ImageNet
            mean, "torch" ImageNet mean and standard deviation, "none" 0..255 (scaled inside).
            A network from a file or preset may have a mean and a standard deviation of its own.
        minimum_image_size: Smallest input side that the network accepts, pixels.
        imagenet_size: Input side that the ImageNet weights were trained at, pixels.
        gflops: Multiply-adds of one 224 px image in 1e9 (without the head), for time estimates.
        blocks: Names from the input to the output.
        block_rules: Pairs (regular expression, name): a layer whose name matches the expression at
            its start belongs to the block of that name; the first pair that matches counts. Only
            names that Keras gives explicitly stand here, never counted ones like `add_13`.
        alphas: Allowed width multipliers; empty where the backbone has none.
        file_digest: SHA-256 of the file or preset that a network was read from, in hexadecimal
            digits; empty for a row of the table.
    """

    name: str
    scaling: Scaling
    minimum_image_size: int
    imagenet_size: int
    gflops: float
    blocks: tuple[str, ...]
    block_rules: BlockRules
    alphas: tuple[float, ...] = ()
    file_digest: str = ""

    def block_of(self, layer_name: str) -> str | None:
        """The block that a layer belongs to by its name."""
        for pattern, name in self.block_rules:
            if match := re.match(pattern, layer_name):
                return match.expand(name)
        return None


def preset_label(name: str) -> str:
    """A preset of KerasHub for people and file names: its own name, or that of its folder.

    >>> preset_label("keras_hub:kaggle://keras/vit/keras/vit_base_patch16_224_imagenet/2")
    'vit_base_patch16_224_imagenet'
    """
    path = name.removeprefix(HUB).replace("\\", "/").rstrip("/")
    version = r"/\d+$" if path.startswith("kaggle://") else "$"
    return re.sub(version, "", path).rpartition("/")[2]


def _brief(values: tuple[float, float, float]) -> str:
    """Of three channels; one number where they are alike."""
    shown = [f"{value:g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"[{', '.join(shown)}]"


def _numbered(prefix: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{index}" for index in range(first, last + 1))


def _staged(template: str, first_stage: int, depths: tuple[int, ...], start: int) -> list[str]:
    """Names of `depths[i]` blocks in stage `first_stage + i`, counted from `start`."""
    return [
        template.format(stage=stage, block=block)
        for stage, depth in enumerate(depths, first_stage)
        for block in range(start, start + depth)
    ]


def _mobilenet_v3(name: str, gflops: float, last: int) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        scaling="none",
        minimum_image_size=32,
        imagenet_size=224,
        gflops=gflops,
        blocks=("stem", "expanded_conv", *_numbered("expanded_conv_", 1, last), "top"),
        block_rules=(
            (r"(expanded_conv(?:_\d+)?)_", r"\1"),
            (r"conv_1(_bn)?$", "top"),
            (r"conv(_bn)?$", "stem"),
        ),
        alphas=(0.75, 1.0),
    )


def _efficientnet(name: str, size: int, gflops: float, depths: tuple[int, ...]) -> BackboneSpec:
    names = (
        f"block{stage}{chr(ord('a') + block)}"
        for stage, depth in enumerate(depths, 1)
        for block in range(depth)
    )
    return BackboneSpec(
        name=name,
        scaling="none",
        minimum_image_size=32,
        imagenet_size=size,
        gflops=gflops,
        blocks=("stem", *names, "top"),
        block_rules=((r"(block\d+[a-z])_", r"\1"), (r"(stem|top)_", r"\1")),
    )


def _resnet50(name: str, scaling: Scaling, gflops: float) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        scaling=scaling,
        minimum_image_size=32,
        imagenet_size=224,
        gflops=gflops,
        blocks=("stem", *_staged("conv{stage}_block{block}", 2, (3, 4, 6, 3), 1)),
        block_rules=((r"(conv\d_block\d+)_", r"\1"), (r"(conv1|pool1)_", "stem")),
    )


_MOBILENET = BackboneSpec(
    name="MobileNet",
    scaling="tf",
    minimum_image_size=32,
    imagenet_size=224,
    gflops=0.57,
    blocks=("stem", *_numbered("block_", 1, 13)),
    block_rules=((r"conv_(?:pad|dw|pw)_(\d+)", r"block_\1"), (r"conv1", "stem")),
    alphas=(0.25, 0.5, 0.75, 1.0),
)
_MOBILENET_V2 = BackboneSpec(
    name="MobileNetV2",
    scaling="tf",
    minimum_image_size=32,
    imagenet_size=224,
    gflops=0.30,
    blocks=("stem", *_numbered("block_", 0, 16), "top"),
    block_rules=(
        (r"block_(\d+)_", r"block_\1"),
        (r"expanded_conv_", "block_0"),
        (r"Conv_1|out_relu", "top"),
        (r"Conv1|bn_Conv1", "stem"),
    ),
    alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
)
_DENSENET121 = BackboneSpec(
    name="DenseNet121",
    scaling="torch",
    minimum_image_size=32,
    imagenet_size=224,
    gflops=2.85,
    blocks=(
        "stem",
        "conv2_block",
        "pool2",
        "conv3_block",
        "pool3",
        "conv4_block",
        "pool4",
        "conv5_block",
    ),
    block_rules=(
        (r"(conv\d)_block\d+_", r"\1_block"),
        (r"(pool[234])_", r"\1"),
        (r"conv1_|pool1$", "stem"),
    ),
)
_XCEPTION = BackboneSpec(
    name="Xception",
    scaling="tf",
    minimum_image_size=71,
    imagenet_size=299,
    gflops=4.55,
    blocks=_numbered("block", 1, 14),
    block_rules=((r"(block\d+)_", r"\1"),),
)
_INCEPTION_V3 = BackboneSpec(
    name="InceptionV3",
    scaling="tf",
    minimum_image_size=75,
    imagenet_size=299,
    gflops=2.85,
    blocks=("stem", *_numbered("mixed", 0, 10)),
    # mixed9_0 and mixed9_1 are branches inside a block
    block_rules=((r"(mixed\d+)$", r"\1"),),
)
_VGG16 = BackboneSpec(
    name="VGG16",
    scaling="caffe",
    minimum_image_size=32,
    imagenet_size=224,
    gflops=15.3,
    blocks=_numbered("block", 1, 5),
    block_rules=((r"(block\d)_", r"\1"),),
)
_CONVNEXT_TINY = BackboneSpec(
    name="ConvNeXtTiny",
    scaling="none",
    minimum_image_size=32,
    imagenet_size=224,
    gflops=4.5,
    blocks=(
        "stem",
        *_numbered("stage_0_block_", 0, 2),
        "downsampling_0",
        *_numbered("stage_1_block_", 0, 2),
        "downsampling_1",
        *_numbered("stage_2_block_", 0, 8),
        "downsampling_2",
        *_numbered("stage_3_block_", 0, 2),
    ),
    block_rules=(
        (r"convnext_tiny_(stage_\d_block_\d+)_", r"\1"),
        (r"convnext_tiny_downsampling_block_(\d)", r"downsampling_\1"),
        (r"convnext_tiny_(?:prestem|stem)", "stem"),
    ),
)
_NASNET_MOBILE = BackboneSpec(
    name="NASNetMobile",
    scaling="tf",
    minimum_image_size=32,
    imagenet_size=224,
    gflops=0.56,
    # each cell reads the two before it, so no tensor separates one cell from the next
    blocks=("stem", "cells"),
    block_rules=((r"stem_", "stem"), (r"(?:normal|reduction)_", "cells")),
)

BACKBONES: dict[str, BackboneSpec] = {
    spec.name: spec
    for spec in (
        _MOBILENET,
        _MOBILENET_V2,
        _mobilenet_v3("MobileNetV3Small", 0.055, 10),
        _mobilenet_v3("MobileNetV3Large", 0.21, 14),
        _efficientnet("EfficientNetB0", 224, 0.39, (1, 2, 2, 3, 3, 4, 1)),
        _efficientnet("EfficientNetB1", 240, 0.57, (2, 3, 3, 4, 4, 5, 2)),
        _efficientnet("EfficientNetB2", 260, 0.66, (2, 3, 3, 4, 4, 5, 2)),
        _efficientnet("EfficientNetB3", 300, 0.96, (2, 3, 3, 5, 5, 6, 2)),
        _efficientnet("EfficientNetV2B0", 224, 0.72, (1, 2, 2, 3, 5, 8)),
        _efficientnet("EfficientNetV2B1", 240, 1.02, (2, 3, 3, 4, 6, 9)),
        _efficientnet("EfficientNetV2B2", 260, 1.17, (2, 3, 3, 4, 6, 10)),
        _resnet50("ResNet50", "caffe", 3.9),
        _resnet50("ResNet50V2", "tf", 3.5),
        _DENSENET121,
        _XCEPTION,
        _INCEPTION_V3,
        _VGG16,
        _CONVNEXT_TINY,
        _NASNET_MOBILE,
    )
}


def rows_named(layer_names: Iterable[str]) -> list[BackboneSpec]:
    """Rows of which each block has a layer of such a name."""
    names = set(layer_names)
    return [
        row
        for row in BACKBONES.values()
        if set(row.blocks) <= {row.block_of(name) for name in names}
    ]
