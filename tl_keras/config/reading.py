"""Configurations read from files or Python values, whatever their model."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from tl_keras.config.json_text import KeyPath, dotted, read_json
from tl_keras.config.overrides import Override, read_overrides, with_overrides
from tl_keras.config.problems import Problem, nearest, problems_of, schema_of, shown
from tl_keras.errors import ConfigError

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

    def of(self, path: KeyPath) -> tuple[int, str]:
        """Line (0 where there is none) and place of a key, or of the section it would be in."""
        for end in range(len(path), 0, -1):
            for override in reversed(self.overrides):
                if override.path == path[:end]:
                    return 0, f"--set {override.text}"
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
    text = read_json(_text(kind, path), str(path))
    return validated(kind, text.value, Places(str(path), text.lines), overrides)


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
    changes, refused = read_overrides(overrides, schema)
    places = replace(places, overrides=changes)
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{places.name}: must hold one JSON object, such as {kind.example}; got {shown(raw)}"
        )
    raw = with_overrides(raw, changes)
    config, problems = None, _unusable_text(raw)
    if not problems:
        try:
            config = kind.model.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            problems = problems_of(error, raw, schema)
    if config is None or refused:
        placed = sorted((*places.of(problem.path), problem.text) for problem in problems)
        raise ConfigError("\n".join([*refused, *(f"{place}: {text}" for _, place, text in placed)]))
    return config


def _unusable_text(value: Any, path: KeyPath = ()) -> list[Problem]:
    """Strings that no file system takes."""
    parts: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        parts = [*value.items(), *((key, key) for key in value)]
    elif isinstance(value, list):
        parts = list(enumerate(value))
    elif isinstance(value, str) and re.search("[\0\ud800-\udfff]", value):
        return [Problem(path, f"{dotted(path)!a} must be Unicode text; got {value!a}")]
    return [problem for key, part in parts for problem in _unusable_text(part, (*path, key))]


def _text(kind: Kind[Model], path: Path) -> str:
    try:
        if not path.is_file():
            raise ConfigError(_missing_message(kind, path))
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise ConfigError(
                f"{path}: must be {kind.what}, of at most 1 MB; got a file of {size / 1e6:.0f} MB"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigError(f"{path}: must be {kind.what}; got a file that is not UTF-8 text")
    return text


def _missing_message(kind: Kind[Model], path: Path) -> str:
    message = f"{path}: must be {kind.what}; got a path where there is nothing"
    shipped = list(Path("experiments").glob("*.json"))
    beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    candidates = {name: entry for entry in shipped for name in (entry.stem, entry.name)}
    candidates |= {entry.name: entry for entry in beside}
    near = nearest(path.name, candidates)
    return f"{message}; did you mean {candidates[near]}?" if near else message
