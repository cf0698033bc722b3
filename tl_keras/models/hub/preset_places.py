"""Where a preset of KerasHub is: one of its own, elsewhere, or in a folder."""

from importlib.util import find_spec
from pathlib import Path

from tl_keras.backbone_table import HUB
from tl_keras.errors import WeightsError, installing
from tl_keras.home import with_home

# Where a preset tells of itself, in its folder.
_CONFIG = "config.json"


def preset_of(name: str) -> str:
    """The preset, or the folder of one, that a backbone's name stands for.

    >>> preset_of("keras_hub:resnet_18_imagenet")
    'resnet_18_imagenet'
    """
    preset = name.removeprefix(HUB)
    return with_home(preset) if preset.startswith("~") else preset


def is_folder(preset: str) -> bool:
    """Whether a preset is named as a folder is: by one that is there, or by a path."""
    return "://" not in preset and (Path(preset).exists() or "/" in preset or "\\" in preset)


def check_preset(name: str) -> None:
    """Nothing, if a preset can be asked for.

    Raises:
        WeightsError: KerasHub is not installed, or a folder holds no preset.
    """
    if find_spec("keras_hub") is None:
        raise WeightsError(
            f"The backbone {name} needs KerasHub, which is not installed: {installing('hub')}."
        )
    preset = preset_of(name)
    if is_folder(preset) and not (Path(preset) / _CONFIG).is_file():
        raise WeightsError(
            f"{preset} must be the folder of a preset, with {_CONFIG} and model.weights.h5, as "
            "save_to_preset of KerasHub writes it; there is none. A relative path starts at the "
            f"working directory {Path.cwd()}."
        )


def folder_state(preset: str) -> list[str]:
    """What changes when the files in a preset's folder change; nothing of a preset by name."""
    if not is_folder(preset):
        return []
    found = ((path.name, path.stat()) for path in sorted(Path(preset).glob("*.*")))
    return [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in found]
