"""Overrides of single keys from the command line, `--set key.sub=value`."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tl_keras.config.json_text import KeyPath, refuse_depth
from tl_keras.config.problems import Schema, schema_at, unknown_key
from tl_keras.errors import ConfigError
from tl_keras.safe_text import brief

# what each source of images takes with it when another one replaces it
_SOURCES = {"folder": ("class_level",), "table": ("root", "columns"), "tfds": ("data_dir",)}
# what JSON Schema calls the types of JSON
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True)
class Override:
    """One key and its new value; `text` is what the user wrote after `--set`."""

    path: tuple[str, ...]
    value: Any
    text: str


def read_overrides(texts: Sequence[str], schema: Schema) -> tuple[list[Override], list[str]]:
    """Read `key.sub=value` texts; the value is JSON where it is JSON, else a string.

    Args:
        texts: What was written after each `--set`.
        schema: Of the configuration.

    Returns:
        The overrides, and a message for each text that is none: without `=`, of an unknown key, or
        of a second source of images.
    """
    overrides: list[Override] = []
    problems: list[str] = []
    for text in texts:
        read = _override(text, _sources(overrides), schema)
        if isinstance(read, Override):
            overrides.append(read)
        else:
            problems.append(f"--set {brief(text)}: {read}")
    return overrides, problems


def with_overrides(raw: Mapping[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    """A copy of a configuration with keys replaced, later overrides last.

    A new source of images replaces the one in `raw` and what goes with that one only: `class_level`
    with a folder, `root` and `columns` with a table, `data_dir` with a TFDS name.
    """
    changed = copy.deepcopy(dict(raw))
    _drop_replaced_sources(changed, overrides)
    for override in overrides:
        section = changed
        for part in override.path[:-1]:
            inner = section.get(part, {})
            # true and false are short for a section, and to set one of its keys asks for it
            section[part] = section = {} if isinstance(inner, bool) else inner
            if not isinstance(section, dict):
                break
        else:
            section[override.path[-1]] = override.value
    return changed


def _override(text: str, sources: set[str], schema: Schema) -> Override | str:
    """One override, or what is wrong with it; `sources` are those that were set before it."""
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not key.strip():
        return "must be key=value, such as data.folder=photos"
    if (unknown := _first_unknown(path, schema)) is not None:
        return unknown_key(schema, unknown).text
    override = Override(path, _value(value, schema_at(schema, path)), text)
    source = _sources([override])
    if source and sources - source:
        both = " and ".join(sorted(sources | source))
        return f"data must have exactly one of {', '.join(_SOURCES)}; got {both}"
    return override


def _first_unknown(path: KeyPath, schema: Schema) -> KeyPath | None:
    prefixes = (path[: length + 1] for length in range(len(path)))
    return next((prefix for prefix in prefixes if not schema_at(schema, prefix)), None)


def _value(text: str, allowed: Schema) -> Any:
    try:
        value = json.loads(text)
        refuse_depth(value, "the value")
    except (ValueError, RecursionError, ConfigError):
        return text
    kinds = {branch.get("type") for branch in allowed.get("anyOf", [allowed])}
    takes_text = "string" in kinds and _KINDS.get(type(value)) not in kinds
    return text if takes_text and not isinstance(value, str) else value


def _sources(overrides: Sequence[Override]) -> set[str]:
    """The sources of images that overrides set."""
    paths = {override.path for override in overrides if override.value is not None}
    return {source for source in _SOURCES if ("data", source) in paths}


def _drop_replaced_sources(raw: dict[str, Any], overrides: Sequence[Override]) -> None:
    data, given = raw.get("data"), _sources(overrides)
    if isinstance(data, dict) and given:
        for source in _SOURCES.keys() - given:
            for key in (source, *_SOURCES[source]):
                data.pop(key, None)
