"""The decisions that an export says how to make: `assets.extra/decision.json`."""

import json
from pathlib import Path
from typing import Any

from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.serving.versions import EXPORT_FOLDER, EXTRA

RECORD = "decision.json"


def read_rule(extra: Path) -> DecisionRule | None:
    """The rule in a version's folder of extra files; None where there is none.

    Raises:
        ExportError: it cannot be read.
    """
    path = extra / RECORD
    if not path.exists():
        return None
    try:
        return DecisionRule.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExportError(
            f"{path} must be as tl_keras wrote it, got one that cannot be read ({error}). Export "
            "the model again, or remove the file to do without decisions."
        ) from error


def other_decision(version: Path) -> str | None:
    """A sentence where an experiment's exported version has another decision than it; else None."""
    folder = version.parent.parent
    own, exported = folder / RECORD, version / EXTRA / RECORD
    if version.parent.name != EXPORT_FOLDER or not own.exists():
        return None
    if exported.exists() and _rule(own) == _rule(exported):
        return None
    return (
        f"{version} has another decision than decision.json of its experiment; tl-keras "
        f"export {folder} writes a version with the present one."
    )


def _rule(path: Path) -> Any:
    try:
        return json.loads(path.read_text())["rule"]
    # a damaged one is another one; who applies it says what is wrong with it
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
