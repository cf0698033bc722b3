"""Presets of KerasHub, each kept as a file of a network like any other.

Loads no Keras and no KerasHub where the file is there: what was trained is trained further,
exported and handed over without KerasHub.
"""

import hashlib
import json
from pathlib import Path

from tl_keras.backbone_table import FILE, as_setting, preset_label
from tl_keras.config.schema import BackboneConfig
from tl_keras.models.hub.preset_places import check_preset, folder_state, preset_of
from tl_keras.models.own_network.given_network import NETWORKS, write_network


def as_file(settings: BackboneConfig, results_dir: str) -> BackboneConfig:
    """Settings that name the file of a preset's network in its place; others as they are.

    The file is written below `results_dir` where it is not there. Unless the settings say how the
    network wants its pixels, it scales them as the preset does.

    Args:
        settings: of an experiment, with one network.
        results_dir: of it.

    Raises:
        WeightsError: KerasHub is not installed, the preset cannot be had, or its network cannot be
            a backbone or take such images.
        ConfigError: the scaling is not given, and the preset does not tell it.
    """
    if not settings.is_preset:
        return settings
    path = Path(results_dir) / NETWORKS / _file_name(settings)
    if not path.exists():
        check_preset(settings.network)
        # only here, for it loads Keras
        from tl_keras.models.hub.hub_network import preset_network

        write_network(preset_network(settings), path)
    return settings.model_copy(update={"name": FILE, "weights": str(path)})


def _file_name(settings: BackboneConfig) -> str:
    """Of a file that holds what these settings ask for, and nothing else."""
    preset, scaling = preset_of(settings.network), settings.known_scaling
    state, random = folder_state(preset), settings.weights is None
    asked = [preset, *state, settings.side, scaling and as_setting(scaling), random]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    return f"{preset_label(settings.network)}-{digest[:12]}.keras"
