"""Pages of one file each: templates, tables and pictures inside them."""

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from tl_keras.atomic_files import write_text
from tl_keras.errors import ResultsError
from tl_keras.invocation import other_place
from tl_keras.reporting.label_marks import Mark, cells
from tl_keras.reporting.page_scripts import script, script_hash
from tl_keras.reporting.terms import terms
from tl_keras.safe_text import visible


@dataclass(frozen=True)
class Cell:
    """A cell of a table with more than its text.

    Attributes:
        text: of the cell.
        place: an id of the page that the text leads to; "" is none.
        title: what a pointer that rests on it shows.
    """

    text: str
    place: str = ""
    title: str = ""


@dataclass(frozen=True)
class Cells:
    """A table of a page.

    Attributes:
        columns: headings, each once.
        rows: as many cells each, text, numbers or a `Cell`.
        numbers: headings of the columns that are set flush right.
        marked: positions of the rows that are set off.
        alike: whether rows are of one kind, so that they can be sorted.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    numbers: Sequence[str] = ()
    marked: Sequence[int] = ()
    alike: bool = True


@dataclass(frozen=True)
class Photo:
    """A photo of a page, beside others of the same kind.

    Attributes:
        images: addresses with the pictures inside, such as the photo and its map; None where there
            is no picture.
        lines: what stands below.
        alt: what it shows, for those who do not see it.
        mark: what somebody may say of its label; None of a photo without choices.
        path: its whole name, where the first line has a short one.
        place: an id, for links to it.
    """

    images: Sequence[str | None]
    lines: Sequence[str] = field(default=())
    alt: str = "photo"
    mark: Mark | None = None
    path: str = ""
    place: str = ""


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tl_keras.reporting"),
        # names of files and classes are anybody's text
        autoescape=True,
        finalize=_as_it_stands,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cells"] = cells
    environment.globals.update(script=script, script_hash=script_hash, terms=terms)
    return environment


def _as_it_stands(value: object) -> object:
    """What a page shows, with escapes for what would turn its line around or be seen by nobody."""
    return value if hasattr(value, "__html__") else visible(value)


def render(template: str, content: Mapping[str, Any]) -> str:
    """A page, as HTML.

    Args:
        template: file in `tl_keras/reporting/templates/`.
        content: what it names.

    Raises:
        ValueError: it names what the content lacks.
    """
    try:
        return _templates().get_template(template).render(content)
    except jinja2.UndefinedError as error:
        raise ValueError(str(error)) from error


def jpeg_uri(encoded: bytes) -> str:
    """A JPEG file inside an address, for a page that needs no other file."""
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()


def write_page(path: Path, html: str) -> None:
    """Write a page; a reader never sees half of it.

    Raises:
        ResultsError: it cannot be written.
    """
    try:
        write_text(path, html)
    except OSError as error:
        raise ResultsError(
            f"{path} must be a file that can be written; got: {error}. Choose another "
            f"{other_place('--output', 'path')}."
        ) from error
