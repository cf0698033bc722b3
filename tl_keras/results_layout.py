"""Where each thing lies in the folder of an experiment, and where an earlier version put it.

<results_dir>/<experiment>/
    report.html     the page to open first
    README.md       what lies here, in words
    config.json     the configuration, defaults included
    tables/         every table: *.csv, and runs.parquet
    plots/          the figures of the report as files
    errors/         pictures of photos that were answered wrongly
    export/         versions of the model that is served
    model/          the same as a plain model of Keras, and its backbone as a source of others
    tensorboard/    the course of each run
    state/          what only the program reads; in it layout.json, once all is in its place

Earlier versions had all of it at the top. `tl_keras.results.old_folder` moves it when such an
experiment goes on; whoever only reads finds either place.
"""

import os
from collections.abc import Mapping
from pathlib import Path

TABLES, PLOTS, MODEL, STATE = "tables", "plots", "model", "state"
# Beside experiments: pictures that were given in memory. No experiment has this name.
PICTURES = "_images"
# In `state`: that nothing is left where an earlier version put it.
LAYOUT = "layout.json"
REPORT, CONFIG = "report.html", "config.json"
# The page of an audit, which has a folder with `TABLES` of its own.
AUDIT = "audit.html"

_TABLE_NAMES = (
    *("images", "splits", "runs", "summary", "comparisons", "per_class", "confusion", "history"),
    *("trials", "probes", "calibration", "thresholds", "learning_curve", "errors", "exports"),
    *("findings", "label_errors", "embedding_matches", "ignored_files", "corrections"),
)
_RECORD_NAMES = (
    *("environment", "advice", "audit", "choice", "decision", "learning_curve", "errors"),
    *("export", "handed_over", "strangers"),
)
# Tables and records that the experiment itself writes, one of each.
WRITTEN = (
    CONFIG,
    *(f"{name}.csv" for name in _TABLE_NAMES),
    *(f"{name}.json" for name in _RECORD_NAMES),
    "runs.parquet",
)
_PLACES: Mapping[str, str] = {
    **{name: STATE if name.endswith(".json") else TABLES for name in WRITTEN},
    CONFIG: "",
    "refitted.npz": STATE,
    "runs": STATE,
    "search": STATE,
    "damaged": STATE,
    "model.keras": MODEL,
    "model.labels.json": MODEL,
    "source_model": MODEL,
}
# What an earlier version put at the top, and this one elsewhere.
MOVED = tuple(name for name, inside in _PLACES.items() if inside)


def place(folder: Path, name: str) -> Path:
    """Where something of an experiment lies, or shall be written.

    Args:
        folder: of the experiment.
        name: of a file or folder, such as "runs.csv", "choice.json" or "runs".
    """
    old, new = folder / name, folder / inner(name)
    if not os.path.isdir(folder / STATE):  # noqa: PTH112 (also of impossible paths)
        return old
    if is_in_place(folder):
        return new
    # somebody is moving it, or was killed
    return old if os.path.lexists(old) and not os.path.lexists(new) else new


def inner(name: str) -> str:
    """The path of something within an experiment's folder, such as "tables/runs.csv"."""
    inside = _PLACES.get(name, TABLES if name.endswith(".csv") else "")
    return f"{inside}/{name}" if inside else name


def is_in_place(folder: Path) -> bool:
    """Whether nothing of an experiment is left where an earlier version put it."""
    return (folder / STATE / LAYOUT).exists()


def present(path: Path) -> Path:
    """A path as it was given, or the place of now where it names what was moved since."""
    if os.path.lexists(path) or path.name not in MOVED:
        return path
    moved = path.parent / inner(path.name)
    return moved if os.path.lexists(moved) else path
