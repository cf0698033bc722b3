"""What is wrong with a configuration, in words: the key, what is allowed, what was received.

Pydantic finds the errors; what is allowed is read from the JSON Schema of the key, so that a key of
several types gets one message and not one per type.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tl_keras.config.json_text import KeyPath, dotted
from tl_keras.config.schema import NAME_PATTERN, RANGE_PATTERN
from tl_keras.invocation import by_json, literal

Schema = Mapping[str, Any]

_LONGEST_SHOWN = 80
_PATTERNS = {
    NAME_PATTERN: 'a string of at most 100 letters, digits, ".", "_" and "-" that starts with a '
    "letter or digit",
    RANGE_PATTERN: 'a range of blocks "first:last"',
}
_SIMPLE = {"integer": "a whole number", "number": "a number"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: The key it is about, for finding its place in the file.
        text: The message, without the place.
    """

    path: KeyPath
    text: str


# What people call keys from elsewhere, and no spelling is near to.
_USUAL: Mapping[str, str] = {
    **dict.fromkeys(("size", "img_size", "input_size", "input_shape"), "backbone.image_size"),
    "train_size": "data.train_per_class",
    "test_size": "data.test_fraction",
    "validation_split": "data.validation_per_class",
    **dict.fromkeys(("model", "network", "base_model"), "backbone"),
    **dict.fromkeys(("random_state", "n_seeds"), "seeds"),
    **dict.fromkeys(("output", "output_dir"), "results_dir"),
}

Wording = Callable[[], Iterable[Problem]]


def schema_of(model: type[BaseModel]) -> Schema:
    """JSON Schema of a configuration, with each reference replaced by what it refers to."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            node = definitions[node["$ref"].rpartition("/")[2]] | node
        return {key: inlined(part) for key, part in node.items() if key != "$ref"}

    return dict(inlined(schema))


def problems_of(error: ValidationError, raw: Any, schema: Schema) -> dict[KeyPath, Wording]:
    """What pydantic found, by the path of the key it is about.

    Words are found when they are asked for: those of thousands of problems take long.

    Args:
        error: What validating `raw` raised.
        raw: The configuration as it was read from JSON.
        schema: Of the configuration.
    """
    found = [
        (_path_in(raw, details, schema), details)
        for details in error.errors(include_url=False)
        # a default that follows from a key which is wrong itself
        if details["type"] != "default_factory_not_called"
    ]
    above = {path[:end] for path, _ in found for end in range(len(path))}
    wordings: dict[KeyPath, Wording] = {}
    for path, details in found:
        # of the branches of a union, the one that came furthest is the one that was meant
        if path not in wordings and (path not in above or details["type"] == "value_error"):
            wordings[path] = partial(_worded, path, details, raw, schema)
    return wordings


def unknown_key(schema: Schema, path: KeyPath) -> Problem:
    """Word that a key does not exist, with the key that was most likely meant."""
    parent = path[:-1]
    siblings = _keys(schema_at(schema, parent))
    if not siblings:
        return Problem(path, f"unknown key {dotted(path)}; {dotted(parent)} has no keys of its own")
    meant = _meant_key(str(path[-1]), parent, schema)
    if meant:
        return Problem(path, f"unknown key {dotted(path)}; {meant}")
    of = f" of {dotted(parent)}" if parent else ""
    return Problem(path, f"unknown key {dotted(path)}; the keys{of} are {', '.join(siblings)}")


def schema_at(schema: Schema, path: KeyPath) -> Schema:
    """JSON Schema of a key or list element of a configuration; empty where there is none."""
    node = schema
    for part in path:
        items = (_items(branch) for branch in node.get("anyOf", [node]))
        node = next(filter(None, items), {}) if isinstance(part, int) else _keys(node).get(part, {})
    return node


def _keys(node: Schema) -> Schema:
    """The keys of an object, also of one that may be null."""
    for branch in node.get("anyOf", [node]):
        if "properties" in branch:
            return dict(branch["properties"])
    return {}


def _items(node: Schema) -> Schema:
    """What the elements of a list are; those of a fixed number are of one kind."""
    return dict(node.get("items") or node.get("prefixItems", [{}])[0])


def describe(node: Schema) -> str:
    """Say in words what a JSON Schema allows.

    >>> describe({"type": "integer", "minimum": 1, "maximum": 9})
    'a whole number from 1 to 9'
    """
    if "anyOf" in node:
        return ", or ".join(describe(branch) for branch in node["anyOf"])
    if "const" in node:
        return literal(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(map(literal, node["enum"]))
    kind = node.get("type", "object")
    if kind == "array":
        return f"a list of {_how_many(node)}, each {describe(_items(node))}"
    if kind == "object":
        section = "an object {...}" if by_json() else "a dict"
        return f"{section} with keys among {', '.join(node.get('properties', ()))}"
    if kind == "string":
        if "pattern" in node:
            return _PATTERNS.get(node["pattern"], f"a string that matches {node['pattern']}")
        return "a string" + _length(node)
    if kind == "boolean":
        return f"{literal(True)} or {literal(False)}"
    if kind == "null":
        return literal(None)
    return _SIMPLE[kind] + _range(node)


def _how_many(node: Schema) -> str:
    if "prefixItems" in node:
        return f"{len(node['prefixItems'])} values"
    few = "one or more values" if node.get("minItems") else "values"
    return few + (f", at most {node['maxItems']}" if "maxItems" in node else "")


def _length(node: Schema) -> str:
    words = ["not empty"] if node.get("minLength") else []
    words += [f"at most {node['maxLength']} characters"] if "maxLength" in node else []
    return f" ({', '.join(words)})" if words else ""


def shown(value: Any) -> str:
    """A value as whoever asks writes it, shortened."""
    text = literal(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The choice most like a word, whatever its case."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), by_lower, 1, cutoff)
    return by_lower[near[0]] if near else None


def _range(node: Schema) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    bounds = {
        "of at least": low,
        "above": node.get("exclusiveMinimum"),
        "at most": high,
        "below": node.get("exclusiveMaximum"),
    }
    words = [f"{name} {_number(bound)}" for name, bound in bounds.items() if bound is not None]
    return f" {' and '.join(words)}" if words else ""


def _number(bound: float) -> str:
    return str(int(bound) if bound == int(bound) else bound)


def _path_in(raw: Any, details: ErrorDetails, schema: Schema) -> KeyPath:
    """Pydantic's location without the names of union branches."""
    path: KeyPath = ()
    value = raw
    for at, part in enumerate(details["loc"], 1):
        unknown = details["type"] == "extra_forbidden" and at == len(details["loc"])
        if isinstance(value, dict) and (unknown or part in _keys(schema_at(schema, path))):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        path = (*path, part)
    return path


