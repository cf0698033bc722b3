"""Decoding a whole set of pictures, in memory or in a mapped file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hostile.pictures import BROKEN, SOUND
from tl_keras.config.schema import ResizeMode
from tl_keras.data import pixels
from tl_keras.data.picture_reading import DEFAULTS, PictureReading
from tl_keras.data.pixels import allocate, load_pictures
from tl_keras.data.rows import MappedRows, Rows, whole
from tl_keras.errors import DataError


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Plain gray 4 x 6 pictures; the gray of picture i is 10 i."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("L", (6, 4), 10 * number).save(path)
    return paths


def test_small_arrays_are_in_memory() -> None:
    array = allocate((2, 3), np.float32, budget=24)
    assert type(array) is np.ndarray
    assert array.shape == (2, 3)
    assert array.dtype == np.float32


def test_arrays_beyond_the_budget_are_mapped() -> None:
    array = allocate((2, 3), np.float32, budget=23)
    assert isinstance(array, MappedRows)
    assert array.shape == (2, 3)


def test_mapped_array_keeps_its_values() -> None:
    array = allocate((100, 1000), np.int64, budget=0)
    for row in range(100):
        array[row] = np.full(1000, row)
    np.testing.assert_array_equal(whole(array).sum(axis=1), 1000 * np.arange(100))


def test_size_beyond_32_bits_is_counted_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise MemoryError("mapped")

    monkeypatch.setattr(pixels, "TemporaryFile", refuse)
    with pytest.raises(MemoryError, match="mapped"):
        allocate((2**16, 2**16), np.uint8)


def load(paths: Sequence[Path | str], *, resize: ResizeMode = "stretch") -> Rows:
    return load_pictures(paths, np.arange(len(paths)), image_size=5, reading=PictureReading(resize))


@pytest.mark.parametrize("budget", [0, 2**20])
def test_pictures_come_in_the_order_of_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(
        pixels, "allocate", lambda shape, dtype: allocate(shape, dtype, budget=budget)
    )
    decoded = load(write_pictures(tmp_path, 20)[::-1])
    assert decoded.shape == (20, 5, 5, 3)
    assert whole(decoded).dtype == np.uint8
    np.testing.assert_array_equal(whole(decoded)[:, 2, 2, 0], 10 * np.arange(20)[::-1])


def test_pictures_that_are_not_used_are_not_opened(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 6)
    paths[2].unlink()
    rows = np.array([5, 1])
    decoded = load_pictures(paths, rows, image_size=5, reading=DEFAULTS)
    assert decoded.shape == (6, 5, 5, 3)
    np.testing.assert_array_equal(decoded[rows][:, 2, 2, 0], [50, 10])


def test_resize_mode_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("L", (10, 5), 255).save(path)
    assert whole(load([path])).min() == 255
    assert whole(load([path], resize="pad")).min() == 0


def test_text_paths_are_accepted(tmp_path: Path) -> None:
    (path,) = write_pictures(tmp_path, 1)
    assert load([str(path)]).shape == (1, 5, 5, 3)


@pytest.mark.parametrize("name", ["plain.tif", "lossless.webp", "downloaded.jpg", "pages.tif"])
def test_a_format_that_pillow_reads_has_its_pixels(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(SOUND[name])
    with Image.open(path) as image:
        image.convert("RGB").save(tmp_path / "same.png")
    there, same = whole(load([path, tmp_path / "same.png"]))
    np.testing.assert_array_equal(there, same)


def test_why_a_picture_is_broken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "float.tif"
    path.write_bytes(BROKEN["float.tif"])
    with pytest.raises(
        DataError, match=r"float\.tif cannot be decoded \(32-bit, signed or decimal"
    ):
        load([path])


def test_broken_picture_is_named(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 12)
    paths[7].write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"7\.png .*cannot be decoded.*data\.skip_unreadable"):
        load(paths)


def test_missing_picture_is_named(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 3)
    paths[1].unlink()
    with pytest.raises(DataError, match=r"1\.png"):
        load(paths)


def test_full_temporary_folder_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(rows: MappedRows, row: int, values: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MappedRows, "__setitem__", fail)
    monkeypatch.setattr(pixels, "allocate", lambda shape, dtype: allocate(shape, dtype, budget=0))
    with pytest.raises(DataError, match=r"2 decoded pictures .*No space left.*TMPDIR"):
        load(write_pictures(tmp_path, 2))
