"""Tables as CSV: spreadsheets compute nothing in them, and they are read as they were written."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tl_keras.safe_text import guard, unguard

# Seconds of import, where a command has no table.
if TYPE_CHECKING:
    import pandas as pd

# Columns of names, whatever they look like: a class may be called 007 or NA.
_NAMES = (
    "image_id",
    "label",
    "was",
    "suggested_label",
    "predicted",
    "true_class",
    "predicted_class",
)
# A cell without any text is missing, and no other.
_MISSING: Mapping[str, Any] = {"keep_default_na": False, "na_values": [""]}


def csv_text(table: "pd.DataFrame") -> str:
    """A table as the text of a CSV file, without its index and with `guard` in every cell."""
    guarded = _each_text(table, guard)
    text = str(guarded.to_csv(index=False))
    if "\r" not in text:
        return text
    # it ends a line for readers, and Python before 3.13 does not quote it
    return str(guarded.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def quoted(text: str) -> str:
    """One cell of a CSV file with any text in it, behind `guard`."""
    return '"' + guard(text).replace('"', '""') + '"'


def read_table(source: Path | IO[bytes] | IO[str], types: Mapping[str, Any]) -> "pd.DataFrame":
    """A table as `csv_text` had it, but for the types of empty columns.

    Args:
        source: a file, or its name.
        types: of columns that would not be told by their cells.
    """
    import pandas as pd

    # the default of pandas 2 may be off by the last bit
    exact: dict[str, Any] = (
        {"float_precision": "round_trip"} if pd.__version__.startswith("2.") else {}
    )
    dtype: Any = {**dict.fromkeys(_NAMES, str), **types}
    return _each_text(pd.read_csv(source, dtype=dtype, **_MISSING, **exact), unguard)


def lines_of(source: Path | IO[bytes] | IO[str], columns: Sequence[str]) -> list[str]:
    """The rows of a CSV file as they stand there, whatever was quoted, in some of its columns."""
    import pandas as pd

    cells = _each_text(pd.read_csv(source, dtype=str, **_MISSING), unguard)
    rows = cells[list(columns)].fillna("").itertuples(index=False, name=None)
    return [",".join(row) for row in rows]


def lines_of_table(table: "pd.DataFrame") -> list[str]:
    """`lines_of` what `csv_text` makes of a table."""
    return lines_of(io.StringIO(csv_text(table)), [str(column) for column in table])


def _each_text(table: "pd.DataFrame", change: Callable[[Any], Any]) -> "pd.DataFrame":
    changed = table.rename(columns=change)
    for place, name in enumerate(table.columns):
        texts = table.iloc[:, place]
        # most columns have nothing to change, and keep their type
        if any(change(cell) is not cell for cell in texts):
            changed[change(name)] = texts.map(change)
    return changed
