"""The network of a KerasHub preset, in layers of Keras's own, from a download or a folder."""

import difflib
from collections.abc import Collection
from typing import Any

import keras
import keras_hub
import numpy as np

from tl_keras.backbone_table import HUB, MeanAndStd, Scaling, preset_label
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import ConfigError, WeightsError
from tl_keras.invocation import settings as given
from tl_keras.models.hub.own_layers import in_own_layers
from tl_keras.models.hub.preset_places import is_folder, preset_of
from tl_keras.models.hub.transformer_maps import as_maps, is_transformer
from tl_keras.models.networks import scaling_layer
from tl_keras.models.own_network.open_network import is_graph
from tl_keras.safe_text import brief

# Pixels, of most presets that take images of any size.
_USUAL_SIZE = 224


def preset_network(settings: BackboneConfig) -> keras.Model:
    """From pixels to the last feature map of a preset; errors as of `as_file`."""
    name, image_size = settings.network, settings.side
    preset, scaling = preset_of(name), settings.known_scaling
    trained = settings.weights is not None
    try:
        backbone = keras_hub.models.Backbone.from_preset(preset, load_weights=trained)
    except Exception as error:
        # of what lies between here and the preset, each library raises its own
        raise _unavailable(name, preset, error, keras_hub.models.Backbone.presets) from error
    _check_kind(name, backbone)
    before = scaling_layer(_preset_scaling(name, preset)) if scaling is None else None
    try:
        if is_transformer(backbone):
            backbone = as_maps(backbone, image_size)
        return in_own_layers(backbone, image_size, before)
    except WeightsError as error:
        raise WeightsError(f"The preset {name}: {error}") from error
    except (ValueError, TypeError) as error:
        raise WeightsError(
            f"The preset {name} does not take images of {image_size} pixels "
            f"({brief(str(error))}). Set backbone.image_size to "
            f"{backbone.inputs[0].shape[1] or _USUAL_SIZE}."
        ) from error


def _check_kind(name: str, backbone: Any) -> None:
    if not is_graph(backbone) or not _takes_images(backbone):
        raise WeightsError(
            f"The preset {name} must take colour images (batch, height, width, 3) and give one "
            f"tensor; got a {type(backbone).__name__}. Choose a preset of an image "
            f"classifier, such as {HUB}resnet_18_imagenet."
        )


def _takes_images(backbone: Any) -> bool:
    shape = backbone.inputs[0].shape
    return len(shape) == 4 and shape[-1] == 3 and shape[1] == shape[2]


def _preset_scaling(name: str, preset: str) -> Scaling:
    """How the image converter of a preset scales pixels."""
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except Exception as error:
        raise ConfigError(
            f"backbone.scaling must be given for {name}: the preset has no image converter that "
            'says how it wants pixels scaled. Set it to "tf" (-1 to 1), "torch", "caffe", "none" '
            '(0 to 255), or such as {"mean": 127, "std": 128}.'
        ) from error
    scale, offset = (
        np.broadcast_to(default if given is None else given, 3).astype(float)
        for given, default in ((converter.scale, 1.0), (converter.offset, 0.0))
    )
    if np.all(scale == 1) and not offset.any():
        return "none"
    return MeanAndStd(_colours(-offset / scale), _colours(1 / scale))


def _colours(values: np.ndarray) -> tuple[float, float, float]:
    # no more digits than people give: a mean of 127.5, not of 127.49999999999999
    red, green, blue = (float(f"{value:.9g}") + 0.0 for value in values)
    return red, green, blue


def _unavailable(
    name: str, preset: str, failure: Exception, known: Collection[str]
) -> WeightsError:
    reason = " ".join(str(failure).split())[:300]
    if is_folder(preset):
        return WeightsError(
            f"The preset in {preset} cannot be read ({type(failure).__name__}: {reason}). Write it "
            "again with save_to_preset of KerasHub."
        )
    if "://" not in preset and preset not in known:
        near = difflib.get_close_matches(preset, known, n=3)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        return WeightsError(
            f"{name} must name a preset of this KerasHub, the folder of one, or one as "
            f"kaggle://... or hf://...; it has none called {preset}.{meant} "
            "https://keras.io/keras_hub/presets/ lists them."
        )
    return WeightsError(
        f"The preset {preset} is not on this machine and could not be downloaded "
        f"({type(failure).__name__}: {reason}). On a computer with a network and KerasHub run\n"
        f"  {_saving(preset)}\n"
        "and copy the folder that it writes to this machine. Then add, with the folder's path:\n"
        f"  {given({'backbone.name': f'{HUB}FOLDER'})}"
    )


def _saving(preset: str) -> str:
    """A command that writes a preset to a folder; its image converter is a part of its own."""
    parts = "(k.models.Backbone, k.layers.ImageConverter)"
    written = f"c.from_preset('{preset}').save_to_preset('{preset_label(preset)}') for c in {parts}"
    return f'python -c "import keras_hub as k; [{written}]"'
