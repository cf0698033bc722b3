"""Where the source model lies in a folder that somebody names as weights."""

from pathlib import Path
from typing import Any

from tl_keras.config.problems import shown
from tl_keras.digests import known_json
from tl_keras.errors import WeightsError
from tl_keras.invocation import settings
from tl_keras.models.sources.source_card import CARD_FILE
from tl_keras.results_layout import CONFIG, inner, place
from tl_keras.strategy_table import names_where

# In the results folder of an experiment, at its place there.
SOURCE_MODEL_FOLDER = "source_model"


def find_source_folder(folder: Path) -> Path:
    """The folder with the card: of a source model itself, or in an experiment's results folder.

    Raises:
        WeightsError: The experiment left no source model.
    """
    within = (folder / SOURCE_MODEL_FOLDER, place(folder, SOURCE_MODEL_FOLDER))
    if inside := next((found for found in within if found.is_dir()), None):
        return inside
    config = _experiment_in(folder)
    if config is None or (folder / CARD_FILE).is_file():
        return folder
    raise WeightsError(
        f"weights must be a source model or the results folder of an experiment that left one; got "
        f"{folder}, an experiment without {inner(SOURCE_MODEL_FOLDER)}/: {_reason(folder, config)}"
    )


def _experiment_in(folder: Path) -> dict[str, Any] | None:
    """The configuration of the experiment whose results folder it is; None of other folders."""
    config = known_json(folder / CONFIG)
    is_experiment = "strategies" in config and isinstance(config.get("backbone"), dict)
    return config if is_experiment else None


def _reason(folder: Path, config: dict[str, Any]) -> str:
    """Why there is no source model, and what to do."""
    chosen = _chosen_run(folder)
    changing = ", ".join(names_where(lambda spec: spec.changes_backbone))
    borrowing_names = names_where(lambda spec: spec.borrows)
    if chosen is None and not config.get("export", True):
        return (
            f"it exported nothing. Run it again with {settings({'export': True})}: what is "
            "trained is kept."
        )
    if chosen is None:
        return (
            "it is not finished, or has no run that is a model. Run it to the end, with one of "
            f"{changing} among its strategies."
        )
    borrows = chosen["strategy"] in borrowing_names
    if config["backbone"].get("cut", "top") != "top" and borrows:
        return (
            "its backbone was cut, and a part of a network is no source. Run it with backbone.cut "
            "top under another name."
        )
    weights = shown(config["backbone"].get("weights"))
    return (
        f"its chosen run, {chosen['run_id']}, left the backbone as it was, or it was made by a "
        f"version that kept no source models. It started from {weights}: set "
        f"backbone.weights to that, or run an experiment anew whose chosen run is of one of "
        f"{changing}."
    )


def _chosen_run(folder: Path) -> dict[str, Any] | None:
    """The row of the run that was exported; None before the export."""
    run_id = known_json(place(folder, "export.json")).get("run_id")
    row = known_json(place(folder, "runs") / str(run_id) / "row.json")
    return row if {"run_id", "strategy"} <= set(row) else None
