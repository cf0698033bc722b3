"""The decisions that an export says how to make: `assets.extra/decision.json`."""

import json
from pathlib import Path

from tl_keras.errors import ExportError
from tl_keras.evaluation.decision import DecisionRule

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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{path} must be as tl_keras wrote it, got one that cannot be read ({error}). Export "
            "the model again, or remove the file to do without decisions."
        ) from error
