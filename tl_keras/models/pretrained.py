"""A pretrained backbone by its name, its file or as a Keras model, for use from Python."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tl_keras.backbone_table import FILE, HUB, PRESET, NamedScaling, Scaling
from tl_keras.config.network_entries import read_entry
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import ConfigError
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.models.hub.hub_presets import preset_card, preset_file
from tl_keras.models.own_network.given_network import is_network, network_name, write_network
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.models.sources.source_models import load_named

if TYPE_CHECKING:
    import keras

GivenScaling = NamedScaling | Mapping[str, Any] | None


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
    of_hub = isinstance(name, str) and name.startswith(HUB)
    if isinstance(name, str | os.PathLike) and not of_hub:
        entry = _entry(os.fspath(name))
        name, weights = entry["name"], entry.get("weights", weights)
        alpha = entry.get("alpha") or alpha
    others: dict[str, Any] = {"image_size": image_size, "alpha": alpha}
    network = name if is_network(name) else weights
    if is_network(network) or name == FILE or of_hub:
        others = {"image_size": image_size, "scaling": _checked(scaling)}
        if alpha is not None:
            raise ConfigError(f"alpha must be None for a network of your own; got {alpha}.")
        if of_hub and weights not in (None, "imagenet", PRESET):
            raise ConfigError(
                f'weights must be left out, or None for random ones, for {name}; got "{weights}".'
            )
    elif scaling is not None:
        raise ConfigError(
            f"scaling goes with a network of your own or a preset only; got {name} with "
            f'"{scaling}". Leave it out.'
        )
    if not is_network(network) and not of_hub:
        chosen = None if weights is None else os.fspath(weights)
        return load_named(name, weights=chosen, trust_code=trust_code, **others)
    with TemporaryDirectory() as folder:
        if of_hub:
            path = preset_file(name, Path(folder), **others, random=weights is None)
            backbone, _ = load_named(FILE, weights=str(path), **others)
            return backbone, preset_card(name, backbone.spec) if weights else None
        path = write_network(network, Path(folder) / network_name(network))
        # its code, if it has any, is the caller's own
        return load_named(FILE, weights=str(path), trust_code=True, **others)


def _entry(text: str) -> dict[str, Any]:
    """What a name stands for, as in a configuration."""
    try:
        return read_entry(text)
    except ValueError as error:
        raise ConfigError(f"backbone {error}.") from error


def _checked(scaling: GivenScaling) -> Scaling | None:
    section = {"name": FILE, "weights": "network.keras", "scaling": scaling}
    try:
        return BackboneConfig.model_validate(section).known_scaling
    except ValidationError as error:
        raise ConfigError(
            'scaling must be "tf", "torch", "caffe", "none", None, or a mapping with mean and '
            f"either std or scale, of pixels 0..255; got {scaling!r}."
        ) from error
