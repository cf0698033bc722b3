"""A pretrained backbone by its name, its file or as a Keras model, for use from Python."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tl_keras.backbone_table import FILE, HUB, PRESET, NamedScaling
from tl_keras.config.reading import Kind, of_values
from tl_keras.config.schema import BackboneConfig
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.models.own_network.given_network import is_network, network_name, write_network
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.models.sources.source_models import load_configured

if TYPE_CHECKING:
    import keras

GivenScaling = NamedScaling | Mapping[str, Any] | None
_BACKBONE = Kind(BackboneConfig, "a network", '{"name": "MobileNetV2"}')


@needed_keras()
def load_backbone(
    name: "str | keras.Model" = "MobileNetV2",
    *,
    weights: "str | os.PathLike[str] | keras.Model | None" = "imagenet",
    image_size: int = 160,
    alpha: float | None = None,
    scaling: GivenScaling = None,
    trust_code: bool = False,
) -> Backbone:
    """A network without its classifier, as named blocks.

    `.block_names` lists them, `.cut_after(name)` is the part up to one of them, and `.model` the
    Keras model from scaled images to activations.

    Args:
        name: of a Keras Applications network, a key of `tl_keras.backbone_table.BACKBONES`, also
            with its width and weights (MobileNet-0.25=FILE); the path of a network of one's own, or
            "file" with its path as weights; "keras_hub:" and a preset of KerasHub or the folder of
            one; or a network itself, a functional Keras model.
        weights: "imagenet" (from Keras), "bundled" (ships with the package), a weights file, a
            checkpoint, a SavedModel, a source model's folder, the results folder of a finished
            experiment, or None for random ones; with "file" the file of the network, or the model;
            a preset brings its own.
        image_size: height and width of the input, pixels.
        alpha: width multiplier of the MobileNets; None is 1.0.
        scaling: what a network of one's own, or a preset, wants to see: "tf", "torch", "caffe",
            "none", or a mapping with mean and std, of pixels 0..255; None finds out.
        trust_code: whether Python code in the file of a network may be run.

    Raises:
        ConfigError: a name, size, scaling or multiplier that the network does not have.
        WeightsError: the weights cannot be had or do not fit.
    """
    loaded = load_given(
        name,
        weights=weights,
        image_size=image_size,
        alpha=alpha,
        scaling=scaling,
        trust_code=trust_code,
    )
    return loaded[0]


def load_given(
    name: Any,
    *,
    weights: Any,
    image_size: int,
    alpha: float | None,
    scaling: GivenScaling = None,
    trust_code: bool = False,
) -> tuple[Backbone, SourceCard | None]:
    """A backbone and the card of its source; arguments and errors are those of `load_backbone`."""
    network = name if is_network(name) else weights
    with TemporaryDirectory() as folder:
        if is_network(network):
            path = write_network(network, Path(folder) / network_name(network))
            # its code, if it has any, is the caller's own
            name, weights, trust_code = FILE, path, True
        elif str(name).startswith(HUB) and weights == "imagenet":
            weights = PRESET
        section = {
            "name": name,
            "alpha": alpha,
            "weights": weights,
            "scaling": scaling,
            "trust_code": trust_code,
        }
        settings = of_values(_BACKBONE, section, "backbone")
        # of any size that the network takes, not of those alone that an experiment offers
        sized = settings.model_copy(update={"image_size": int(image_size)})
        return load_configured(sized, folder)
