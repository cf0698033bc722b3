"""Source models: a backbone with the weights it starts from, and the card that says what it saw."""

import difflib
import os
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from urllib.error import URLError

import keras
import numpy as np

from tl_keras.backbone_table import BackboneSpec
from tl_keras.errors import WeightsError
from tl_keras.models.networks import IMAGENET_MEAN, IMAGENET_STDDEV, build_backbone, find_spec
from tl_keras.models.source_card import WEIGHTS_FILE, SourceCard, check_weights, read_card
from tl_keras.models.source_folder import find_source_folder
from tl_keras.models.weight_files import load_weight_file

BUNDLED = "mobilenetv2_procedural"

_NAMED = ("imagenet", "bundled")


def load_source(
    backbone_name: str, *, image_size: int, alpha: float | None = None, weights: str | None
) -> tuple[keras.Model, SourceCard | None]:
    """A backbone with its source weights, and their card (None for random initialisation).

    Args:
        backbone_name: A key of `BACKBONES`.
        image_size: Input side, pixels; need not be that of the source model.
        alpha: Width multiplier; None is 1.0.
        weights: "imagenet" (from Keras), "bundled" (ships with the package), a `.weights.h5`,
            `.keras` or older `.h5` file of the backbone without its classifier, a folder with
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
        with as_file(_bundled_folder()) as folder:
            return backbone, load_folder(backbone, folder, spec, alpha)
    path = _existing(weights)
    if path.is_dir():
        return backbone, load_folder(backbone, find_source_folder(path), spec, alpha)
    return backbone, _load_file(backbone, path, spec, alpha)


def read_source_card(backbone_name: str, weights: str | None) -> SourceCard | None:
    """The card that `load_source` would give, without building a network or loading weights.

    Args:
        backbone_name: A key of `BACKBONES`.
        weights: As in `load_source`.

    Raises:
        ConfigError: A name that the table does not allow.
        WeightsError: There are no such weights, or the folder has no readable card.
    """
    spec = find_spec(backbone_name)
    if weights is None:
        return None
    if weights == "imagenet":
        return _imagenet_card(spec)
    if weights == "bundled":
        with as_file(_bundled_folder()) as folder:
            return SourceCard.of(read_card(folder))
    path = _existing(weights)
    if path.is_dir():
        return SourceCard.of(read_card(find_source_folder(path)))
    return _file_card(path, spec)


def load_folder(
    backbone: keras.Model, folder: Path, spec: BackboneSpec, alpha: float | None
) -> SourceCard:
    """Set the backbone's weights from a source model's folder, checked against its card.

    Raises:
        WeightsError: A file of the folder is missing, the card is of another backbone, or the card
            and the weights do not belong together.
    """
    card = read_card(folder)
    made_for = (card["backbone"], float(card["alpha"] or 1.0), card["scaling"])
    if made_for != (spec.name, alpha or 1.0, spec.scaling):
        raise WeightsError(
            f"The source model {card['name']} is a {made_for[0]} with alpha {made_for[1]} and "
            f'scaling "{made_for[2]}"; got {spec.name} with alpha {alpha or 1.0}, which wants '
            f'scaling "{spec.scaling}". Set backbone.name and backbone.alpha to the model\'s, or '
            'choose other weights: "imagenet", a file or null.'
        )
    check_weights(folder, card)
    load_weight_file(backbone, folder / WEIGHTS_FILE, _in_words(spec, alpha))
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
        raise WeightsError(_offline_message(backbone_name, error)) from error
    return backbone, _imagenet_card(find_spec(backbone_name))


def _offline_message(backbone_name: str, failure: Exception) -> str:
    cache = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
    return (
        f'The weights "imagenet" of {backbone_name} could not be downloaded ({failure}). Download '
        "that file where there is a network and put it "
        f"into {cache} under its own name, or set backbone.weights to the file's path; or set it "
        'to "bundled" (MobileNetV2 with alpha 1.0 only; with backbone.image_size 96, which it was '
        "trained at) or null (random initialisation)."
    )


def _imagenet_card(spec: BackboneSpec) -> SourceCard:
    return SourceCard(
        name="imagenet",
        images=1_281_167,
        classes=1000,
        image_size=spec.imagenet_size,
        channels=3,
        scaling=spec.scaling,
        licence="as stated by Keras Applications; the images are for non-commercial research",
        description="Photos of 1000 kinds of objects and animals (ILSVRC 2012), from Keras.",
        generated=False,
    )


def _existing(weights: str) -> Path:
    """The path of a weights file or folder.

    A missing file is left to its loader, which knows the formats.
    """
    # unlike that of a Path it does not fail where there is no home
    path = Path(os.path.expanduser(weights))  # noqa: PTH111
    if path.exists():
        return path
    if near := difflib.get_close_matches(weights, _NAMED):
        raise WeightsError(
            f'weights must be "imagenet", "bundled", null, or a file or folder that exists; got '
            f'"{weights}". Did you mean "{near[0]}"?'
        )
    if not path.suffix:
        raise WeightsError(
            f'weights must be "imagenet", "bundled", null, or a file or folder that exists; got '
            f'"{weights}" (a relative path starts at the working directory {Path.cwd()}). If it '
            "is the results folder of an experiment, run that experiment first."
        )
    return path


def _load_file(
    backbone: keras.Model, path: Path, spec: BackboneSpec, alpha: float | None
) -> SourceCard:
    load_weight_file(backbone, path, _in_words(spec, alpha))
    _correct_normalization(backbone)
    return _file_card(path, spec)


def _file_card(path: Path, spec: BackboneSpec) -> SourceCard:
    return SourceCard(
        name=path.name,
        images=None,
        classes=None,
        image_size=None,
        channels=3,
        scaling=spec.scaling,
        licence="unknown",
        description="A weights file without a card: its source data are not known.",
        generated=False,
    )


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


def _bundled_folder() -> Any:
    folder = files("tl_keras.models") / "bundled" / BUNDLED
    if not folder.is_dir():
        raise WeightsError(
            f'The weights "bundled" ({BUNDLED}) are missing from this installation. Install the '
            'package again, or set weights to "imagenet", a file or null.'
        )
    return folder


def _in_words(spec: BackboneSpec, alpha: float | None) -> str:
    return f"{spec.name} with alpha {alpha or 1.0}" if spec.alphas else spec.name
