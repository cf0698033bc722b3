"""Images from a CSV or Parquet table with columns path, label and optional group, split."""

import csv
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from tl_keras.config.json_text import brief
from tl_keras.data.image_formats import endings_in_words, format_by_name
from tl_keras.data.listing import SPLIT_OF_NAME, ListedImage, Listing, some_of
from tl_keras.errors import DataError

_REQUIRED = ("path", "label")
_OPTIONAL = ("group", "split")


@dataclass(frozen=True)
class _Row:
    """One row: where it stands in the file, for messages, and its cells."""

    place: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def list_table(table: str, root: str | None = None) -> Listing:
    """List the images that a table names.

    All cells are read as text, so that the label 007 stays 007; surrounding blanks are removed.
    Further columns are allowed and not read.

    Args:
        table: A file that ends in .csv (UTF-8, separated by commas) or .parquet.
        root: Folder that relative paths start from; None is the working directory.

    Raises:
        DataError: if the table is missing or malformed, or a row is; with the row's number.
    """
    rows = _read_rows(Path(table))
    if not rows:
        raise DataError(f'data.table "{table}" has no rows below its header. Add the images.')
    base = Path(os.path.abspath(root or "."))  # noqa: PTH100 (also takes .. out)
    paths = [os.path.normpath(base / row["path"]) for row in rows]
    _check_cells(table, rows)
    _check_paths(table, rows, paths)
    _check_files(table, rows, paths)
    images = (
        ListedImage(
            _image_id(path, base),
            path,
            row["label"],
            row["group"] or None,
            SPLIT_OF_NAME.get(row["split"].lower()),
        )
        for row, path in zip(rows, paths, strict=True)
    )
    return Listing(tuple(images))


def _read_rows(table: Path) -> list[_Row]:
    readers: dict[str, Callable[[Path], list[_Row]]] = {
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    reader = readers.get(table.suffix.lower())
    if reader is None:
        raise DataError(f'data.table must be a .csv or .parquet file; got "{table}".')
    if not _is_file(table):
        raise DataError(
            f'data.table "{table}" is missing; relative paths start from the working directory.'
        )
    try:
        return reader(table)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f'data.table "{table}" cannot be read: {error}.') from error


def _read_csv(table: Path) -> list[_Row]:
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        columns = [name.strip() for name in next(reader, [])]
        _check_columns(table, columns)
        rows = []
        for cells in reader:
            place = f"line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f'data.table "{table}", {place}: must have {len(columns)} cells as the header '
                    f'has; got {len(cells)}. Put cells that hold a comma into "quotes".'
                )
            stripped = (cell.strip() for cell in cells)
            rows.append(_Row(place, dict(zip(columns, stripped, strict=True))))
    return rows


def _read_parquet(table: Path) -> list[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pq.ParquetFile(table).read()
    _check_columns(table, content.column_names)
    columns = [name for name in (*_REQUIRED, *_OPTIONAL) if name in content.column_names]
    for name in columns:
        kind = content.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_nested(kind) or pa.types.is_duration(kind):
            raise DataError(
                f'data.table "{table}": {name} must hold text or numbers, one value in every row; '
                f"got {kind}. Write the names themselves into the column."
            )
    # Cast by Arrow: by way of pandas, whole numbers with a gap would turn into 7.0.
    cells = [content.column(name).cast(pa.string()).to_pylist() for name in columns]
    return [
        _Row(f"row {number}", {n: (c or "").strip() for n, c in zip(columns, row, strict=True)})
        for number, row in enumerate(zip(*cells, strict=True), start=1)
    ]


def _check_columns(table: Path, columns: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in columns]
    known = [name for name in columns if name in (*_REQUIRED, *_OPTIONAL)]
    if missing or len(known) != len(set(known)):
        fault = f"lacks the column {missing[0]}" if missing else "has a column twice"
        hint = " Separate the columns by commas." if len(columns) == 1 else ""
        raise DataError(
            f'data.table "{table}" {fault}. It must have the columns path and label and may have '
            f"group and split; got {', '.join(columns) or 'an empty file'}.{hint}"
        )


def _check_cells(table: str, rows: list[_Row]) -> None:
    for column in _REQUIRED:
        _refuse(table, [row for row in rows if not row[column]], f"{column} must not be empty")
    for column in _OPTIONAL:
        empty = [row for row in rows if not row[column]]
        if len(empty) < len(rows):
            _refuse(table, empty, f"{column} must be given in every row or in none")
    unknown = [row for row in rows if row["split"] and row["split"].lower() not in SPLIT_OF_NAME]
    got = some_of(sorted({row["split"] for row in unknown}))
    _refuse(table, unknown, f"split must be train, validation or test, got {got}")


def _check_paths(table: str, rows: list[_Row], paths: list[str]) -> None:
    other = [row for row in rows if format_by_name(row["path"]) is None]
    got = some_of(sorted({Path(row["path"]).suffix or "no ending" for row in other}))
    _refuse(table, other, f"path must end in one of {endings_in_words()}, got {got}")
    seen: dict[str, _Row] = {}
    for row, path in zip(rows, paths, strict=True):
        first = seen.setdefault(path, row)
        if first is not row:
            _refuse(table, [row], f'path "{row["path"]}" is already in {first.place}')


def _check_files(table: str, rows: list[_Row], paths: list[str]) -> None:
    missing = [row for row, path in zip(rows, paths, strict=True) if not _is_file(path)]
    if not missing:
        return
    beside = Path(table).absolute().parent
    if any("\\" in row["path"] for row in missing) and os.sep == "/":
        mend = "Write / for \\ in the paths."
    elif all(_is_file(beside / row["path"]) for row in missing):
        mend = f'They exist beside the table: set data.root to "{beside}".'
    else:
        mend = "Correct the paths or set data.root to the folder that they start from."
    example = paths[rows.index(missing[0])]
    _refuse(table, missing, f'path must name an existing file, got "{brief(example)}"', mend)


def _is_file(path: str | Path) -> bool:
    """Whether it is one, also where no file system takes such a path."""
    return os.path.isfile(path)  # noqa: PTH113


def _refuse(table: str, rows: Iterable[_Row], fault: str, mend: str = "") -> None:
    places = [row.place for row in rows]
    if places:
        count = f" ({len(places)} rows)" if len(places) > 1 else ""
        raise DataError(f'data.table "{table}", {some_of(places)}{count}: {fault}. {mend}'.rstrip())


def _image_id(path: str, base: Path) -> str:
    inside = PurePath(path).is_relative_to(base)
    return (PurePath(path).relative_to(base) if inside else PurePath(path)).as_posix()
