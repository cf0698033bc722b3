"""Pictures get names that clash with nothing, and harm nothing that was there."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tl_keras.errors import ConfigError
from tl_keras.serving.exported_classifier import Answers, HeatMaps
from tl_keras.serving.heat_map_folder import ENDING, HeatMapFolder, check_place

RNG = np.random.default_rng(0)


def maps_of(count: int, unreadable: Sequence[int] = ()) -> HeatMaps:
    decoded = ~np.isin(np.arange(count), unreadable)
    labels = ["crack" if there else "" for there in decoded]
    answers = Answers(labels, np.full((count, 2), 0.5), decoded)
    photos = RNG.integers(0, 256, (count, 8, 8, 3), np.uint8)
    return HeatMaps(answers, photos, RNG.normal(size=(count, 8, 8)), np.full(count, 4))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def written(folder: Path, files: Sequence[str | Path], unreadable: Sequence[int] = ()) -> list[str]:
    maps = maps_of(len(files), unreadable)
    return HeatMapFolder(folder).write([Path(file) for file in files], maps, maps.answers)


def test_a_picture_per_readable_photo_under_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "maps"
    names = written(folder, ["a/one.jpg", "broken.png", "b/two.tif"], unreadable=[1])
    assert names == [f"one{ENDING}", "", f"two{ENDING}"]
    assert names_in(folder) == sorted(filter(None, names))
    for name in filter(None, names):
        with Image.open(folder / name) as picture:
            picture.load()


def test_photos_of_one_name_have_pictures_of_their_own(tmp_path: Path) -> None:
    """Also where a file system takes letters for the same."""
    files = ["a/x.png", "b/x.png", "b/x.jpg", "X.png", "x-2.png", "\u00e9.png", "e\u0301.png"]
    names = written(tmp_path, files)
    assert len({name.casefold() for name in names}) == len(files)
    assert len(names_in(tmp_path)) == len(files)
    assert all(name.endswith(ENDING) for name in names)


def test_names_stay_different_over_several_batches(tmp_path: Path) -> None:
    folder, maps = HeatMapFolder(tmp_path), maps_of(2)
    names = [
        name
        for _ in range(3)
        for name in folder.write([Path("x.png"), Path("y.png")], maps, maps.answers)
    ]
    assert len(set(names)) == len(names_in(tmp_path)) == 6


ODD = [
    "-rf",
    "..",
    ".hidden",
    "a b'\"$`;|&<>:?*\\",
    "x" * 240,
    "缺" * 80,
    "🙂" * 60,
    "\u202egpj.exe",
    "new\nline\tand\x1b[31m",
    "con",
    "हिन्दी",
    "\u115f",
    os.fsdecode(b"\xff\xfe"),
]


@pytest.mark.parametrize("stem", ODD)
def test_odd_names_become_names_that_every_file_system_takes(tmp_path: Path, stem: str) -> None:
    (name,) = written(tmp_path, [f"{stem}.png"])
    assert names_in(tmp_path) == [name]
    assert len(name.encode()) < 255
    assert not set(name) & set("/\\:*?\"<>|'$`;& \n\t\x1b\u202e")
    assert name[0] not in "-."
    assert name.isprintable()


def test_other_files_stay_and_pictures_of_an_earlier_call_give_way(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"a photo")
    (tmp_path / "notes").mkdir()
    (first,) = written(tmp_path, ["one.png"])
    before = (tmp_path / first).read_bytes()
    (again,) = written(tmp_path, ["one.png"])
    assert again == first
    assert (tmp_path / again).read_bytes() != before
    assert names_in(tmp_path) == sorted(["notes", "one.png", first])
    assert (tmp_path / "one.png").read_bytes() == b"a photo"


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"a photo")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / f"one{ENDING}").symlink_to(photo)
    written(tmp_path / "maps", ["one.png"])
    assert photo.read_bytes() == b"a photo"


def test_places_that_are_none(tmp_path: Path) -> None:
    file, photos = tmp_path / "file", tmp_path / "photos"
    file.touch()
    (photos / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for place in (file, file / "below", tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="must be a folder, or not be there yet"):
            check_place(place, [photos])
    for place in (photos, photos / "deep", photos / "new", tmp_path / "link" / "new"):
        with pytest.raises(ConfigError, match="must lie outside of"):
            check_place(place, [file, photos])
    before = names_in(tmp_path)
    for place in (tmp_path / "maps", tmp_path, tmp_path / "a" / "b"):
        check_place(place, [file, photos])
    assert names_in(tmp_path) == before
