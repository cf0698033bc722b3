"""Text of anybody, made safe for the terminal, JSON and spreadsheets, and read back as it was."""

import json
import unicodedata

import pytest

from tests.hostile.texts import TEXTS
from tl_keras.safe_text import guard, json_line, one_line, unguard, visible

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
