"""Tables are read in what spreadsheets write, or refused with what to do."""

from pathlib import Path

import pandas as pd
import pytest

from tests.hostile.folders import tables, touch, unreadable_tables
from tl_keras.config.schema import DataConfig
from tl_keras.data.sources import load_images
from tl_keras.errors import DataError


@pytest.mark.parametrize("name", tables())
def test_tables_of_many_programs_say_the_same(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "img/1.png", "img/2.png")
    (tmp_path / name).write_bytes(tables()[name])
    frame = load_images(DataConfig(table=str(tmp_path / name), root=str(tmp_path))).frame
    assert list(frame["image_id"]) == ["img/1.png", "img/2.png"]
    assert list(frame["label"]) == ["é", "b"]


@pytest.mark.parametrize("name", unreadable_tables())
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "img/1.png")
    (tmp_path / name).write_bytes(unreadable_tables()[name])
    with pytest.raises(DataError) as error:
        load_images(DataConfig(table=str(tmp_path / name), root=str(tmp_path)))
    if name in ("cp1252.csv", "shift_jis.csv", "zeros.csv"):
        assert "UTF-8" in str(error.value)
    assert len(str(error.value)) < 20_000


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_columns_of_other_names_are_told_whatever_separates_them(
    tmp_path: Path, separator: str
) -> None:
    touch(tmp_path, "1.png")
    table = tmp_path / "t.csv"
    table.write_text(f"file{separator}klasse\n1.png{separator}x\n")
    with pytest.raises(DataError) as error:
        load_images(DataConfig(table=str(table), root=str(tmp_path)))
    # among what is there, and in what would mend it
    assert str(error.value).count("klasse") == 2


def test_a_name_with_a_backslash_stays(tmp_path: Path) -> None:
    touch(tmp_path, "a\\1.png", "a/1.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label\na\\1.png,x\na/1.png,y\nb.png,y\n")
    table = load_images(DataConfig(table=str(tmp_path / "t.csv"), root=str(tmp_path)))
    assert set(table.frame["image_id"]) == {"a\\1.png", "a/1.png", "b.png"}


def test_one_file_in_two_writings_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label\na\\1.png,x\na/1.png,y\nb.png,y\n")
    with pytest.raises(DataError, match="already in line 2"):
        load_images(DataConfig(table=str(tmp_path / "t.csv"), root=str(tmp_path)))


def test_parquet_with_lists_for_labels(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["1.png"], "label": [["a", "b"]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="label must hold text or numbers"):
        load_images(DataConfig(table=str(tmp_path / "t.parquet")))


def test_paths_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "img/1.png", "img/2.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    rows = "path,label\n~/img/1.png,x\n~\\img\\2.png,y\n"
    (tmp_path / "t.csv").write_text(rows)
    table = load_images(DataConfig(table=str(tmp_path / "t.csv")))
    assert set(table.paths) == {str(tmp_path / "img/1.png"), str(tmp_path / "img/2.png")}
    (tmp_path / "t.csv").write_text("path,label\n~nobody/img/1.png,x\n")
    with pytest.raises(DataError, match="existing file"):
        load_images(DataConfig(table=str(tmp_path / "t.csv")))
