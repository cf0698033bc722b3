"""Small pictures as data URIs."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hostile.pictures import BROKEN, PICTURES
from tl_keras.data.picture_reading import PictureReading
from tl_keras.reporting.thumbnails import thumbnail


def picture(uri: str | None) -> Image.Image:
    assert uri is not None
    start, _, text = uri.partition(",")
    assert start == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_the_longer_side_is_that_asked_for(tmp_path: Path) -> None:
    Image.new("RGB", (300, 100)).save(tmp_path / "a.png")
    assert picture(thumbnail(tmp_path / "a.png", 60)).size == (60, 20)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_an_exif_rotation_is_followed(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 100)).save(tmp_path / name, exif=exif)
    assert picture(thumbnail(tmp_path / name, 60)).size == (20, 60)
    as_stored = PictureReading(exif_rotation="ignore")
    assert picture(thumbnail(tmp_path / name, 60, as_stored)).size == (60, 20)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 32896, np.uint16)).save(tmp_path / "a.png")
    gray = np.asarray(picture(thumbnail(tmp_path / "a.png", 40)))
    assert abs(int(gray.mean()) - 128) <= 1


def test_what_is_no_picture_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert thumbnail(tmp_path / "a.png", 40) is None
    assert thumbnail(tmp_path / "missing.png", 40) is None


@pytest.mark.parametrize("name", PICTURES)
def test_every_sound_picture_has_one_and_no_broken_one_stops(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(PICTURES[name])
    made = thumbnail(path, 20)
    assert made is not None or name in BROKEN


def test_a_picture_above_the_limit_has_none(tmp_path: Path) -> None:
    Image.new("L", (300, 100)).save(tmp_path / "a.png")
    assert thumbnail(tmp_path / "a.png", 60, reading=PictureReading(max_megapixels=0.029)) is None
    assert (
        thumbnail(tmp_path / "a.png", 60, reading=PictureReading(max_megapixels=0.03)) is not None
    )
