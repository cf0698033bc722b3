"""Source models: a backbone with the weights it starts from, and the card that says what it saw."""

from urllib.error import URLError

import keras
import numpy as np

from tl_keras.backbone_table import BACKBONES
from tl_keras.config.schema import BackboneConfig
from tl_keras.models.backbone import Backbone
from tl_keras.models.hub.hub_presets import as_file
from tl_keras.models.networks import (
    IMAGENET_MEAN,
    IMAGENET_STDDEV,
    build_backbone,
    find_spec,
    settle,
)
from tl_keras.models.own_network.network_file import load_network
from tl_keras.models.sources.imagenet_weights import offline_error
from tl_keras.models.sources.source_card import (
    CARD_FILE,
    NETWORK_FILE,
    WEIGHTS_FILE,
    SourceCard,
    read_card,
    sound_card,
)
from tl_keras.models.sources.source_places import (
    file_card,
    imagenet_card,
    network_path,
    preset_card,
    source_path,
)
from tl_keras.models.sources.weight_files import load_weight_file


def load_configured(
    settings: BackboneConfig, results_dir: str
) -> tuple[Backbone, SourceCard | None]:
    """The backbone that settings ask for, and the card of its source.

    Args:
        settings: of one network and one size.
        results_dir: the network of a preset is written below it.

    Raises:
        ConfigError: How the network wants pixels scaled is not given and cannot be found.
        WeightsError: The weights cannot be had or do not fit, or the network of a file or preset
            cannot be a backbone.
    """
    name, size = settings.network, settings.side
    if name in BACKBONES:
        model, card = load_source(
            name, image_size=size, alpha=settings.alpha, weights=settings.weights
        )
        return Backbone.wrap(name, settings.alpha, model), card
    path = network_path(as_file(settings, results_dir).weights)
    model, spec = load_network(
        path, image_size=size, scaling=settings.known_scaling, trust_code=settings.trust_code
    )
    backbone = Backbone.wrap(spec, None, model)
    if settings.is_preset:
        return backbone, preset_card(name, spec) if settings.weights else None
    if path.name == NETWORK_FILE and (path.parent / CARD_FILE).is_file():
        return backbone, SourceCard.of(read_card(path.parent))
    return backbone, file_card(path, spec)


def load_source(
    backbone_name: str, *, image_size: int, alpha: float | None = None, weights: str | None
) -> tuple[keras.Model, SourceCard | None]:
    """A backbone with its source weights, and their card (None for random initialisation).

    Args:
        backbone_name: A key of `BACKBONES`.
        image_size: Input side, pixels; need not be that of the source model.
        alpha: Width multiplier; None is 1.0.
        weights: "imagenet" (from Keras), "bundled" (ships with the package), a file of the
            backbone's weights or of a network around it, a checkpoint, a SavedModel, a folder with
            `model.weights.h5` and `card.json`, the results folder of a finished experiment, or
            None.

    Raises:
        ConfigError: A name, size or multiplier that the table does not allow.
        WeightsError: The weights cannot be had or are of another architecture.
    """
    if weights == "imagenet":
        return _load_imagenet(backbone_name, image_size, alpha)
    if weights is None:
        return build_backbone(backbone_name, image_size=image_size, alpha=alpha), None
    # what is wrong with a path or a card is told before a network is built
    spec, path = find_spec(backbone_name), source_path(weights)
    is_folder = path.is_dir()
    card = SourceCard.of(sound_card(path, spec, alpha)) if is_folder else file_card(path, spec)
    backbone = build_backbone(backbone_name, image_size=image_size, alpha=alpha)
    load_weight_file(backbone, path / WEIGHTS_FILE if is_folder else path, spec, alpha)
    if not is_folder:
        _correct_normalization(backbone)
    return backbone, card


def _load_imagenet(
    backbone_name: str, image_size: int, alpha: float | None
) -> tuple[keras.Model, SourceCard]:
    try:
        backbone = build_backbone(
            backbone_name, image_size=image_size, alpha=alpha, weights="imagenet"
        )
    except Exception as error:
        # Keras raises a bare Exception where a download fails.
        if not isinstance(error.__context__, URLError):
            raise
        raise offline_error(backbone_name, alpha, image_size, error) from error
    return backbone, imagenet_card(find_spec(backbone_name))


def _correct_normalization(backbone: keras.Model) -> None:
    """Make an official EfficientNet file answer as it does under `weights="imagenet"`.

    Those files hold ImageNet's standard deviations where Keras reads variances; Keras corrects it
    with one more layer that it adds for "imagenet" only, not for a path. See
    https://github.com/tensorflow/tensorflow/issues/49930
    """
    for layer in backbone.layers:
        if not isinstance(layer, keras.layers.Normalization) or not layer.weights:
            continue
        mean, variance, count = layer.get_weights()
        if np.allclose(mean, IMAGENET_MEAN, atol=1e-3) and np.allclose(
            variance, IMAGENET_STDDEV, atol=1e-3
        ):
            layer.set_weights([mean, np.square(variance), count])
            settle(layer)
