"""Tables sorted in a browser, by a click on a heading or with the keyboard."""

from pathlib import Path

from tests.reporting.browser import in_browser, told_by
from tl_keras.reporting.page_scripts import script
from tl_keras.reporting.pages import Cells, render

pytestmark = in_browser

COLUMNS = ("class", "n", "95% interval")
ROWS = [
    ("part 10", "9", "0.700 to 0.900"),
    ("part 9", "10", ""),
    ("Part 1", "100", "-0.5 to 0.2"),
    ("part 2", "", "0.700 to 0.800"),
]
PRESSED = """
const [one, n, interval] = page.querySelectorAll("table.sortable thead button");
const first = () => [...page.querySelectorAll("table.sortable tbody th")].map(c => c.textContent);
const sorts = () => [...page.querySelector("thead").rows[0].cells].map(c => c.ariaSort);
const press = (button) => { button.click(); return first(); };
"""


def page_of(cells: Cells) -> str:
    class_ = {"columns": cells.columns, "rows": cells.rows}
    parts = {"names": ["a"], "cautions": [], "sentences": [], "differences": [], **class_}
    plot = {"uri": "data:image/svg+xml,", "words": "nothing"}
    empty = Cells(["strategy"], [])
    return render("comparison.html", {**parts, "plot": plot, "table": cells, "strategies": empty})


def test_numbers_intervals_and_words_are_sorted_each_in_its_way(tmp_path: Path) -> None:
    page = page_of(Cells(COLUMNS, ROWS, COLUMNS[1:]))
    steps = (
        "return [press(n), sorts(), press(n), sorts(), press(n), sorts(),"
        "press(interval), press(interval), press(one), sorts(), one.tabIndex]"
    )
    up, rising, down, falling, as_before, unsorted, low, high, words, last, place = told_by(
        page, PRESSED + steps, tmp_path
    )
    assert up == ["part 10", "part 9", "Part 1", "part 2"]
    # what is empty stands last
    assert down == ["Part 1", "part 9", "part 10", "part 2"]
    assert as_before == [row[0] for row in ROWS]
    assert low == ["Part 1", "part 2", "part 10", "part 9"]
    assert high == ["part 10", "part 2", "Part 1", "part 9"]
    assert words == ["Part 1", "part 2", "part 9", "part 10"]
    assert rising == [None, "ascending", None]
    assert falling == [None, "descending", None]
    assert unsorted == [None, None, None]
    assert last == ["ascending", None, None]
    assert place == 0


def test_without_its_script_a_table_is_a_plain_one(tmp_path: Path) -> None:
    page = page_of(Cells(COLUMNS, ROWS, COLUMNS[1:])).replace(script("sorting"), "")
    assert told_by(page, "return page.querySelectorAll('th button').length", tmp_path) == 0
