"""Tables as CSV begin no formula, and are read as they were written."""

import io
from pathlib import Path

import pandas as pd
import pytest

from tests.hostile.texts import TEXTS
from tl_keras.atomic_files import write_csv
from tl_keras.csv_tables import csv_text, lines_of_table, read_table

NAMES = [name for name in TEXTS.values() if not set(name) & {"\0", "\ud83d"}]


def again(table: pd.DataFrame) -> pd.DataFrame:
    return read_table(io.StringIO(csv_text(table)), {})


def test_texts_are_guarded_and_numbers_are_not() -> None:
    table = pd.DataFrame({"=name": ["=1", None, "-0.5"], "value": [-0.5, float("nan"), 2.0]})
    before = table.copy()
    assert csv_text(table) == "'=name,value\n'=1,-0.5\n,\n-0.5,2.0\n"
    pd.testing.assert_frame_equal(table, before)
    assert list(again(table)) == ["=name", "value"]


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


def test_names_are_read_as_they_were_written() -> None:
    names = [*NAMES, "NA", "None", "null", "1e5", "-1", "True", "'=a", "a\rb"]
    table = pd.DataFrame({"image_id": names, "label": names[::-1], "n": range(len(names))})
    read = again(table)
    assert {name: list(read[name]) for name in read} == {name: list(table[name]) for name in table}


def test_a_cell_without_text_is_missing_and_no_other() -> None:
    table = pd.DataFrame({"label": ["NA", None], "value": [0.1 + 0.2, float("nan")]})
    read = again(table)
    assert read.isna().to_numpy().tolist() == [[False, False], [True, True]]
    assert read["value"].iloc[0] == 0.1 + 0.2


@pytest.mark.parametrize("other", ["b", "a\rb", "=1", "NA", ""])
def test_lines_are_the_same_whatever_was_quoted(other: str) -> None:
    table = pd.DataFrame({"image_id": ["a", other], "n": pd.array([1, None], "Int64")})
    assert lines_of_table(table) == ["a,1", f"{other},"]


def test_no_cell_of_a_file_begins_a_formula(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"name": NAMES}))
    cells = pd.read_csv(tmp_path / "t.csv", keep_default_na=False, dtype=str)["name"]
    assert not [cell for cell in cells if cell[0] in "=+@\t\r\n\uff1d" or cell[:2] == "-2"]
