"""Sections of an audit: what is shown, how much of it, and what is grave."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.data.corrections import Correction
from tl_keras.data.file_audit import Audit, examine
from tl_keras.data.sources import ImageTable
from tl_keras.reporting.audit_page import audit_facts, audit_page
from tl_keras.results.audit_report import AuditReport
from tl_keras.transfer.label_errors import COLUMNS, LabelCheck

COUNT = 20
MARKED = ("label_errors", "duplicates_across_classes", "near_duplicates_across_classes")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    """Twenty different gray-level pictures, one broken file and a copy in the other class."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = random.integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    (folder / "20.png").write_bytes(b"broken")
    (folder / "21.png").write_bytes((folder / "00.png").read_bytes())
    names = [f"{number:02d}.png" for number in range(COUNT + 2)]
    classes = [number % 2 for number in range(COUNT + 2)]
    frame = pd.DataFrame(
        {
            "image_id": names,
            "path": [str(folder / name) for name in names],
            "label": np.array(["<good>", "bad"])[classes],
            "class_index": classes,
            "group": names,
            "split": None,
        }
    )
    return ImageTable(frame, ("<good>", "bad"), None, pd.DataFrame({"path": [], "reason": []}))


@pytest.fixture(scope="module")
def checked(table: ImageTable) -> Audit:
    return examine(table, image_size=32)


def suspects(count: int) -> LabelCheck:
    rows = [[k + 1, k, k % 2, 1 - k % 2, 0.01, 0.99] for k in range(count)]
    return LabelCheck(pd.DataFrame(rows, columns=COLUMNS), COUNT, 0.9, "")


def sections(report: AuditReport, most: int = 12) -> dict[str, dict[str, Any]]:
    return {section["kind"]: section for section in audit_facts(report, most)["sections"]}


def test_findings_come_with_their_photos_and_a_broken_file_without(
    table: ImageTable, checked: Audit
) -> None:
    found = sections(AuditReport("set", table, checked))
    (part,) = found["unreadable"]["parts"]
    assert [photo["images"] for photo in part["photos"]] == [[None]]
    (group,) = found["duplicates_across_classes"]["parts"]
    assert group["title"] == "Group 1"
    assert [photo["lines"][0] for photo in group["photos"]] == ["00.png", "21.png"]
    assert all(photo["images"][0].startswith("data:image/jpeg") for photo in group["photos"])
    assert found["duplicates_across_classes"]["grave"]


def test_only_so_many_photos_are_shown_and_the_rest_is_counted(
    table: ImageTable, checked: Audit
) -> None:
    report = AuditReport("set", table, checked, labels=suspects(15))
    found = sections(report, most=4)["label_errors"]
    (part,) = found["parts"]
    assert len(part["photos"]) == 4
    assert found["more"] == 11
    assert part["photos"][0]["lines"][1] == "labelled <good> (0.01), looks like bad (0.99)"


def test_the_page_is_one_file_and_names_are_text(table: ImageTable, checked: Audit) -> None:
    html = audit_page(AuditReport("<set>", table, checked, labels=suspects(2), notes=("Read me.",)))
    assert "<h1>Audit of &lt;set&gt;</h1>" in html
    assert "labelled &lt;good&gt; (0.01)" in html
    assert '<p class="notice">Read me.</p>' in html
    assert not re.search("https?:", html)


def test_labels_that_look_wrong_may_be_marked(table: ImageTable, checked: Audit) -> None:
    """Suspects, and copies of which one label is wrong; with what their source calls them."""
    said = (Correction("01.png", "<good>", "bad"),)
    report = AuditReport("set", replace(table, corrections=said), checked, labels=suspects(2))
    found = sections(report)
    marks = [photo["mark"] for photo in found["label_errors"]["parts"][0]["photos"]]
    first = {"image_id": "00.png", "was": "<good>", "label": "<good>", "suggested": "bad"}
    second = {"image_id": "01.png", "was": "<good>", "label": "bad", "suggested": "<good>"}
    assert marks == [first, second]
    copies = found["duplicates_across_classes"]["parts"][0]["photos"]
    assert [photo["mark"]["suggested"] for photo in copies] == ["bad", "<good>"]
    others = [section for kind, section in found.items() if kind not in MARKED]
    assert not [p for s in others for part in s["parts"] for p in part["photos"] if p["mark"]]
    html = audit_page(report)
    assert html.count('<form class="mark"') == 4
    assert "What was marked before stays in the file (1)" in html


def test_nothing_found_is_said(table: ImageTable, checked: Audit) -> None:
    clean = Audit(checked.images, (), checked.table, 0, checked.duplicates)
    assert "Nothing was found that speaks against these images." in (
        audit_page(AuditReport("set", table, clean))
    )


def test_a_warning_names_the_surest_suspects(table: ImageTable, checked: Audit) -> None:
    (text,) = AuditReport("set", table, checked, labels=suspects(5)).label_warnings()
    assert text == (
        "5 labels look wrong: 00.png (looks like bad), 01.png (looks like <good>), "
        "02.png (looks like bad) and 2 more. Of right labels up to 1 in 25 is named too, so look "
        "before you change one. See the report."
    )
    assert AuditReport("set", table, checked).label_warnings() == []
