"""Where the source model lies in a folder that somebody names as weights."""

import json
from pathlib import Path
from typing import Any

from tl_keras.errors import WeightsError
from tl_keras.models.source_card import CARD_FILE

# In the results folder of an experiment.
SOURCE_MODEL_FOLDER = "source_model"


def find_source_folder(folder: Path) -> Path:
    """The folder with the card: of a source model itself, or in an experiment's results folder.

    Raises:
        WeightsError: The experiment left no source model.
    """
    inside = folder / SOURCE_MODEL_FOLDER
    if inside.is_dir():
        return inside
    config = _experiment_in(folder)
    if config is None or (folder / CARD_FILE).is_file():
        return folder
    raise WeightsError(
        f"weights must be a source model or the results folder of an experiment that left one; got "
        f"{folder}, an experiment without {SOURCE_MODEL_FOLDER}/: {_reason(folder, config)}"
    )


def _experiment_in(folder: Path) -> dict[str, Any] | None:
    """The configuration of the experiment whose results folder it is; None of other folders."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_experiment = isinstance(config, dict) and {"backbone", "strategies"} <= set(config)
    return config if is_experiment else None


def _reason(folder: Path, config: dict[str, Any]) -> str:
    """Why there is no source model, and what to do."""
    if config["backbone"].get("cut", "top") != "top":
        return (
            "its backbone was cut, and a part of a network is no source. Run it with backbone.cut "
            "top under another name."
        )
    if (folder / "export.json").is_file():
        weights = json.dumps(config["backbone"]["weights"])
        return (
            "its chosen run trained the head alone, so that its backbone still has the weights "
            f"that it started from, {weights}. Set backbone.weights to those, or choose an "
            "experiment whose best run is fine-tuning or from scratch."
        )
    if not config.get("export", True):
        return (
            "it was run with export false. Set export to true and run it again: what is trained "
            "is kept."
        )
    return (
        "it is not finished, or the majority class was all it ran. Run it to the end, with "
        "from_scratch or fine_tuning among its strategies."
    )
