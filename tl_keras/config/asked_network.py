"""Which network is being looked at, of which were asked for, so that messages can name another."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tl_keras.backbone_table import FILE
from tl_keras.config.network_entries import read_entry, write_entry
from tl_keras.config.schema import BackboneConfig

Networks = Mapping[str, BackboneConfig]

_LOOKED_AT: ContextVar[tuple[Networks, str] | None] = ContextVar("looked_at", default=None)


@contextmanager
def looking_at(networks: Networks, entry: str) -> Iterator[BackboneConfig]:
    """Speak, inside the block, of one of the networks of an experiment; it is handed in.

    Args:
        networks: all of them, by entry.
        entry: of the one.
    """
    token = _LOOKED_AT.set((networks, entry))
    try:
        yield networks[entry]
    finally:
        _LOOKED_AT.reset(token)


def instead(**keys: Any) -> dict[str, Any]:
    """The keys of the configuration that ask for another network in place of this one.

    An entry has the last word on its file and width, whatever other keys say, so that of an
    experiment the entry is replaced, and in a list that one alone.

    Args:
        keys: name, alpha and weights of the other, as far as they differ.

    Returns:
        Values by dotted key. Where no experiment asks, the keys themselves.
    """
    found = _LOOKED_AT.get()
    if found is None:
        return {f"backbone.{key}": value for key, value in keys.items()}
    networks, entry = found
    own = networks[entry]
    wanted = {"name": own.name, "alpha": own.alpha, "weights": own.weights} | keys
    entries = [write_entry(**wanted) if each == entry else each for each in networks]
    changes = _asking(entries, networks)
    if len(networks) == 1 and own.alpha is not None and wanted["alpha"] is None:
        changes["backbone.alpha"] = None
    return changes


def without() -> dict[str, Any] | None:
    """The keys that leave this network out of the list; None where it is the only one."""
    networks, entry = _LOOKED_AT.get() or ({}, "")
    if len(networks) < 2:
        return None
    return _asking([each for each in networks if each != entry], networks)


def _asking(entries: list[str], before: Networks) -> dict[str, Any]:
    names = [*dict.fromkeys(entries)]
    changes: dict[str, Any] = {"backbone.name": names if names[1:] else names[0]}
    if all(read_entry(name)["name"] != FILE for name in names):
        # these go with networks from files, and are refused without one
        if any(network.scaling is not None for network in before.values()):
            changes["backbone.scaling"] = None
        if any(network.trust_code for network in before.values()):
            changes["backbone.trust_code"] = False
    return changes
