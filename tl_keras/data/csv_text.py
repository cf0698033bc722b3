"""The text of a table whose cells are separated, whatever wrote it."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

_SEPARATORS = (",", ";", "\t", "|")
# The longer mark first: UTF-32 begins as UTF-16 does.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def rows_of(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table, the header first, each with the number of its last line.

    UTF-8, and UTF-16 and UTF-32 where the file says so; separated by commas, semicolons, tabs or
    bars, whichever makes a header with the columns.

    Args:
        table: the file.
        columns: that the header must have.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such text, and what to do.
        csv.Error: quotes in it do not close.
    """
    text = _decoded(table.read_bytes(), columns)
    first, _, rest = text.partition("\n")
    named = first.strip().lower()
    skipped = 0
    if named.startswith("sep=") and len(named) <= len("sep=;"):
        # As spreadsheets write and read it.
        text, skipped = rest, 1
    reader = csv.reader(
        io.StringIO(text, newline=""), strict=True, delimiter=_separator(text, columns)
    )
    for cells in reader:
        yield reader.line_num + skipped, cells


def _decoded(content: bytes, columns: Sequence[str]) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding)
    for encoding in ("utf-16-le", "utf-16-be") if b"\0" in content else ():
        text = content.decode(encoding, "ignore")
        if _header_fits(text, columns):
            return text
    try:
        # Spreadsheets put a byte order mark before the first column's name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line} is not UTF-8 text; save it as UTF-8 (spreadsheets call it CSV UTF-8)"
        ) from error
    if "\0" in text:
        raise ValueError("it holds zero bytes and is no text; save it as UTF-8")
    return text


def _separator(text: str, columns: Sequence[str]) -> str:
    fits = (s for s in _SEPARATORS if set(columns) <= _header(text, s))
    # with other names, the one that makes most columns of the header
    return next(fits, max(_SEPARATORS, key=lambda s: len(_header(text, s))))


def _header_fits(text: str, columns: Sequence[str]) -> bool:
    return any(set(columns) <= _header(text, separator) for separator in _SEPARATORS)


def _header(text: str, separator: str) -> set[str]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return {name.strip() for name in next(lines, [])}
    except csv.Error:
        return set()
