"""The decisions that an export says how to make: `assets.extra/decision.json`."""

from pathlib import Path

from tl_keras.digests import any_json, known_json
from tl_keras.errors import DamagedError, ExportError
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
        return DecisionRule.from_json(any_json(path))
    except (DamagedError, ValueError, KeyError, TypeError) as error:
        why = error.why if isinstance(error, DamagedError) else error
        raise ExportError(
            f"{path} must be as tl_keras wrote it, got one that cannot be read ({why}). Export "
            "the model again, or remove the file to do without decisions."
        ) from error


def other_decision(version: Path) -> str | None:
    """A sentence where an experiment's exported version has another decision than it; else None."""
    folder = version.parent.parent
    own, exported = folder / RECORD, version / EXTRA / RECORD
    if version.parent.name != EXPORT_FOLDER or not own.exists():
        return None
    # a damaged one is another one; who applies it says what is wrong with it
    if exported.exists() and known_json(own).get("rule") == known_json(exported).get("rule"):
        return None
    return (
        f"{version} has another decision than decision.json of its experiment; tl-keras "
        f"export {folder} writes a version with the present one."
    )
