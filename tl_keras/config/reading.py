"""Configurations read from files or Python values, whatever their model."""

import heapq
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from tl_keras.config.json_text import (
    MOST_LINES,
    KeyPath,
    dotted,
    listed,
    read_json,
    refuse_depth,
)
from tl_keras.config.overrides import Override, read_overrides, with_overrides
from tl_keras.config.problems import Problem, Wording, nearest, problems_of, schema_of, shown
from tl_keras.errors import ConfigError
from tl_keras.invocation import in_json
from tl_keras.path_kinds import A_FILE, NOTHING, kind_of
from tl_keras.safe_text import brief

Model = TypeVar("Model", bound=BaseModel)

_LARGEST_FILE = 1_000_000  # bytes


@dataclass(frozen=True)
class Kind(Generic[Model]):
    """A kind of configuration.

    Attributes:
        model: its keys and their rules.
        what: it may be read from, for messages.
        example: a short one.
    """

    model: type[Model]
    what: str
    example: str


@dataclass(frozen=True)
class Places:
    """Where the keys of a configuration were written."""

    name: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    overrides: Sequence[Override] = ()

    @cached_property
    def _overridden(self) -> Mapping[KeyPath, Override]:
        """The last override of each key."""
        return {override.path: override for override in self.overrides}

    def of(self, path: KeyPath) -> tuple[int, str]:
        """Line (0 where there is none) and place of a key, or of the section it would be in."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._overridden:
                return 0, f"--set {brief(self._overridden[path[:end]].text)}"
            if path[:end] in self.lines:
                line = self.lines[path[:end]]
                return line, f"{self.name}:{line}"
        return 0, self.name


def read_file(kind: Kind[Model], path: Path, overrides: Sequence[str] = ()) -> Model:
    """Read a JSON file.

    Args:
        kind: of configuration.
        path: the file.
        overrides: Texts `key.sub=value`, as after `--set`.

    Raises:
        ConfigError: with one line for every problem: the place, what was wrong, what is allowed and
            what was received.
    """
    name = brief(str(path))
    text = read_json(_text(kind, path), name)
    with in_json():
        return validated(kind, text.value, Places(name, text.lines), overrides)


def of_values(kind: Kind[Model], raw: Mapping[str, Any], name: str) -> Model:
    """The configuration that Python values make.

    Args:
        kind: of configuration.
        raw: JSON types; tuples, ranges and arrays pass for lists, numbers of NumPy for numbers and
            paths for strings.
        name: what messages call it.

    Raises:
        ConfigError: as `read_file`.
    """
    try:
        plain = json.loads(json.dumps(raw, default=_as_json))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: must hold JSON types only; {error}") from error
    return validated(kind, plain, Places(name))


def _as_json(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, range):
        return list(value)
    # numbers and arrays of NumPy, which this module need not import
    if callable(plain := getattr(value, "tolist", None)):
        return plain()
    raise TypeError(f"got {value!r} of type {type(value).__name__}")


def validated(kind: Kind[Model], raw: Any, places: Places, overrides: Sequence[str] = ()) -> Model:
    """The configuration that JSON types make, with keys overridden.

    Args:
        kind: of configuration.
        raw: JSON types.
        places: where the keys of `raw` were written.
        overrides: Texts `key.sub=value`, as after `--set`.

    Raises:
        ConfigError: as `read_file`.
    """
    schema = schema_of(kind.model)
    refuse_depth(raw, places.name)
    changes, refused = read_overrides(overrides, schema)
    places = replace(places, overrides=changes)
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{places.name}: must hold one JSON object, such as {kind.example}; got {shown(raw)}"
        )
    raw = with_overrides(raw, changes)
    config: Model | None = None
    problems: Mapping[KeyPath, Wording] = _unusable_text(raw)
    if not problems:
        try:
            config = kind.model.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            problems = problems_of(error, raw, schema)
    if config is None or refused:
        raise ConfigError(_in_order(problems, places, refused))
    return config


def _in_order(problems: Mapping[KeyPath, Wording], places: Places, refused: Sequence[str]) -> str:
    """The first problems as they stand in the file, after overrides that were refused."""

    def place(path: KeyPath) -> tuple[int, str, Any]:
        return (*places.of(path), _order(path))

    first = heapq.nsmallest(MOST_LINES, problems, key=place)
    # a broken rule finds its key when it is worded
    worded = [problem for path in first for problem in problems[path]()]
    lines = [
        f"{places.of(problem.path)[1]}: {problem.text}"
        for problem in sorted(worded, key=lambda problem: (place(problem.path), problem.text))
    ]
    return listed([*refused, *lines], more=len(problems) - len(first))


def _order(path: KeyPath) -> tuple[tuple[int, str], ...]:
    return tuple((part, "") if isinstance(part, int) else (-1, part) for part in path)


def _unusable_text(value: Any, path: KeyPath = ()) -> dict[KeyPath, Wording]:
    """Strings that no file system takes, by their path."""
    if isinstance(value, str):
        return _unusable(value, path)
    if not isinstance(value, dict | list):
        return {}
    found: dict[KeyPath, Wording] = {}
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        found |= _unusable_text(part, (*path, key))
        if isinstance(key, str):
            found |= _unusable(key, (*path, key))
    return found


def _unusable(text: str, path: KeyPath) -> dict[KeyPath, Wording]:
    if not re.search("[\0\ud800-\udfff]", text):
        return {}
    fault = f"{dotted(path)!a} must be Unicode text without NUL; got {brief(text)!a}"
    return {path: lambda: [Problem(path, fault)]}


def _text(kind: Kind[Model], path: Path) -> str:
    name = brief(str(path))
    try:
        if (there := kind_of(path)) == NOTHING:
            raise ConfigError(f"{name}: {_missing(kind, path)}")
        if there != A_FILE:
            raise ConfigError(f"{name}: must be {kind.what}; got {there}")
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise ConfigError(
                f"{name}: must be {kind.what}, of at most 1 MB; got a file of {size / 1e6:.0f} MB"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{name}: must be {kind.what} that can be read; got {error.strerror or error}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{name}: must be {kind.what}; got a path with {error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigError(f"{name}: must be {kind.what}; got a file that is not UTF-8 text")
    return text


def _missing(kind: Kind[Model], path: Path) -> str:
    message = f"must be {kind.what}; got a path where there is nothing"
    shipped = list(Path("experiments").glob("*.json"))
    beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    candidates = {name: entry for entry in shipped for name in (entry.stem, entry.name)}
    candidates |= {entry.name: entry for entry in beside if entry.exists()}
    near = nearest(path.name, candidates)
    return f"{message}; did you mean {candidates[near]}?" if near else message
