"""What Python is answered of photos in memory and of files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tl_keras
from tl_keras.errors import DataError, NoExportError

RNG = np.random.default_rng(0)


def test_a_row_for_each_photo_whatever_it_is_given_as(colour_export: Path, photos: Path) -> None:
    files = [next((photos / name).iterdir()) for name in ("amber", "blue", "green")]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    of_files = tl_keras.predict(colour_export, files)
    assert of_files["file"].tolist() == list(map(str, files))
    assert (of_files["problem"] == "").all()
    expected = of_files.drop(columns="file")
    forms = [pixels, list(pixels), pixels.astype(float), [Image.open(file) for file in files]]
    for given in forms:
        assert tl_keras.predict(colour_export, given).equals(expected)
    one = expected.head(1)
    for alone in (pixels[0], pixels[:1], [pixels[0]]):
        assert tl_keras.predict(colour_export, alone).equals(one)
    assert tl_keras.predict(str(colour_export), str(files[0])).drop(columns="file").equals(one)
    # gray, and black, which says nothing of scaling
    for gray in (pixels[..., 0], np.zeros((2, 8, 8), np.uint8)):
        assert len(tl_keras.predict(colour_export, gray)) == len(gray)


def test_a_folder_is_all_its_photos_and_what_cannot_be_read_says_why(
    colour_export: Path, photos: Path, tmp_path: Path
) -> None:
    assert len(tl_keras.predict(colour_export, photos)) == len(list(photos.rglob("*.png")))
    (tmp_path / "a.png").write_bytes(b"no picture")
    (told,) = tl_keras.predict(colour_export, tmp_path).to_dict("records")
    assert told["problem"] and not told["label"]


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ([], "none"),
        (RNG.random((2, 8, 8, 3)), "0 to|0\\.\\.1"),
        (np.zeros((2, 3, 8, 9)), "moveaxis"),
        (["a.png", np.zeros((8, 8))], "path a.png"),
        ("nowhere.png", "no such path"),
    ],
)
def test_what_is_no_photo_is_refused(colour_export: Path, given: object, received: str) -> None:
    with pytest.raises(DataError, match=received):
        tl_keras.predict(colour_export, given)


def test_an_experiment_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoExportError):
        tl_keras.predict(tmp_path, np.zeros((1, 8, 8, 3), np.uint8))
