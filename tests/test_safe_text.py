"""Text of anybody, made safe for the terminal, JSON and spreadsheets, and read back as it was."""

import io
import json
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from tests.hostile.texts import TEXTS
from tl_keras.atomic_files import write_csv
from tl_keras.safe_text import guard, guarded, json_line, one_line, unguard, unguarded, visible

FORMULAS = [
    "=1",
    "-2+3",
    "+a",
    "@a",
    "\t=1",
    "\r=1",
    "\n=1",
    "-",
    "\uff1d1",
    "\uff0d1",
    "-5\n",
    "=-5",
]
NUMBERS = ["-0.5", "+1", "-1e-5", "007", "-1,5", "12", "+1.5E10"]


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_nothing_is_left_that_a_terminal_obeys_or_nobody_sees(name: str) -> None:
    shown = one_line(name)
    assert {unicodedata.category(each) for each in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()
    assert shown == one_line(shown)
    shown.encode()


@pytest.mark.parametrize("name", ["🐛", "傷\u3000", "שבור", "e\u0301", "a\\b", "[b]", "ß"])
def test_letters_of_any_script_stay_as_they_are(name: str) -> None:
    assert one_line(name) == visible(name) == name


def test_each_character_is_told_by_its_code() -> None:
    assert visible("a\x1b[0m\x00\x9b\u202e\U000e0061\udcff") == (
        r"a\x1b[0m\x00\x9b\u202e\U000e0061\udcff"
    )


def test_a_message_keeps_its_lines_and_a_name_has_one() -> None:
    assert visible("a\n\tb") == "a\n\tb"
    assert one_line("a\n\tb\rc") == r"a\n\tb\rc"


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS)
def test_json_reads_back_as_it_was(name: str) -> None:
    line = json_line({name: [name, 0.1]})
    assert json.loads(line) == {name: [name, 0.1]}
    assert one_line(line) == line


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_text_in_a_spreadsheet(cell: str) -> None:
    assert guard(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [*NUMBERS, "", "a", "a=b", "'", "'a", "'-5", 5, -0.5, None])
def test_numbers_and_other_text_stay_as_they_are(cell: object) -> None:
    assert guard(cell) is cell
    assert unguard(cell) is cell


@pytest.mark.parametrize("quotes", ["", "'", "''"])
@pytest.mark.parametrize("cell", [*FORMULAS, *NUMBERS, *TEXTS.values()])
def test_what_a_guard_added_is_told_from_what_was_there(quotes: str, cell: str) -> None:
    assert unguard(guard(quotes + cell)) == quotes + cell


def test_a_table_is_guarded_in_its_texts_alone() -> None:
    table = pd.DataFrame({"=name": ["=1", None, "-0.5"], "value": [-0.5, float("nan"), 2.0]})
    before = table.copy()
    text = guarded(table).to_csv(index=False)
    assert text == "'=name,value\n'=1,-0.5\n,\n-0.5,2.0\n"
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(unguarded(guarded(table)), table)


def test_a_table_without_formulas_is_written_as_ever(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "a": pd.array([1, None], "Int64"),
            "b": pd.array(["x", None], "string"),
            "c": [0.1, -1e-300],
            "d": [True, False],
            "e": pd.Categorical(["u", "v"]),
        }
    )
    write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text() == table.to_csv(index=False)
    assert list(guarded(table).dtypes) == list(table.dtypes)


def test_cells_of_a_written_table_begin_no_formula(tmp_path: Path) -> None:
    names = [name for name in TEXTS.values() if "\ud83d" not in name and "\0" not in name]
    write_csv(tmp_path / "t.csv", pd.DataFrame({"name": names}))
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        cells = pd.read_csv(io.StringIO(file.read()), keep_default_na=False, dtype=str)["name"]
    assert not [cell for cell in cells if cell[0] in "=+@\t\r\n\uff1d" or cell.startswith("-2")]
    assert list(map(unguard, cells)) == names
