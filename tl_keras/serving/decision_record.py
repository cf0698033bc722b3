"""The record beside an export of how it decides: `assets.extra/decision.json`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.digests import any_json, known_json
from tl_keras.errors import DamagedError, ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.results_layout import place
from tl_keras.safe_text import one_line
from tl_keras.serving.versions import EXPORT_FOLDER, EXTRA, LABELS_FILE

RECORD = "decision.json"
_MOST_SHOWN = 5


def read_rule(extra: Path) -> DecisionRule | None:
    """The rule in a version's folder of extra files; None where there is none.

    Raises:
        ExportError: it cannot be read, or is for other classes than the export's.
    """
    path = extra / RECORD
    if not path.exists():
        return None
    try:
        rule = DecisionRule.from_json(any_json(path))
        # what no photo could be decided by is found now, and not at the first one
        rule.decisions(np.ones((1, len(rule.classes))), np.ones(1))
        _check_classes(rule, extra / LABELS_FILE)
        return rule
    except (DamagedError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        why = error.why if isinstance(error, DamagedError) else error
        raise ExportError(
            f"{path} must be as tl_keras wrote it, got one that cannot be read ({why}). Export "
            "the model again, or remove the file to do without decisions."
        ) from error


def other_decision(version: Path) -> str | None:
    """A sentence where an experiment's exported version has another decision than it; else None."""
    folder = version.parent.parent
    present = place(folder, RECORD)
    if version.parent.name != EXPORT_FOLDER or not present.exists():
        return None
    changes = changed_decision(known_json(version / EXTRA / RECORD), known_json(present))
    if not changes:
        return None
    return (
        f"{version} has another decision than its experiment; tl-keras "
        f"export {folder} writes a version with the present one."
    )


def changed_decision(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What tells the rules of two records apart, such as "threshold: 0.5 -> 0.25".

    Args:
        before: as `decision.json`; of a damaged one nothing is known.
        after: likewise.
    """
    old, new = (_comparable(record) for record in (before, after))
    if new and not old:
        return ["there was none"]
    return [
        f"{name}: {_shown(old.get(name))} -> {_shown(new.get(name))}"
        for name in {**old, **new}
        if not _same(old.get(name), new.get(name))
    ]


def _comparable(record: Mapping[str, Any]) -> dict[str, Any]:
    rule = record.get("rule")
    # a record of an earlier version has no strangers
    return {"stranger_share": 0.0, **rule} if isinstance(rule, Mapping) else {}


def _same(old: Any, new: Any) -> bool:
    """Whether no photo but one on a border is decided otherwise."""
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=1e-6)
    return bool(old == new)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        more = [f"{len(value) - _MOST_SHOWN} more"] if len(value) > _MOST_SHOWN else []
        return f"[{', '.join([*map(_shown, value[:_MOST_SHOWN]), *more])}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "none" if value is None else one_line(str(value))


def _check_classes(rule: DecisionRule, labels: Path) -> None:
    names = tuple(labels.read_text("utf-8").splitlines()) if labels.exists() else rule.classes
    if rule.classes != names:
        raise ValueError(f"it is for the classes {', '.join(rule.classes)}")
