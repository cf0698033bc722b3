"""Images from a CSV, TSV or Parquet table with columns path, label and optional group, split."""

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

from tl_keras.config.schema import TableColumns
from tl_keras.data.csv_text import rows_of
from tl_keras.data.image_formats import endings_in_words, format_by_name
from tl_keras.data.listing import ListedImage, Listing, some_of, where_paths_start
from tl_keras.data.split_names import UNLABELLED, splits_of
from tl_keras.errors import DataError
from tl_keras.home import with_home
from tl_keras.invocation import settings
from tl_keras.path_kinds import A_FILE, A_FOLDER, NOTHING, kind_of
from tl_keras.safe_text import brief, one_line

_PATH, _LABEL = _REQUIRED = ("path", "label")
_OPTIONAL = ("group", "split")
# Of a picture, beside its path.
_SAID = (_LABEL, *_OPTIONAL)
# Columns by what is meant: those of the file.
Names = Mapping[str, str]
# What people call them, besides; of the first that fits.
_USUAL = {
    _LABEL: ("label", "class", "category", "type", "target", "defect", "diagnosis", "species"),
    "group": ("group", "patient", "slide", "subject", "part", "batch", "picture", "source"),
}


@dataclass(frozen=True)
class _Row:
    """One row: where it stands in the file, for messages, and its cells."""

    place: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def list_table(table: str, root: str | None = None, columns: TableColumns | None = None) -> Listing:
    r"""List the images that a table names.

    All cells are read as text, so that the label 007 stays 007; surrounding blanks are removed.
    Further columns are allowed and not read.

    Args:
        table: A file that ends in .csv, .tsv (as `rows_of` reads them) or .parquet.
        root: Folder that relative paths start from; None is the working directory. Paths may be
            written with \ in place of / and begin with ~.
        columns: What its columns are called, where they have other names.

    Raises:
        DataError: if the table is missing or malformed, or a row is; with the row's number.
    """
    rows = _read_rows(Path(table), (columns or TableColumns()).model_dump())
    if not rows:
        raise DataError(f'data.table "{table}" has no rows below its header. Add the images.')
    base = Path(os.path.abspath(root or "."))  # noqa: PTH100 (also takes .. out)
    paths = [_path_of(row["path"], base) for row in rows]
    _check_cells(table, rows)
    splits = splits_of({row["split"] for row in rows})
    _check_paths(table, rows, paths)
    _check_files(table, rows, paths)
    images = (
        ListedImage(
            _image_id(path, base),
            path,
            row["label"],
            row["group"] or None,
            splits.get(row["split"]),
        )
        for row, path in zip(rows, paths, strict=True)
    )
    return Listing(tuple(images))


def _read_rows(table: Path, named: Names) -> list[_Row]:
    readers: dict[str, Callable[[Path, Names], list[_Row]]] = {
        ".csv": _read_text,
        ".tsv": _read_text,
        ".parquet": _read_parquet,
    }
    reader = readers.get(table.suffix.lower())
    if reader is None:
        raise DataError(f'data.table must be a .csv, .tsv or .parquet file; got "{table}".')
    _check_is_file(table)
    try:
        return reader(table, named)
    except (OSError, ValueError, csv.Error, NotImplementedError, TypeError) as error:
        raise DataError(f'data.table "{table}" cannot be read: {error}.') from error


def _check_is_file(table: Path) -> None:
    there = kind_of(table)
    if there == NOTHING:
        raise DataError(f'data.table "{table}" is missing; {where_paths_start(str(table))}.')
    if there != A_FILE:
        mend = "Correct the path, or save the table as a file."
        if there == A_FOLDER:
            mend = "For pictures in class folders set data.folder in its place."
        raise DataError(f'data.table "{table}" must be a file; it is {there}. {mend}')


def _read_text(table: Path, named: Names) -> list[_Row]:
    lines = rows_of(table, [named[name] for name in _REQUIRED])
    header = [name.strip() for name in next(lines, (0, []))[1]]
    below = list(lines)
    check_columns(f'data.table "{table}"', header, named, below[0][1] if below else ())
    meant = {theirs: name for name, theirs in named.items()}
    columns = [meant.get(name, f"column {number}") for number, name in enumerate(header)]
    rows = []
    for number, cells in below:
        place = f"line {number}"
        if not cells:
            continue
        if len(cells) != len(columns):
            raise DataError(
                f'data.table "{table}", {place}: must have {len(columns)} cells as the header '
                f'has; got {len(cells)}. Put cells that hold a separator into "quotes".'
            )
        stripped = (cell.strip() for cell in cells)
        rows.append(_Row(place, dict(zip(columns, stripped, strict=True))))
    return rows


