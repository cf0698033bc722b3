"""What an audit says of labels that a person has looked at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tl_keras.config.schema import DataConfig
from tl_keras.data.corrections import Correction
from tl_keras.data.file_audit import examine
from tl_keras.data.sources import load_images
from tl_keras.experiment.audit import look_with_network
from tl_keras.results.audit_report import AuditReport

WRONG = ("blue/3.png", "green/5.png")


@pytest.fixture(scope="module")
def report(photos: Path) -> AuditReport:
    table = load_images(DataConfig(folder=str(photos)))
    return AuditReport("colours", table, examine(table, image_size=32))


def suspects(report: AuditReport, *looked_at: Correction) -> list[tuple[int, str]]:
    """Ranks and ids, where features tell the classes apart and two photos lie in another one."""
    frame = report.audit.table.frame
    seen = frame["class_index"].to_numpy().copy()
    seen[frame["image_id"].isin(WRONG)] = 0
    features = np.eye(3)[seen] * 9 + np.random.default_rng(0).normal(size=(len(seen), 3))
    known = replace(report.audit.table, corrections=looked_at)
    report = replace(report, audit=replace(report.audit, table=known))
    blocks = [("top", features.astype(np.float32))]
    found = look_with_network(report, blocks, np.arange(len(seen))).label_errors()
    return sorted(zip(found["rank"], found["image_id"], strict=True))


def test_what_a_person_confirmed_or_corrected_is_suspected_no_longer(report: AuditReport) -> None:
    assert {name for _, name in suspects(report)} == set(WRONG)
    confirmed = Correction(WRONG[0], "blue", "blue")
    assert suspects(report, confirmed) == [(1, WRONG[1])]
    assert suspects(report, confirmed, Correction(WRONG[1], "amber", "green")) == []
    assert len(suspects(report, Correction("blue/4.png", "blue", "blue"))) == 2
