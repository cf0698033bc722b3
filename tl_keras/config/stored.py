"""What stored configurations mean where a key is younger than they are."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tl_keras.config.leaves import leaves, with_default, without
from tl_keras.config.problems import shown
from tl_keras.config.schema import ExperimentConfig
from tl_keras.invocation import fresh

# Every key that is younger than stored results, with what was done before there was one (JSON
# types). The keys of a line came together: a hash holds them all, or none where all are so.
_BEFORE: tuple[Mapping[str, Any], ...] = (
    {
        "data.class_level": None,
        "data.merge_labels": None,
        "data.exif_rotation": "ignore",
        "data.range_16_bit": "full",
        "data.max_megapixels": 179.0,
    },
    {"training.threads": None},
    {
        "probe.pooling": "mean",
        "probe.views": "none",
        "probe.penalty": 1.0,
        "probe.train_on": "training",
        "head.pooling": "mean",
    },
    {"export.train_on": "training"},
    {f"data.columns.{name}": name for name in ("path", "label", "group", "split")},
    {"data.corrections": None},
    {"backbone.scaling": None, "backbone.trust_code": False},
    {f"training.{phase}.keep": "best" for phase in ("phase_1", "phase_2", "from_scratch")},
)


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration, or sections of one, with what was done where it lacks such a key."""
    whole = dict(stored)
    if whole.get("export") is True:
        # short for a section of defaults, and all that there was once
        whole["export"] = {}
    for key, value in _younger().items():
        whole = with_default(whole, key, value)
    return whole


def hash_of(keys: Mapping[str, Any]) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a configuration.

    Younger keys do not change it where all is done as before, so that all runs of an experiment
    have one hash, also those that a later version makes.

    Args:
        keys: those that count, as JSON types.
    """
    given = leaves(keys)
    as_before = [
        key
        for line in _BEFORE
        if all(given.get(key, value) == value for key, value in line.items())
        for key in line
    ]
    text = json.dumps(without(keys, as_before), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def continued(
    config: ExperimentConfig, stored: Mapping[str, Any]
) -> tuple[ExperimentConfig, str | None]:
    """An experiment as it goes on with stored results, and a sentence on what that changes.

    Where the default of a younger key is not what was done before, what the results have stays,
    unless the experiment itself says it.

    Args:
        config: Of the experiment.
        stored: The configuration beside the results.

    Returns:
        The configuration, and the sentence, None where it is the one that was given.
    """
    asked, had = leaves(config.as_dict()), leaves(completed(stored))
    notes = []
    for key, before in _younger().items():
        # a key of a section that is left out is in neither
        if key not in asked or key not in had or asked[key] in (before, had[key]):
            continue
        if _says(config, key):
            continue
        if (kept := _with(config, key, had[key])) is not None:
            config = kept
            notes.append(
                f"{key} stays {shown(had[key])}, as the results in {config.results_folder} have "
                f"it; to begin anew with {shown(asked[key])}, set it and use {fresh()} or "
                "another name."
            )
    return config, " ".join(notes) or None


def _younger() -> dict[str, Any]:
    return {key: value for line in _BEFORE for key, value in line.items()}


def _says(section: Any, key: str) -> bool:
    """Whether a key was given, and is no default."""
    first, _, rest = key.partition(".")
    given = first in section.model_fields_set
    return given and (not rest or _says(getattr(section, first), rest))


def _with(config: ExperimentConfig, key: str, value: Any) -> ExperimentConfig | None:
    """The configuration with another value, of JSON types; None where it must not be so."""
    raw = with_default(without(config.as_dict(), [key]), key, value)
    try:
        return _taking(config, ExperimentConfig.model_validate_json(json.dumps(raw)), key)
    except ValidationError:
        return None


def _taking(section: Any, other: Any, key: str) -> Any:
    """A copy with one key as another one has it; the rest stays given, or not, as it was."""
    first, _, rest = key.partition(".")
    value = getattr(other, first)
    if rest:
        value = _taking(getattr(section, first), value, rest)
    return section.model_copy(update={first: value})
