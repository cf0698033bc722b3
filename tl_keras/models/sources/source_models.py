"""Source models: a backbone with the weights it starts from, and the card that says what it saw."""

from importlib.resources import as_file
from pathlib import Path
from urllib.error import URLError

import keras
import numpy as np

from tl_keras.backbone_table import FILE, BackboneSpec, Scaling
from tl_keras.models.backbone import Backbone
from tl_keras.models.networks import IMAGENET_MEAN, IMAGENET_STDDEV, build_backbone, find_spec
from tl_keras.models.own_network.network_file import load_network
from tl_keras.models.sources.imagenet_weights import offline_error
from tl_keras.models.sources.source_card import (
    CARD_FILE,
    NETWORK_FILE,
    WEIGHTS_FILE,
    SourceCard,
    check_made_for,
    check_weights,
    read_card,
)
from tl_keras.models.sources.source_folder import find_source_folder
from tl_keras.models.sources.source_places import (
    bundled_folder,
    existing,
    file_card,
    imagenet_card,
    network_path,
)
from tl_keras.models.sources.weight_files import load_weight_file


def load_named(
    name: str,
    *,
    image_size: int,
    alpha: float | None = None,
    weights: str | None,
    scaling: Scaling | None = None,
    trust_code: bool = False,
) -> tuple[Backbone, SourceCard | None]:
    """A backbone of the table as of `load_source`, or one that is a file of its own.

    Args:
        name: A key of `BACKBONES`, or `FILE`.
        image_size: As of `load_source`.
        alpha: As of `load_source`; None for a file.
        weights: As of `load_source`; the `.keras` file of the network for `FILE`.
        scaling: What a network from a file wants to see; None is to find out.
        trust_code: Whether code in such a file may be run.

    Raises:
        ConfigError: As `load_source`; or a scaling is not given and cannot be found.
        WeightsError: As `load_source`; or the file's network cannot be a backbone.
    """
    if name != FILE:
        model, card = load_source(name, image_size=image_size, alpha=alpha, weights=weights)
        return Backbone.wrap(name, alpha, model), card
    path = network_path(weights)
    model, spec = load_network(path, image_size=image_size, scaling=scaling, trust_code=trust_code)
    card = file_card(path, spec)
    if path.name == NETWORK_FILE and (path.parent / CARD_FILE).is_file():
        card = SourceCard.of(read_card(path.parent))
    return Backbone.wrap(spec, None, model), card


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
    backbone = build_backbone(backbone_name, image_size=image_size, alpha=alpha)
    spec = find_spec(backbone_name)
    if weights is None:
        return backbone, None
    if weights == "bundled":
        with as_file(bundled_folder()) as folder:
            return backbone, load_folder(backbone, folder, spec, alpha)
    path = existing(weights)
    if path.is_dir():
        return backbone, load_folder(backbone, find_source_folder(path), spec, alpha)
    return backbone, _load_file(backbone, path, spec, alpha)


def load_folder(
    backbone: keras.Model, folder: Path, spec: BackboneSpec, alpha: float | None
) -> SourceCard:
    """Set the backbone's weights from a source model's folder, checked against its card.

    Raises:
        WeightsError: A file of the folder is missing, the card is of another backbone, or the card
            and the weights do not belong together.
    """
    card = read_card(folder)
    check_made_for(card, spec, alpha)
    check_weights(folder, card)
    load_weight_file(backbone, folder / WEIGHTS_FILE, spec, alpha)
    return SourceCard.of(card)


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


def _load_file(
    backbone: keras.Model, path: Path, spec: BackboneSpec, alpha: float | None
) -> SourceCard:
    load_weight_file(backbone, path, spec, alpha)
    _correct_normalization(backbone)
    return file_card(path, spec)


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
            layer.finalize_state()
