"""Answers go out as text that nothing obeys, and add up in a table."""

import csv
import json
import os
from pathlib import Path

import pytest

from tl_keras.serving.portable.answers import Answered, Table, as_json, as_text, modified, page
from tl_keras.serving.portable.model import FolderError

COLUMNS = ["label", "probability", "problem"]


def one(file: str | Path, **more: object) -> Answered:
    answer = {"label": "crack", "probability": 0.75, "problem": ""} | more
    return Answered(Path(file), "2026-01-02T03:04:05.000", answer)


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def test_a_table_grows_and_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    for name in ("a.png", "b\n,\r.png"):
        with Table(path, COLUMNS) as table:
            table.add(one(name))
    assert rows(path) == [
        ["file", "modified", *COLUMNS],
        ["a.png", "2026-01-02T03:04:05.000", "crack", "0.75", ""],
        ["b\n,\r.png", "2026-01-02T03:04:05.000", "crack", "0.75", ""],
    ]
    with Table(None, COLUMNS) as table:
        table.add(one("a.png"))


def test_a_photo_is_known_until_it_changes(tmp_path: Path) -> None:
    photo = tmp_path / "=a.png"
    photo.touch()
    with Table(tmp_path / "answers.csv", COLUMNS) as table:
        assert not table.knows(photo)
        table.add(Answered(photo, modified(photo), one(photo).answer))
    with Table(tmp_path / "answers.csv", COLUMNS) as table:
        assert table.knows(photo)
        os.utime(photo, (1, 1))
        assert not table.knows(photo)


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", "-a.png", "@a.png", "\t.png"])
def test_no_name_is_computed(tmp_path: Path, name: str) -> None:
    with Table(tmp_path / "answers.csv", COLUMNS) as table:
        table.add(one(name, label=name))
    assert rows(tmp_path / "answers.csv")[1][::2] == [f"'{name}", f"'{name}", ""]


@pytest.mark.parametrize("content", ["x,y\n1,2\n", "{}"])
def test_a_table_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(FolderError, match="must have the columns file, modified, label"):
        Table(path, COLUMNS)
    assert path.read_text() == content


def test_a_line_for_people() -> None:
    assert as_text(one("a.png")) == "a.png  0.7500  crack"
    sure = one("a.png", confidence=0.5, decision="review")
    assert as_text(sure) == "a.png  0.5000  crack  (review)"
    assert as_text(one("a.png", label="", problem="empty file")) == "a.png  (empty file)"
    assert as_text(one("\x1b[2J\n\u202eü.png")) == r"\x1b[2J\n\u202eü.png  0.7500  crack"


def test_a_line_for_programs() -> None:
    found = json.loads(as_json(one("ü\n.png")))
    assert found == {"file": "ü\n.png", "label": "crack", "probability": 0.75, "problem": ""}
    assert as_json(one("ü\n.png")).isascii()


def test_a_page_shows_names_as_text() -> None:
    text = page([one("<script>.png", label="a & b")], COLUMNS)
    assert "&lt;script&gt;.png" in text
    assert "<script>" not in text
    assert "a &amp; b" in text
    assert "0.7500" in text
