"""JSON text read strictly, with the line of every key."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tl_keras.errors import ConfigError
from tl_keras.safe_text import brief

KeyPath = tuple[str | int, ...]

_TOKEN = re.compile(r'\n|"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
# Of one message.
MOST_LINES, _LONGEST_LINE = 10, 1200
# No configuration needs more than five; each level costs time for every key below it.
_DEEPEST = 50
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_EXPECTED = (
    ("Expecting value", "a value"),
    ("Expecting property name", "a key in double quotes"),
    ("Expecting ':'", "a colon after the key"),
    ("Expecting ','", "a comma or the closing bracket"),
    ("Illegal trailing comma", "no comma before the closing bracket"),
    ("Unterminated string", "a closing double quote"),
    ("Invalid control character", "a closing double quote on the same line"),
    ("Invalid", 'a valid escape such as \\n or \\"'),
    ("Extra data", "the end of the file"),
)


@dataclass(frozen=True)
class JsonText:
    """A JSON value and where its parts stand.

    Attributes:
        value: The value as Python's `json` reads it.
        lines: Line, counted from 1, of every key (a path of keys) and list element (ending in an
            index).
    """

    value: Any
    lines: Mapping[KeyPath, int]


def listed(lines: Sequence[str], more: int = 0) -> str:
    """The first lines of a message, each shortened, and how many others there are.

    Args:
        lines: one per problem.
        more: problems that are not among them.
    """
    shown = [brief(line, _LONGEST_LINE) for line in lines[:MOST_LINES]]
    more += len(lines) - len(shown)
    return "\n".join([*shown, f"... and {more} more like these"] if more else shown)


def dotted(path: KeyPath) -> str:
    """Write a path as people do.

    >>> dotted(("search", "unfrozen_blocks", 1))
    'search.unfrozen_blocks[1]'
    """
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return written.removeprefix(".")


def refuse_depth(value: Any, name: str) -> None:
    """Nothing, if JSON types are nested as little as every step can bear.

    Args:
        value: JSON types.
        name: What messages call them.

    Raises:
        ConfigError: they are nested deeper.
    """
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        below = [part.values() if isinstance(part, dict) else part for part in level]
        level = [part for parts in below for part in parts if isinstance(part, dict | list)]
        if not level:
            return
    raise _too_deep(name)


def _too_deep(name: str) -> ConfigError:
    return ConfigError(f"{name}: brackets must not be nested more than {_DEEPEST} deep")


def read_json(text: str, name: str) -> JsonText:
    """Read JSON that repeats no key, holds finite numbers only and is not nested deeply.

    Args:
        text: The text, without a byte order mark.
        name: What messages call the text, such as a file's path.

    Raises:
        ConfigError: if the text is not such JSON; with line and column where its syntax is wrong.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(_syntax_message(text, name, error)) from error
    except RecursionError as error:
        raise _too_deep(name) from error
    except ValueError as error:
        raise ConfigError(f"{name}: a number has too many digits") from error
    refuse_depth(value, name)
    lines, problems = _lines_of_keys(text)
    if problems:
        raise ConfigError(listed([f"{name}:{problem}" for problem in problems]))
    return JsonText(value, lines)


@dataclass
class _Container:
    """An object or list that is being read; `key` is that of the value to come."""

    is_list: bool
    key: str | int | None = field(init=False)

    def __post_init__(self) -> None:
        self.key = 0 if self.is_list else None

    def next_value(self) -> None:
        self.key = self.key + 1 if isinstance(self.key, int) else None


def _lines_of_keys(text: str) -> tuple[dict[KeyPath, int], list[str]]:
    """Lines of all keys of valid JSON, and what is wrong with single keys."""
    lines: dict[KeyPath, int] = {}
    problems: list[str] = []
    open_containers: list[_Container] = []

    def path() -> KeyPath:
        return tuple(container.key for container in open_containers if container.key is not None)

    for token, line in _tokens(text):
        if token in ("}", "]"):
            open_containers.pop()
        elif token == ",":
            open_containers[-1].next_value()
        elif open_containers and open_containers[-1].key is None:
            open_containers[-1].key = json.loads(token)
            if path() in lines:
                first = lines[path()]
                problems.append(
                    f"{line}: {dotted(path())} must be given once; it is already on line {first}"
                )
            lines.setdefault(path(), line)
        elif token != ":":
            lines.setdefault(path(), line)
            if token in _NOT_FINITE:
                key = dotted(path()) or "the value"
                problems.append(f"{line}: {key} must be a finite number; got {token}")
            if token in ("{", "["):
                open_containers.append(_Container(token == "["))
    return lines, problems


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Brackets, commas, colons and scalars of valid JSON, each with its line."""
    line = 1
    for match in _TOKEN.finditer(text):
        if match[0] == "\n":
            line += 1
        else:
            yield match[0], line


def _syntax_message(text: str, name: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return f'{name}: must hold a JSON object such as {{"name": "parts"}}; the file is empty'
    expected = next(
        (wording for start, wording in _EXPECTED if error.msg.startswith(start)), "valid JSON"
    )
    found = re.match(r"\s*(\S{1,20})", text[error.pos :])
    received = f"got {found[1]}" if found else "the file ends here"
    place = f"{name}:{error.lineno}:{error.colno}"
    return f"{place}: not valid JSON: expected {expected}; {received}{_mend(text, error.pos)}"


def _mend(text: str, position: int) -> str:
    """What most likely went wrong at a position, as the end of a sentence."""
    before, rest = text[:position].rstrip(), text[position:].lstrip()
    if rest.startswith(("//", "/*", "#")):
        return "; JSON has no comments"
    if rest.startswith("'"):
        return "; JSON wants double quotes"
    if re.match(r"(True|False|None)\b", rest):
        return "; JSON writes true, false and null"
    if rest.startswith("\\"):
        return "; in a path write / or two backslashes"
    if (before.endswith(",") and rest.startswith(("}", "]"))) or re.match(r",\s*[}\]]", rest):
        return "; remove the comma before the closing bracket"
    return ""
