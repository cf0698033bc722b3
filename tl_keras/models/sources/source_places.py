"""Where source weights lie, and what is known of them before a network is built.

Loads no TensorFlow, so that missing or damaged weights are told at once.
"""

import difflib
import os
from pathlib import Path

from tl_keras.backbone_table import BACKBONES, FILE, HUB, BackboneSpec, preset_label
from tl_keras.config.asked_network import instead
from tl_keras.config.network_entries import meant
from tl_keras.config.schema import BackboneConfig
from tl_keras.errors import WeightsError
from tl_keras.home import with_home
from tl_keras.invocation import again, literal
from tl_keras.models.sources.imagenet_weights import check_imagenet
from tl_keras.models.sources.source_card import (
    CARD_FILE,
    NETWORK_FILE,
    WEIGHTS_FILE,
    SourceCard,
    read_card,
    sound_card,
)
from tl_keras.models.sources.source_folder import find_source_folder
from tl_keras.models.stored.network_facts import network_facts
from tl_keras.models.stored.stored_layers import check_readable, file_of, files_in
from tl_keras.results_layout import present

BUNDLED = "mobilenetv2_procedural"

_NAMED = ("imagenet", "bundled")
# Files of a folder that a message names.
_SHOWN = 5


def check_source(settings: BackboneConfig) -> None:
    """Nothing, if the weights that a configuration names are there and sound.

    Whether they fit the network is known when it is built; whether a preset is there, when it is
    read.

    Args:
        settings: of the network.

    Raises:
        WeightsError: they are not, or their card is of another network.
    """
    if settings.name == FILE:
        network_facts(network_path(settings.weights), trust_code=settings.trust_code)
        return
    if settings.weights is None or settings.is_preset:
        return
    if settings.weights == "imagenet":
        check_imagenet(settings)
        return
    path = source_path(settings.weights)
    if path.is_dir():
        sound_card(path, BACKBONES[settings.network], settings.alpha)
        path /= WEIGHTS_FILE
    check_readable(path)


def read_source_card(backbone_name: str, weights: str | None) -> SourceCard | None:
    """The card that `load_source` would give, without building a network or loading weights.

    Args:
        backbone_name: A key of `BACKBONES`.
        weights: As in `load_source`.

    Raises:
        WeightsError: There are no such weights, or the folder has no readable card.
    """
    spec = BACKBONES[backbone_name]
    if weights is None:
        return None
    if weights == "imagenet":
        return imagenet_card(spec)
    path = source_path(weights)
    return SourceCard.of(read_card(path)) if path.is_dir() else file_card(path, spec)


def source_path(weights: str) -> Path:
    """The path of a weights file, as of `file_of`, or of a source model's folder.

    A missing file is left to its loader, which knows the formats.

    Args:
        weights: A path, or "bundled".

    Raises:
        WeightsError: There is nothing, and it is not named like a file; or a folder of several
            weights files, or of an experiment that left no source model.
    """
    path = _bundled_folder() if weights == "bundled" else _existing(weights)
    if path.is_dir():
        path = find_source_folder(path)
        _refuse_many(path)
    return path


def _existing(weights: str) -> Path:
    given = present(Path(with_home(weights)))
    path = file_of(given)
    if os.path.exists(path):  # noqa: PTH110 (also of impossible paths)
        return path
    path = given
    if near := difflib.get_close_matches(weights, _NAMED):
        raise WeightsError(
            f'weights must be "imagenet", "bundled", {literal(None)}, or a file or folder '
            f'that exists; got "{weights}". Did you mean "{near[0]}"?'
        )
    if "=" in weights and (network := meant(weights)):
        raise WeightsError(f"There is no weights file {weights}{network}")
    if not path.suffix:
        raise WeightsError(
            f'weights must be "imagenet", "bundled", {literal(None)}, or a file or folder '
            f'that exists; got "{weights}" (a relative path starts at the working directory '
            f"{Path.cwd()}). If it is the results folder of an experiment, run that experiment "
            "first."
        )
    return path


def _refuse_many(path: Path) -> None:
    """Nothing, unless it is a folder of weights files that is no source."""
    if (path / CARD_FILE).exists() or not (inside := files_in(path)):
        return
    named = "".join(f"\n  {again(instead(weights=str(each)))}" for each in inside[:_SHOWN])
    raise WeightsError(
        f"weights must name one file, or a folder of a source model; got {path}, a folder with "
        f"{len(inside)} of weights and no {CARD_FILE}. Name one:{named}"
    )


def network_path(weights: str | None) -> Path:
    """The file of a network of one's own.

    Raises:
        WeightsError: none is named.
    """
    if weights in (None, *_NAMED):
        raise WeightsError(
            f'The weights of a backbone "{FILE}" must be the .keras file of the network; got '
            f"{weights}. Name the file, or set backbone.name to a network of Keras Applications."
        )
    path = source_path(str(weights))
    return inside if (inside := path / NETWORK_FILE).is_file() else path


def _bundled_folder() -> Path:
    folder = Path(__file__).parents[1] / "bundled" / BUNDLED
    if not folder.is_dir():
        raise WeightsError(
            f'The weights "bundled" ({BUNDLED}) are missing from this installation. Install the '
            f'package again, or set weights to "imagenet", a file or {literal(None)}.'
        )
    return folder


def network_in_words(backbone: str, weights: str | None) -> str:
    """A network and where its weights are from, for people.

    >>> network_in_words("MobileNetV2", "bundled")
    'MobileNetV2 with the bundled weights'
    >>> network_in_words("file", "networks/last_year.keras")
    'the network in last_year.keras'
    """
    if backbone.startswith(HUB):
        return f"{preset_label(backbone)} of KerasHub{'' if weights else ' with random weights'}"
    if backbone == FILE and weights is not None:
        return f"the network in {Path(weights).name}"
    known = {"imagenet": "ImageNet weights", "bundled": "the bundled weights"}
    if weights is None:
        return f"{backbone} with random weights"
    return f"{backbone} with {known.get(weights, f'the weights of {Path(weights).name}')}"


def imagenet_card(spec: BackboneSpec) -> SourceCard:
    """Of the weights that Keras downloads."""
    return SourceCard(
        name="imagenet",
        images=1_281_167,
        classes=1000,
        image_size=spec.imagenet_size,
        scaling=str(spec.scaling),
        licence="as stated by Keras Applications; the images are for non-commercial research",
        description="Photos of 1000 kinds of objects and animals (ILSVRC 2012), from Keras.",
    )


def file_card(path: Path, spec: BackboneSpec) -> SourceCard:
    """Of a weights file alone."""
    return SourceCard(
        name=_name_of(path),
        image_size=spec.imagenet_size if spec.file_digest else None,
        scaling=str(spec.scaling),
        description="A weights file without a card: its source data are not known.",
    )


def preset_card(name: str, spec: BackboneSpec) -> SourceCard:
    """Of the weights of a preset.

    Args:
        name: of the backbone.
        spec: of the network in its file.
    """
    return SourceCard(
        name=name,
        scaling=str(spec.scaling),
        licence="as stated where the preset is from",
        description="A preset of KerasHub: its source data are not known here.",
    )


def _name_of(path: Path) -> str:
    """What people call a file: of a SavedModel, its folder."""
    return (
        path.parents[1].name if path.parts[-2:] == ("variables", "variables.index") else path.name
    )
