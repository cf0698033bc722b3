"""Experiment files and directories of images, read into configurations."""

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tl_keras.config.json_text import KeyPath, dotted, read_json
from tl_keras.config.overrides import Override, read_overrides, with_overrides
from tl_keras.config.problems import Problem, nearest, problems_of, schema, shown
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import ConfigError

# Keys that change no number of a run.
_WITHOUT_EFFECT = ("description", "results_dir", "export", "cache", "decision")
_ABSENT = object()
_LARGEST_FILE = 1_000_000  # bytes
_EXAMPLE = '{"name": "parts", "data": {"folder": "photos/parts"}}'


def load_config(source: str | os.PathLike[str], overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment.

    Args:
        source: A JSON file, or a directory of images that is run with the defaults under the
            directory's name.
        overrides: Texts `key.sub=value`, as after `--set`.

    Raises:
        ConfigError: with one line for every problem: the place, what was wrong, what is allowed and
            what was received.
    """
    path = Path(source)
    if path.is_dir():
        raw: Any = {"name": slug(path.resolve().name), "data": {"folder": str(path)}}
        places = _Places(str(path))
    else:
        text = read_json(_text(path), str(path))
        raw, places = text.value, _Places(str(path), text.lines)
    changes, problems = read_overrides(overrides)
    return _validated(raw, _Places(places.name, places.lines, changes), problems)


def parse_config(raw: Mapping[str, Any]) -> ExperimentConfig:
    """Read an experiment from Python values, with the keys of an experiment file.

    Args:
        raw: JSON types; tuples pass for lists and paths for strings.

    Raises:
        ConfigError: as `load_config` does, with "configuration" for the place.
    """
    try:
        plain = json.loads(json.dumps(raw, default=_as_json))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"configuration: must hold JSON types only; {error}") from error
    return _validated(plain, _Places("configuration"))


def fingerprint(config: ExperimentConfig) -> str:
    """First 12 hexadecimal digits of the SHA-256 of the keys that change numbers."""
    text = json.dumps(_with_effect(config.as_dict()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Compare two configurations as `ExperimentConfig.as_dict` gives them.

    Returns:
        Lines such as `training.phase_1.epochs: 30 -> 50`, for keys that change numbers only.
    """
    before, after = _leaves(_with_effect(old)), _leaves(_with_effect(new))
    return [
        f"{key}: {_shown_leaf(before, key)} -> {_shown_leaf(after, key)}"
        for key in {**before, **after}
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]


def json_schema() -> dict[str, Any]:
    """JSON Schema of an experiment file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema()}


def slug(text: str) -> str:
    """The nearest valid name of an experiment.

    >>> slug("My photos (2024)")
    'My_photos_2024'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("_.-")[:100] or "images"


@dataclass(frozen=True)
class _Places:
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


def _validated(raw: Any, places: _Places, known: Sequence[str] = ()) -> ExperimentConfig:
    """The configuration, or one error with the problems already known and those found now."""
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{places.name}: must hold one JSON object, such as {_EXAMPLE}; got {shown(raw)}"
        )
    raw = with_overrides(raw, places.overrides)
    config, problems = None, _unusable_text(raw)
    if not problems:
        try:
            config = ExperimentConfig.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            problems = problems_of(error, raw)
    if config is None or known:
        placed = sorted((*places.of(problem.path), problem.text) for problem in problems)
        raise ConfigError("\n".join([*known, *(f"{place}: {text}" for _, place, text in placed)]))
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


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ConfigError(_missing_message(path))
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise ConfigError(
                f"{path}: must be an experiment file of at most 1 MB, or a directory of images; "
                f"got a file of {size / 1e6:.0f} MB"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigError(
            f"{path}: must be an experiment file (JSON in UTF-8) or a directory of images; got a "
            "file that is not UTF-8 text"
        )
    return text


def _missing_message(path: Path) -> str:
    message = (
        f"{path}: must be an experiment file (JSON) or a directory of images; got a path where "
        "there is neither"
    )
    shipped = list(Path("experiments").glob("*.json"))
    beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    candidates = {name: entry for entry in shipped for name in (entry.stem, entry.name)}
    candidates |= {entry.name: entry for entry in beside}
    near = nearest(path.name, candidates)
    return f"{message}; did you mean {candidates[near]}?" if near else message


def _as_json(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    raise TypeError(f"got {value!r} of type {type(value).__name__}")


def _with_effect(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _WITHOUT_EFFECT}


def _leaves(section: Mapping[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, (*path, key))
        else:
            leaves[dotted((*path, key))] = value
    return leaves


def _shown_leaf(leaves: Mapping[str, Any], key: str) -> str:
    return shown(leaves[key]) if key in leaves else "(absent)"
