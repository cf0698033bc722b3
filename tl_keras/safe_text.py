"""Anybody's text, such as names of files and classes, on its way out to people.

In memory, in JSON and in Parquet a name is what it is. A terminal would obey what is inside it, a
page would turn it around, a spreadsheet would compute it, and a reader would not see what has no
width: here is what stands in its place there.
"""

import json
import os
import re
import unicodedata
from typing import Any

# Letters and marks that Python holds for printable, though nobody sees them.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U000e0100-\U000e01ef]"
)
# What spreadsheets take for a formula: https://owasp.org/www-community/attacks/CSV_Injection.
# The wide signs are those of East Asian keyboards; a number is none. Quotes before it are counted
# as part of it, so that what a guard added can be told from what was there.
_FORMULA = re.compile(
    r"'*+(?![-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?\Z)[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20]"
)


def visible(text: object, keep: str = "\n\t") -> str:
    r"""Text in which escapes such as \x1b stand for what a terminal obeys or nobody sees.

    That is controls, escape sequences, marks that turn the direction of writing, characters
    without width, parts of names that are no text, and whatever has no meaning yet.

    Args:
        text: of anybody.
        keep: characters to leave as they are.
    """
    text = str(text)
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(each if each in keep or _is_seen(each) else _escape(each) for each in text)


def one_line(text: object) -> str:
    """A name, visible, on one line."""
    return visible(text, keep="")


def brief(text: str, most: int = 200) -> str:
    """A text, with its middle left out where it is long."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} ... {text[-most // 4 :]}"


def readable_name(path: str | os.PathLike[str]) -> str:
    """A path as text; a name that is no UTF-8 could neither be printed nor stored."""
    return os.fsencode(path).decode(errors="replace")


def json_line(value: Any) -> str:
    """JSON on one line in readable characters, the others as escapes: it reads back as it was."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(each if _is_seen(each) else json.dumps(each)[1:-1] for each in text)


def guard(cell: Any) -> Any:
    """A cell of a CSV file: text that spreadsheets would compute gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguard(cell: Any) -> Any:
    """A cell of a CSV file as it was before `guard`."""
    guarded = isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell)
    return cell[1:] if guarded else cell


def _is_seen(each: str) -> bool:
    if _UNSEEN.match(each):
        return False
    # a wide space is a space
    return each.isprintable() or unicodedata.category(each) == "Zs"


def _escape(each: str) -> str:
    return each.encode("ascii", "backslashreplace").decode() if each > "\x7f" else repr(each)[1:-1]
