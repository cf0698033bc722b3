"""Presets of KerasHub, each kept as a file of a network like any other.

Loads no Keras and no KerasHub where the file is there: what was trained is trained further,
exported and handed over without KerasHub.
"""

import hashlib
import json
from pathlib import Path

from tl_keras.backbone_table import FILE, Scaling, as_setting, preset_label
from tl_keras.config.schema import BackboneConfig
from tl_keras.models.hub.preset_places import check_preset, folder_state, preset_of
from tl_keras.models.own_network.given_network import NETWORKS, write_network


def as_file(settings: BackboneConfig, results_dir: str) -> BackboneConfig:
    """Settings that name the file of a preset's network in its place; others as they are.

    The file is written below `results_dir` where it is not there.

    Args:
        settings: of an experiment, with one network.
        results_dir: of it.

    Raises:
        WeightsError: as of `preset_file`.
        ConfigError: as of `preset_file`.
    """
    if not settings.is_preset:
        return settings
    path = preset_file(
        settings.network,
        Path(results_dir) / NETWORKS,
        image_size=settings.side,
        scaling=settings.known_scaling,
        random=settings.weights is None,
    )
    return settings.model_copy(update={"name": FILE, "weights": str(path)})


def preset_file(
    name: str, folder: Path, *, image_size: int, scaling: Scaling | None, random: bool = False
) -> Path:
    """The file of a preset's network, which is written unless it is there.

    Args:
        name: of a backbone, "keras_hub:" and a preset or the folder of one.
        folder: of such files.
        image_size: height and width of the input, pixels.
        scaling: what the network wants to see; None has the file scale as the preset does.
        random: whether it has random weights in place of the preset's.

    Raises:
        WeightsError: KerasHub is not installed, the preset cannot be had, or its network cannot be
            a backbone or take such images.
        ConfigError: the scaling is not given, and the preset does not tell it.
    """
    preset = preset_of(name)
    asked = [preset, *folder_state(preset), image_size, scaling and as_setting(scaling), random]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    path = folder / f"{preset_label(name)}-{digest[:12]}.keras"
    if path.exists():
        return path
    check_preset(name)
    # only here, for it loads Keras
    from tl_keras.models.hub.hub_network import preset_network

    return write_network(preset_network(name, image_size, scaling, random=random), path)