def _read_parquet(table: Path, named: Names) -> list[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pq.ParquetFile(table).read()
    first = [str(value) for row in content.slice(0, 1).to_pylist() for value in row.values()]
    check_columns(f'data.table "{table}"', content.column_names, named, first)
    columns = [name for name in named if named[name] in content.column_names]
    for name in columns:
        kind = content.schema.field(named[name]).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_nested(kind) or pa.types.is_duration(kind):
            raise DataError(
                f'data.table "{table}": {named[name]} must hold text or numbers, one value in '
                f"every row; got {kind}. Write the names themselves into the column."
            )
    # Cast by Arrow: by way of pandas, whole numbers with a gap would turn into 7.0.
    cells = [content.column(named[name]).cast(pa.string()).to_pylist() for name in columns]
    return [
        _Row(f"row {number}", {n: (c or "").strip() for n, c in zip(columns, row, strict=True)})
        for number, row in enumerate(zip(*cells, strict=True), start=1)
    ]


def check_columns(table: str, columns: Sequence[str], named: Names, first: Sequence[str]) -> None:
    """Refuse a header without the columns that are named, with a line that names its own.

    Args:
        table: in words.
        columns: of its header.
        named: as they are to be called.
        first: the cells below, none of an empty table.

    Raises:
        DataError: a column is missing, or there twice.
    """
    asked = [name for name in named if name in _REQUIRED or named[name] != name]
    missing = [named[name] for name in asked if named[name] not in columns]
    known = [name for name in columns if name in named.values()]
    if not missing and len(known) == len(set(known)):
        return
    fault = f"lacks the column {missing[0]}" if missing else "has a column twice"
    told = ", ".join(columns) or "an empty file"
    mend = "Separate the columns by commas, and name them so."
    if len(columns) > 1:
        guess = settings({"data.columns": _guessed(columns, first)})
        mend = f"If the columns have other names, say which they are: {guess}"
    raise DataError(
        f"{table} {fault}. It must have the columns {named[_PATH]} and "
        f"{named[_LABEL]} and may have {named['group']} and {named['split']}; got {told}. {mend}"
    )


def _guessed(columns: Sequence[str], first: Sequence[str]) -> dict[str, str]:
    """Which columns may be meant, by the ending of the first cells and by usual names."""
    left = list(columns)
    named = [name for name, cell in zip(columns, first, strict=False) if format_by_name(cell)]
    guess = {_PATH: (named or left)[0]}
    for meant, usual in _USUAL.items():
        left = [name for name in left if name not in guess.values()]
        fits = [name for word in usual for name in left if word in name.lower()]
        if fits or (meant == _LABEL and left):
            guess[meant] = (fits or left)[0]
    return guess


def _check_cells(table: str, rows: list[_Row]) -> None:
    for column in _REQUIRED:
        _refuse(table, [row for row in rows if not row[column]], f"{column} must not be empty")
    for column in _OPTIONAL:
        empty = [row for row in rows if not row[column]]
        if len(empty) < len(rows):
            _refuse(table, empty, f"{column} must be given in every row or in none")
    splits = splits_of({row["split"] for row in rows})
    unknown = [
        row for row in rows if row["split"] and splits.get(row["split"], UNLABELLED) == UNLABELLED
    ]
    got = some_of(sorted({row["split"] for row in unknown}))
    _refuse(table, unknown, f"split must be train, validation or test, got {got}")


def _check_paths(table: str, rows: list[_Row], paths: list[str]) -> None:
    other = [row for row in rows if format_by_name(row["path"]) is None]
    got = some_of(sorted({Path(row["path"]).suffix or "no ending" for row in other}))
    _refuse(table, other, f"path must end in one of {endings_in_words()}, got {got}")
    seen: dict[str, _Row] = {}
    again = [
        (seen[path], row)
        for row, path in zip(rows, paths, strict=True)
        if seen.setdefault(path, row) is not row
    ]
    if not again:
        return
    # first those where somebody has to choose
    differing = [pair for pair in again if any(pair[0][name] != pair[1][name] for name in _SAID)]
    pairs = differing or again
    first, second = pairs[0]
    fault = f'path "{brief(second["path"])}" is already in {first.place}'
    mend = "A picture has one row: take the others out."
    for name in _SAID:
        if first[name] != second[name]:
            fault += f", where its {name} is {one_line(first[name])}, not {one_line(second[name])}"
            mend = "A picture has one row: keep the right one."
    _refuse(table, [row for _, row in pairs], fault, mend)


def _path_of(cell: str, base: Path) -> str:
    r"""Absolute, also where it is written with \ or begins with ~, unless a file is named so."""
    plain = os.path.normpath(base / cell)
    slashed = cell.replace("\\", "/")
    if slashed.startswith("~/"):
        slashed = with_home(slashed)
    written = os.path.normpath(base / slashed)
    return plain if plain == written or _is_file(plain) else written


def _is_file(path: str) -> bool:
    # False as well for what can be no path, such as names that are too long
    return os.path.isfile(path)  # noqa: PTH113


def _check_files(table: str, rows: list[_Row], paths: list[str]) -> None:
    kinds = {path: kind_of(path) for path in paths if not _is_file(path)}
    if not kinds:
        return
    places = list(zip(rows, paths, strict=True))
    if odd := [(row, path) for row, path in places if kinds.get(path, NOTHING) != NOTHING]:
        first = odd[0][1]
        fault = f'path must name an existing file, got "{brief(first)}", which is {kinds[first]}'
        mend = "Correct the path, save the picture as a file, or take its row out."
        _refuse(table, [row for row, _ in odd], fault, mend)
    missing = [row for row, path in places if path in kinds]
    beside = Path(table).absolute().parent
    if any(PureWindowsPath(row["path"]).drive for row in missing) and os.sep == "/":
        mend = (
            "Take the drive out of the paths, and set data.root to the folder that is there here."
        )
    elif all(_is_file(_path_of(row["path"], beside)) for row in missing):
        mend = f'They exist beside the table: set data.root to "{beside}".'
    else:
        mend = "Correct the paths or set data.root to the folder that they start from."
    example = paths[rows.index(missing[0])]
    _refuse(table, missing, f'path must name an existing file, got "{brief(example)}"', mend)


def _refuse(table: str, rows: Iterable[_Row], fault: str, mend: str = "") -> None:
    places = [row.place for row in rows]
    if places:
        count = f" ({len(places)} rows)" if len(places) > 1 else ""
        raise DataError(f'data.table "{table}", {some_of(places)}{count}: {fault}. {mend}'.rstrip())


def _image_id(path: str, base: Path) -> str:
    inside = PurePath(path).is_relative_to(base)
    return (PurePath(path).relative_to(base) if inside else PurePath(path)).as_posix()
