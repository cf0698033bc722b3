"""Rows of arrays in the names of the files that are written of them, and back."""

import pandas as pd

# Columns that name images, and those for the rows of these.
_IDS = {"image_id": "row", "other_image_id": "other_row"}
# Digits of a picture's digest beside its row.
_DIGITS = 12
_ROW = rf"(?:^|/)row(\d+)_[0-9a-f]{{{_DIGITS}}}\.png$"


def row_name(row: int, digest: str) -> str:
    """The name of a picture's file, without its ending.

    >>> row_name(7, "0123456789abcdef")
    'row7_0123456789ab'
    """
    return f"row{row}_{digest[:_DIGITS]}"


def with_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A table of images, with the row of each in the array that they were given in.

    Args:
        table: with columns such as image_id and other_image_id, or none.

    Returns:
        The same where they were no arrays; else with the columns row and other_row behind those.
    """
    for name in [name for name in _IDS if name in table and _IDS[name] not in table]:
        ids = table[name].dropna().astype(str)
        rows = ids.str.extract(_ROW, expand=False)
        if len(ids) and rows.notna().all():
            table = table.copy()
            numbers = rows.astype("int64")
            if len(ids) < len(table):
                numbers = numbers.astype("Int64").reindex(table.index)
            table.insert(list(table.columns).index(name) + 1, _IDS[name], numbers)
    return table
