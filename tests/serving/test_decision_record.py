"""The decision beside an export is read, or said to be broken."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.serving.decision_record import RECORD, changed_decision, other_decision, read_rule

RULE = DecisionRule(("bad", "good"), 1.5, (1.0, 1.0), ("bad",), 0.5, 0.1)


def test_the_rule_is_read(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps({"rule": vars(RULE), "text": "more"}))
    assert read_rule(tmp_path) == RULE


def test_an_export_may_have_none(tmp_path: Path) -> None:
    assert read_rule(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "{}", '{"rule": {"classes": []}}', "[]", "[" * 100_000])
def test_a_broken_one_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(ExportError, match="must be as tl_keras wrote it"):
        read_rule(tmp_path)


@pytest.mark.parametrize(
    "fault",
    [
        {"temperature": 0},
        {"temperature": "warm"},
        {"class_factors": [1.0, 1.0, 1.0]},
        {"class_factors": ["a", "b"]},
        {"threshold": "high"},
        {"classes": ["good", "bad"]},
        {"classes": ["bad", "good", "worse"], "class_factors": [1.0, 1.0, 1.0]},
        {"stranger_share": None},
        {"of_a_later_version": 1},
    ],
    ids=str,
)
def test_a_rule_that_decides_nothing_here_is_said_before_the_first_photo(
    tmp_path: Path, fault: dict[str, object]
) -> None:
    (tmp_path / "labels.txt").write_text("bad\ngood\n")
    (tmp_path / RECORD).write_text(json.dumps({"rule": {**vars(RULE), **fault}}))
    with pytest.raises(ExportError, match="must be as tl_keras wrote it"):
        read_rule(tmp_path)


def test_what_changed_is_told_and_what_did_not_is_not() -> None:
    before = {"rule": vars(RULE)}
    after = {"rule": vars(replace(RULE, threshold=0.25, review_limit=None, positive=("good",)))}
    assert changed_decision(before, before) == []
    assert changed_decision(listed(before), listed(after)) == [
        "positive: [bad] -> [good]",
        "threshold: 0.5 -> 0.25",
        "review_limit: 0.1 -> none",
    ]
    earlier = listed(before)
    del earlier["rule"]["stranger_share"]
    assert changed_decision(earlier, listed(before)) == []
    assert changed_decision({}, listed(before)) == ["there was none"]


def test_a_long_change_is_told_in_short_and_on_one_line() -> None:
    names = ["a\nb", *map(str, range(40))]
    before, after = ({"rule": {"positive": each}} for each in (["x"], names))
    (told,) = changed_decision(before, after)
    assert told.startswith("positive: [x] -> [") and told.endswith("36 more]")
    assert told.isprintable()


def listed(record: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    read: dict[str, Any] = json.loads(json.dumps(record))
    return read


def test_another_decision_than_that_of_the_experiment_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    version = folder / "export" / "1"
    extra = version / "assets.extra"
    extra.mkdir(parents=True)
    assert other_decision(version) is None
    (folder / RECORD).write_text(json.dumps({"rule": vars(RULE), "text": "new words"}))
    told = other_decision(version)
    assert told is not None
    assert f"tl-keras export {folder}" in told
    (extra / RECORD).write_text(json.dumps({"rule": vars(RULE), "text": "old words"}))
    assert other_decision(version) is None
    (extra / RECORD).write_text("{")
    assert other_decision(version) is not None