def _worded(path: KeyPath, details: ErrorDetails, raw: Any, schema: Schema) -> Iterator[Problem]:
    allowed = schema_at(schema, path)
    if details["type"] == "extra_forbidden":
        yield unknown_key(schema, path)
    elif details["type"] == "missing" and isinstance(details["loc"][-1], str):
        yield Problem(path, f"{dotted(path)} is missing; it must be {describe(allowed)}")
    elif details["type"] == "value_error" and "enum" not in allowed:
        for line in str(details["ctx"]["error"]).split("\n"):
            yield _rule_broken(path, line, raw, schema)
    else:
        yield Problem(path, _not_allowed(path, allowed, details["input"]))


def _rule_broken(path: KeyPath, message: str, raw: Any, schema: Schema) -> Problem:
    """Word a broken rule of a model, which may start with a key below `path`."""
    first, _, rest = message.partition(" ")
    below = (*path, *first.split("."))
    if schema_at(schema, below):
        path, message = below, rest
    if "got " not in message:
        for part in path:
            raw = raw[part]
        message += f"; got {shown(raw)}"
    return Problem(path, f"{dotted(path)} {message}")


def _not_allowed(path: KeyPath, allowed: Schema, received: Any) -> str:
    message = f"{dotted(path) or 'it'} must be {describe(allowed)}; got {shown(received)}"
    if isinstance(received, int | float) or received in _choices(allowed.get("items", {})):
        return f"{message}; write [{shown(received)}]" if "items" in allowed else message
    if isinstance(received, str) and "name" in _keys(allowed):
        return f"{message}; write {shown({'name': received})}"
    near = nearest(received, _choices(allowed)) if isinstance(received, str) else None
    return f'{message}; did you mean "{near}"?' if near else message


def _choices(node: Schema) -> list[str]:
    own = [node["const"]] if "const" in node else node.get("enum", [])
    return own + [choice for branch in node.get("anyOf", []) for choice in _choices(branch)]


def _meant_key(word: str, parent: KeyPath, schema: Schema) -> str | None:
    """Where a misspelt or misplaced key belongs, as the end of a sentence."""
    siblings = list(_keys(schema_at(schema, parent)))
    if not parent and word in _USUAL:
        return f"did you mean {_USUAL[word]}?"
    everywhere = [path for path in _key_paths((), schema) if path[:-1] != parent]
    placed = [dotted(path) for path in everywhere if path[-1] == word]
    near = nearest(word, siblings, cutoff=0.8 if placed else 0.6)
    if placed and not near:
        return f"it belongs at {' or '.join(placed)}"
    if near:
        return f"did you mean {dotted((*parent, near))}?"
    far = nearest(word, (str(path[-1]) for path in everywhere), cutoff=0.75)
    meant = [dotted(path) for path in everywhere if path[-1] == far]
    return f"did you mean {' or '.join(meant)}?" if meant else None


def _key_paths(parent: KeyPath, node: Schema) -> Iterator[KeyPath]:
    for key, below in _keys(node).items():
        yield (*parent, key)
        yield from _key_paths((*parent, key), below)
