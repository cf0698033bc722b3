"""Keys of a nested configuration by their dotted names, such as `training.phase_1.epochs`."""

from collections.abc import Collection, Mapping
from typing import Any

from tl_keras.config.json_text import KeyPath, dotted


def leaves(section: Mapping[str, Any], path: KeyPath = ()) -> dict[str, Any]:
    """All values that are no sections.

    >>> leaves({"seeds": 3, "head": {"hidden_units": [8]}})
    {'seeds': 3, 'head.hidden_units': [8]}
    """
    found: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping):
            found |= leaves(value, (*path, key))
        else:
            found[dotted((*path, key))] = value
    return found


def without(
    section: Mapping[str, Any], keys: Collection[str], path: KeyPath = ()
) -> dict[str, Any]:
    """A copy without some keys or whole sections, and without sections that hold nothing else.

    >>> without({"seeds": 3, "head": {"dropout": 0.2}}, ["head.dropout"])
    {'seeds': 3}
    """
    kept: dict[str, Any] = {}
    for key, value in section.items():
        place = (*path, key)
        inner = without(value, keys, place) if isinstance(value, Mapping) else value
        if dotted(place) not in keys and inner != {}:
            kept[key] = inner
    return kept


def with_default(section: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy with a key where it is absent, unless something else is where its section should be.

    >>> with_default({"seeds": 3}, "head.dropout", 0.2)
    {'seeds': 3, 'head': {'dropout': 0.2}}
    """
    first, _, rest = key.partition(".")
    if not rest:
        return {**section, first: section.get(first, value)}
    inner = section.get(first, {})
    if not isinstance(inner, Mapping):
        return dict(section)
    return {**section, first: with_default(inner, rest, value)}
