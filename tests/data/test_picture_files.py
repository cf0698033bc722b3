"""Pictures in memory as files: without loss, the same again, whatever the order."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.data.given_pictures import GivenPicture
from tl_keras.data.picture_files import write_pictures, write_table
from tl_keras.data.picture_rows import with_rows
from tl_keras.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
PICTURES = [
    GivenPicture(PIXELS[0], "crack", "part 1"),
    GivenPicture(PIXELS[1], "dent/left", "part 2"),
    GivenPicture(PIXELS[2, ..., :1], 7, "part 2"),
]


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_names_every_picture_in_the_order_given(tmp_path: Path) -> None:
    found = rows(write_pictures(PICTURES, tmp_path))
    assert [(row["label"], row["group"]) for row in found] == [
        ("crack", "part 1"),
        ("dent/left", "part 2"),
        ("7", "part 2"),
    ]
    for row, pixels in zip(found, [PIXELS[0], PIXELS[1], PIXELS[2, ..., 0]], strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / row["path"])), pixels)


def test_pictures_of_an_array_are_named_by_their_rows(tmp_path: Path) -> None:
    given = [replace(picture, row=row) for row, picture in enumerate([*PICTURES, PICTURES[0]])]
    table = pd.read_csv(write_pictures(given, tmp_path))
    ids = pd.DataFrame({"image_id": table["path"], "other_image_id": table["path"][::-1].array})
    told = with_rows(ids.sample(frac=1, random_state=0))
    assert told["row"].tolist() == told.index.tolist()
    assert told["other_row"].tolist() == [3 - row for row in told.index]
    # nothing twice, and nothing where images have names of their own
    assert with_rows(told) is told
    own = pd.DataFrame({"image_id": ["a/row1.png", "a/row1_0123456789ab.png"]})
    assert with_rows(own) is own
    about_the_set = pd.DataFrame({"image_id": [table["path"][1], None]})
    assert with_rows(about_the_set)["row"].tolist() == [1, pd.NA]


def test_the_same_pictures_are_the_same_files_in_any_order(tmp_path: Path) -> None:
    first = write_pictures(PICTURES, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    assert write_pictures(PICTURES[::-1], tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")} == before
    assert len(before) == 3


@pytest.mark.parametrize(
    "changed",
    [
        GivenPicture(PIXELS[0] // 2, "crack", "part 1"),
        GivenPicture(PIXELS[0], "Crack", "part 1"),
        GivenPicture(PIXELS[0], "crack", "part 2"),
        GivenPicture(PIXELS[0].reshape(5, 6, 3), "crack", "part 1"),
    ],
    ids=["pixels", "label", "group", "shape"],
)
def test_whatever_differs_makes_another_table(tmp_path: Path, changed: GivenPicture) -> None:
    first = write_pictures(PICTURES, tmp_path)
    assert write_pictures([changed, *PICTURES[1:]], tmp_path) != first


def test_copies_are_files_of_their_own(tmp_path: Path) -> None:
    table = write_pictures([PICTURES[0], PICTURES[0], PICTURES[1]], tmp_path)
    assert len({row["path"] for row in rows(table)}) == 3
    assert table != write_pictures([PICTURES[0], PICTURES[1]], tmp_path)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    write_pictures(PICTURES, tmp_path)
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".png", ".csv"}


def test_no_rows_and_no_room_are_answered(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none"):
        write_table(("path", "label"), [], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="results_dir"):
        write_pictures(PICTURES, tmp_path / "file")
