"""What is damaged in an experiment's folder, set aside so that it is made again.

<results_dir>/<experiment>/state/damaged/     what was set aside, at the place that it had
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from tl_keras.digests import DIGESTS, list_in, listed, whole_bytes, whole_json
from tl_keras.errors import DamagedError
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.stored_tables import read_arrays, read_csv, read_parquet
from tl_keras.results_layout import (
    CONFIG,
    MODEL,
    PLOTS,
    TABLES,
    WRITTEN,
    place,
)
from tl_keras.transfer.fold_score import FoldScore

ASIDE = "damaged"
# Files that are made together with a record, and only where the record is missing.
_MADE_WITH = {
    "findings.csv": "audit.json",
    "label_errors.csv": "audit.json",
    "embedding_matches.csv": "audit.json",
    "learning_curve.csv": "learning_curve.json",
    "errors.csv": "errors.json",
    "errors": "errors.json",
    "model.labels.json": "model.keras",
    "refitted.npz": "handed_over.json",
}
_READERS: Mapping[str, Callable[[Path], object]] = {
    ".csv": read_csv,
    ".json": whole_json,
    ".npz": read_arrays,
    ".parquet": read_parquet,
}
# Where these are, an experiment could not write.
_FOLDERS = ("runs", "search", "errors", "export", "tensorboard", TABLES, PLOTS, MODEL)
# JSON of other kinds than an object.
_LISTS = ("model.labels.json",)
# Compared with what an experiment that goes on has, and refused where they differ.
_COMPARED = (CONFIG, "environment.json", "images.csv", "splits.csv", "corrections.csv")
_MADE_AGAIN = sorted({*WRITTEN, *_LISTS, "model.keras"} - {*_COMPARED})
_SCORE = {field.name for field in fields(FoldScore)}
_NUMBERS = ("seed", "validation_loss", "validation_accuracy", "selection_loss")


def set_aside_damaged(folder: Path) -> str | None:
    """Move what is not as it was written out of the way of an experiment that goes on.

    Args:
        folder: of the experiment, in which no other process writes.

    Returns:
        A sentence that names it; None where all is well.

    Raises:
        OSError: something cannot be moved.
    """
    moved = []
    # what nothing proves goes first: then the others are looked at without a damaged list
    for found in (_unproven, _runs, _searches, _own):
        for path in list(found(folder)):
            set_aside(folder, path)
            moved.append(path.relative_to(folder).as_posix())
    if not moved:
        return None
    return (
        "Not as they were written, or nothing proves that they are, and now in "
        f"{place(folder, ASIDE)}: {', '.join(moved)}. They are made again; the rest is kept."
    )


def set_aside(folder: Path, path: Path) -> None:
    """Move a file or folder of an experiment out of the way.

    Args:
        folder: of the experiment.
        path: in it.
    """
    target = place(folder, ASIDE) / path.relative_to(folder)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def was_set_aside(folder: Path, path: Path) -> bool:
    """Whether `set_aside` moved what was there, now or when an earlier version went on."""
    aside, inside = place(folder, ASIDE), path.relative_to(folder)
    before = Path(*inside.parts[1:])
    return any((aside / each).exists() for each in (inside, before))


def finished_run(folder: Path) -> FinishedRun:
    """The run of a folder.

    Raises:
        DamagedError: its row is not as it was written, or is that of another run.
    """
    path = folder / "row.json"
    row = whole_json(path)
    if row.get("run_id") not in (None, folder.name):
        raise DamagedError(path, f"it must be of {folder.name}, got {row['run_id']!r}")
    if path.name not in listed(folder):
        _check_row(path, row)
    return FinishedRun.from_row(row)


def _check_row(path: Path, row: dict[str, Any]) -> None:
    """Of an earlier version, which kept no digests."""
    for name in ("run_id", *_NUMBERS):
        if name not in row:
            raise DamagedError(path, f"it lacks {name}")
    for name in _NUMBERS:
        if not isinstance(row.get(name), int | float):
            raise DamagedError(path, f"{name} must be a number, got {row.get(name)!r}")


def _unproven(folder: Path) -> Iterator[Path]:
    """What is made again, and the list that is damaged; nothing where the list is whole.

    An earlier version had no lists, neither here nor in runs and searches.
    """
    path = list_in(folder)
    damaged = _is_damaged(path)
    inside = (place(folder, name) for name in ("runs", "search"))
    parts = (part for made in inside for part in made.glob(f"*/{DIGESTS}"))
    if not damaged and (path.exists() or not any(parts)):
        return
    again = (place(folder, name) for name in _MADE_AGAIN)
    yield from (each for each in again if os.path.lexists(each))
    # the last, so that whoever goes on after a kill knows of it
    if damaged:
        yield path


def _runs(folder: Path) -> Iterator[Path]:
    for path in sorted(place(folder, "runs").glob("[!.]*")):
        if _is_damaged_run(path):
            yield path


def _is_damaged_run(folder: Path) -> bool:
    try:
        # an earlier version listed nothing
        needed = listed(folder) or dict.fromkeys(("row.json", "history.csv", "probabilities.npz"))
        present = [path.name for path in folder.glob("*.npz")]
        for name in {**needed, **dict.fromkeys(present)}:
            _look(folder / name)
        finished_run(folder)
    except DamagedError:
        return True
    return False


def _searches(folder: Path) -> Iterator[Path]:
    for search in sorted(place(folder, "search").glob("*")):
        if not search.is_dir() or _is_damaged(search / DIGESTS):
            yield search
            continue
        for path in sorted(search.glob("*")):
            if path.suffix in _READERS and (_is_damaged(path) or _is_no_score(path)):
                yield path


def _is_no_score(path: Path) -> bool:
    """Whether a file of a trial, such as an earlier version wrote, holds something else."""
    if not path.name.startswith("trial-"):
        return False
    score = whole_json(path)
    numbers = all(isinstance(value, int | float) for value in score.values())
    return set(score) != _SCORE or not numbers


def _own(folder: Path) -> Iterator[Path]:
    """Files of the experiment itself, and records whose tables have to be made again."""
    # an earlier version listed nothing; other files are anybody's own
    written = {place(folder, name) for name in WRITTEN}
    files = {folder / name for name in listed(folder)} | {path for path in written if path.exists()}
    gone = {path for path in files if not path.exists()}
    bad = {path for path in files - gone if _is_damaged(path)}
    if _is_damaged_folder(folder / "errors"):
        bad.add(folder / "errors")
    bad |= {path for name in _FOLDERS if _is_no_folder(path := place(folder, name))}
    records = {_MADE_WITH[path.name] for path in gone | bad if path.name in _MADE_WITH}
    again = {path for name in records if (path := place(folder, name)).exists()}
    yield from sorted(bad | again)


def _is_no_folder(path: Path) -> bool:
    """Whether something else is in its place, such as a link that leads nowhere."""
    return os.path.lexists(path) and not path.is_dir()


def _is_damaged_folder(folder: Path) -> bool:
    return folder.exists() and (
        _is_damaged(folder / DIGESTS) or any(_is_damaged(folder / name) for name in listed(folder))
    )


def _is_damaged(path: Path) -> bool:
    try:
        if path.name == DIGESTS:
            listed(path.parent)
        else:
            _look(path)
    except DamagedError:
        return True
    return False


def _look(path: Path) -> None:
    """Read a file as it will be read.

    Raises:
        DamagedError: it cannot be.
    """
    reader = whole_bytes if path.name in _LISTS else _READERS.get(path.suffix, whole_bytes)
    # an experiment without such things leaves an empty table
    if path.suffix == ".csv" and whole_bytes(path).strip() == b"":
        return
    reader(path)
