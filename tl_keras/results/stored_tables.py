"""Tables and arrays of an experiment's folder, read whole or refused."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from tl_keras.atomic_files import write_csv
from tl_keras.csv_tables import read_table
from tl_keras.digests import keeping, whole_bytes
from tl_keras.errors import DamagedError

# Columns that stand in a table whatever an experiment has, and those of them that hold numbers.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "runs": ("run_id", "strategy", "seed", "train_per_class", "unfrozen_blocks"),
    "summary": (
        *("strategy", "unfrozen_blocks", "train_per_class", "n", "test_accuracy_mean"),
        "selection_loss_mean",
    ),
    "comparisons": ("a", "a_name", "b", "b_name", "difference", "verdict", "needed"),
    "confusion": ("run_id", "true_class", "predicted_class", "count"),
    "per_class": ("run_id", "support"),
    "images": ("image_id",),
    "splits": ("seed", "part", "image_id"),
    "probes": ("block", "accuracy"),
    "trials": ("trial", "validation_loss"),
    "learning_curve": ("strategy", "train_per_class", "kind", "accuracy"),
    "errors": ("image_id", "label", "predicted", "probability", "right", "photo"),
    "label_errors": ("image_id",),
}
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "runs": ("seed", "test_accuracy", "validation_accuracy", "selection_loss"),
    "summary": (
        *("n", "test_accuracy_mean", "test_accuracy_low", "test_accuracy_high"),
        "selection_loss_mean",
    ),
    "comparisons": ("difference", "difference_low", "difference_high"),
    "confusion": ("count",),
    "splits": ("class_index",),
    "probes": ("accuracy",),
    "trials": ("validation_loss",),
    "learning_curve": ("train_per_class", "accuracy"),
    "errors": ("probability",),
}
# Numbers of blocks stand beside "all" and ranges in these.
_DEPTHS = ("unfrozen_blocks", "head_blocks", "a_unfrozen_blocks", "b_unfrozen_blocks")


def keep_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table of raw numbers, without its index, and list the file.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    with keeping(path) as unfinished:
        write_csv(unfinished, table)


def keep_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table with its types, without its index, and list the file.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    with keeping(path) as unfinished:
        table.to_parquet(unfinished, index=False)


def read_csv(path: Path) -> pd.DataFrame:
    """A table as it was written, but for the types of empty columns.

    Raises:
        DamagedError: it is not whole, or is no such table.
    """
    content = whole_bytes(path)
    try:
        table = read_table(io.BytesIO(content), _types(path.stem))
    except (ValueError, pd.errors.ParserError) as error:
        raise DamagedError(path, f"it is no table ({error})") from error
    _check_columns(path, table)
    return table


def read_parquet(path: Path) -> pyarrow.Table:
    """A table with its types.

    Raises:
        DamagedError: it is not whole, or is no such table.
    """
    content = whole_bytes(path)
    try:
        return parquet.read_table(io.BytesIO(content))
    # of pyarrow, which lets those of other libraries through
    except Exception as error:
        raise DamagedError(path, f"it is no table ({error})") from error


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name, as `np.savez` wrote them.

    Raises:
        DamagedError: it is not whole, or holds no arrays.
    """
    content = whole_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return dict(stored)
    # a single array is no file of several
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DamagedError(path, f"it holds no arrays ({error})") from error


def _types(name: str) -> dict[str, str | type]:
    types: dict[str, str | type] = dict.fromkeys(_DEPTHS, "string")
    # a part 7 is not a part 007
    return types | ({"group": str} if name == "images" else {})


def _check_columns(path: Path, table: pd.DataFrame) -> None:
    if not len(table.columns) or (path.name == "comparisons.csv" and table.empty):
        return
    if absent := [name for name in _COLUMNS.get(path.stem, ()) if name not in table]:
        raise DamagedError(path, f"it lacks the column {absent[0]}")
    for name in _NUMBERS.get(path.stem, ()):
        if name in table and not pd.api.types.is_numeric_dtype(table[name]) and len(table):
            raise DamagedError(path, f"its column {name} must hold numbers")
