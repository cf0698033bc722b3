"""Pages: what stands in them is text, and a page is whole or not there."""

from pathlib import Path

import pytest

from tl_keras.reporting.pages import Cell, Cells, Photo, _templates, render, write_page


def page(**content: object) -> str:
    template = _templates().from_string(
        '{% import "_parts.html" as parts %}'
        '{{ parts.table(cells, "cells") }}{{ parts.photos(photos) }}'
    )
    return template.render(content)


def test_names_are_text_and_no_markup() -> None:
    cells = Cells(["class", "n"], [["<b>good & bad</b>", 3]], numbers=["n"])
    html = page(cells=cells, photos=[Photo(["data:x"], ['"><script>'])])
    assert "&lt;b&gt;good &amp; bad&lt;/b&gt;" in html
    assert "<script>" not in html


def test_numbers_stand_flush_right_and_marked_rows_are_set_off() -> None:
    html = page(cells=Cells(["a", "n"], [["x", 1], ["y", 2]], ["n"], marked=[1]), photos=[])
    assert html.count('class="number"') == 3
    assert html.count('class="chosen"') == 1
    assert html.index('class="chosen"') > html.index(">x</th>")


def test_cells_lead_to_places_and_say_their_whole_name() -> None:
    cells = Cells(["a", "b"], [[Cell("x", place="pair_1"), Cell("<y>", title="day/<y>")]])
    html = page(cells=cells, photos=[])
    assert '<a href="#pair_1">x</a>' in html
    assert '<span title="day/&lt;y&gt;">&lt;y&gt;</span>' in html


def test_only_rows_of_one_kind_can_be_sorted() -> None:
    rows = [["x", 1], ["y", 2]]
    for cells, sortable in (
        (Cells(["a", "n"], rows), True),
        (Cells(["a", "n"], rows[:1]), False),
        (Cells(["a", "n"], rows, alike=False), False),
    ):
        assert ('class="sortable"' in page(cells=cells, photos=[])) == sortable


def test_a_short_name_has_its_path_beside_it() -> None:
    shown = [Photo([None], ["7.jpg", "crack"], path="day_1/7.jpg"), Photo([None], ["8.jpg"])]
    html = page(cells=Cells(["a"], []), photos=shown)
    assert '<div title="day_1/7.jpg">7.jpg</div>' in html
    assert html.count("title=") == 1


def test_what_a_template_names_must_be_given() -> None:
    with pytest.raises(ValueError, match="undefined"):
        render("report.html", {"name": "parts"})


def test_a_page_replaces_an_older_one(tmp_path: Path) -> None:
    for text in ("old", "grün"):
        write_page(tmp_path / "page.html", text)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "grün"
