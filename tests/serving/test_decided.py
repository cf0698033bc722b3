"""The decision beside an export is read, or said to be broken."""

import json
from pathlib import Path

import pytest

from tl_keras.errors import ExportError
from tl_keras.evaluation.decision import DecisionRule
from tl_keras.serving.decided import RECORD, read_rule

RULE = DecisionRule(("bad", "good"), 1.5, (1.0, 1.0), ("bad",), 0.5, 0.1)


def test_the_rule_is_read(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps({"rule": vars(RULE), "text": "more"}))
    assert read_rule(tmp_path) == RULE


def test_an_export_may_have_none(tmp_path: Path) -> None:
    assert read_rule(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "{}", '{"rule": {"classes": []}}', "[]"])
def test_a_broken_one_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(ExportError, match="must be as tl_keras wrote it"):
        read_rule(tmp_path)
