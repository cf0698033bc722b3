"""Answers as lines, as a table for spreadsheets, and as a page."""

import csv
import html
import json
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from .model import FolderError, PlainClassifier

# What spreadsheets take for a formula.
_FORMULA = re.compile(r"'*[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_STYLE = (
    "body{font:16px sans-serif;margin:2em}td{padding:.4em 1em;border-top:1px solid #ccc}"
    "img{max-width:160px;max-height:160px}"
)


@dataclass(frozen=True)
class Answered:
    """A photo and its answer.

    Attributes:
        path: of the file.
        modified: when it was written, as text.
        answer: as of `PlainClassifier.answer`.
    """

    path: Path
    modified: str
    answer: dict[str, Any]

    @property
    def file(self) -> str:
        """The path as text that can be stored."""
        return os.fsencode(self.path).decode(errors="replace")


def answered(path: Path, classifier: PlainClassifier) -> Answered:
    """Read a file and ask; one that cannot be opened has a problem."""
    try:
        return Answered(path, modified(path), classifier.answer(path.read_bytes()))
    except OSError as error:
        why = f"cannot be opened: {error.strerror}"
        return Answered(path, "", classifier.nothing(why))


def modified(path: Path) -> str:
    """When a file was written, on this computer's clock."""
    return datetime.fromtimestamp(path.stat().st_mtime).isoformat(timespec="milliseconds")


def as_json(found: Answered) -> str:
    """A line of JSON."""
    return json.dumps({"file": found.file, **found.answer})


def as_text(found: Answered) -> str:
    """A line for people, in which nothing acts on a terminal."""
    answer = found.answer
    if answer["problem"]:
        text = f"{found.file}  ({answer['problem']})"
    else:
        decision = f"  ({answer['decision']})" if "decision" in answer else ""
        sure = answer.get("confidence", answer["probability"])
        text = f"{found.file}  {sure:.4f}  {answer['label']}{decision}"
    return plain(text)


def plain(text: str) -> str:
    """Text of anybody on one line, in which nothing acts on a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def page(every: Iterable[Answered], columns: Sequence[str]) -> str:
    """A page with the photos and their answers, which shows them from where they lie."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("photo", "file", *columns))
    rows = "\n".join(f"<tr>{_row(found, columns)}</tr>" for found in every)
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Photos</title>'
        f"<style>{_STYLE}</style><table><tr>{head}</tr>\n{rows}\n</table></html>\n"
    )


def _row(found: Answered, columns: Sequence[str]) -> str:
    source = html.escape(found.path.resolve().as_uri())
    cells = [found.file, *(found.answer[name] for name in columns)]
    texts = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells)
    named = "".join(f"<td><bdi>{html.escape(text)}</bdi></td>" for text in texts)
    return f'<td><img src="{source}" alt="" loading="lazy"></td>{named}'


class Table(AbstractContextManager["Table"]):
    """A CSV file that grows by a row for each photo."""

    def __init__(self, path: Path | None, columns: Sequence[str]) -> None:
        """Open it, with a first line of names where it is new.

        Args:
            path: Of the file; None writes none.
            columns: What is said of each photo.

        Raises:
            FolderError: It is a table of something else.
        """
        self._columns = ["file", "modified", *columns]
        self._rows = set() if path is None or not path.exists() else self._read(path)
        self._stream: IO[str] | None = None
        if path is not None:
            new = not path.exists() or path.stat().st_size == 0
            self._stream = path.open("a", encoding="utf-8-sig" if new else "utf-8", newline="")
            self._writer = csv.writer(self._stream, quoting=csv.QUOTE_NONNUMERIC)
            if new:
                self._writer.writerow(self._columns)

    def _read(self, path: Path) -> set[tuple[str, ...]]:
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
            rows = list(csv.reader(stream))
        if rows and rows[0] != self._columns:
            raise FolderError(
                f"{path} must have the columns {', '.join(self._columns)} to be added to, got "
                f"{', '.join(rows[0]) or 'none'}. Move it away, or name another file with --csv."
            )
        return {tuple(row[:2]) for row in rows}

    def knows(self, path: Path) -> bool:
        """Whether the file, as it is now, was answered before."""
        found = Answered(path, modified(path), {})
        return (_guarded(found.file), found.modified) in self._rows

    def add(self, found: Answered) -> None:
        """Write a row."""
        if self._stream is not None:
            cells = {"file": found.file, "modified": found.modified, **found.answer}
            self._writer.writerow([_guarded(cells.get(name, "")) for name in self._columns])
            self._stream.flush()

    def __exit__(self, *_: object) -> None:
        """Close it."""
        if self._stream is not None:
            self._stream.close()


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
