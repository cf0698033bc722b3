"""The images of a source task in its working folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tl_keras.errors import ConfigError
from tl_keras.pretraining.source_config import SourceConfig
from tl_keras.pretraining.source_images import stored_images

Make = Callable[..., SourceConfig]


def never(done: int, total: int) -> None:
    pytest.fail("written again")


def test_generated_images_are_stored_once_and_split_by_class(source_config: Make) -> None:
    config = source_config()
    reports: list[tuple[int, int]] = []
    images = stored_images(config, lambda done, total: reports.append((done, total)), processes=1)
    again = stored_images(config, never)

    assert reports == [(8, 24), (16, 24), (24, 24)]
    assert images.training.tolist() == [*range(6), *range(8, 14), *range(16, 22)]
    assert images.held_out.tolist() == [6, 7, 14, 15, 22, 23]
    assert np.array_equal(images.pixels, again.pixels)


def test_images_of_another_configuration_are_refused(tmp_path: Path, source_config: Make) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "images.json").write_text('{"classes": 9}')

    with pytest.raises(ConfigError, match="images of another configuration"):
        stored_images(source_config(), lambda done, total: None)


def test_a_folder_of_photos_is_a_source_task(photos: Path, source_config: Make) -> None:
    config = source_config(generated=None, data={"folder": str(photos)})
    reports: list[tuple[int, int]] = []
    images = stored_images(config, lambda done, total: reports.append((done, total)))
    again = stored_images(config, never)

    assert images.classes == ("amber", "blue", "green")
    assert images.pixels.shape == (42, 32, 32, 3)
    assert reports[-1] == (42, 42)
    assert sorted([*images.training, *images.held_out]) == list(range(42))
    assert np.bincount(images.labels[images.held_out]).tolist() == [4, 4, 4]
    assert np.array_equal(images.pixels, again.pixels)
    amber, blue = (images.pixels[images.labels == label].mean((0, 1, 2)) for label in (0, 1))
    assert amber[0] > amber[2]
    assert blue[2] > blue[0]


def test_other_labels_of_the_same_photos_are_refused(
    photos: Path, tmp_path: Path, source_config: Make
) -> None:
    table = tmp_path / "some.csv"
    names = [f"{photos}/{label}/{k}.png,{label}" for label in ("blue", "green") for k in range(9)]
    table.write_text("path,label\n" + "\n".join(names))
    config = source_config(generated=None, data={"table": str(table)})
    stored_images(config, lambda *_: None)
    table.write_text("path,label\n" + "\n".join([names[0].replace(",blue", ",green"), *names[1:]]))

    with pytest.raises(ConfigError, match="images of another configuration"):
        stored_images(config, never)


def test_images_left_out_of_the_test_split_are_not_trained_on(
    photos: Path, source_config: Make
) -> None:
    data = {"folder": str(photos), "test_fraction": 0.5, "max_test_per_class": 2}
    images = stored_images(source_config(generated=None, data=data), lambda *_: None)

    assert len(images.held_out) == 6
    assert not set(images.training) & set(images.held_out)


@pytest.mark.parametrize("name", ["images.npy", "images.json"])
def test_damaged_images_are_written_again_with_a_note(
    tmp_path: Path, source_config: Make, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = source_config()
    first = np.array(stored_images(config, lambda *_: None, processes=1).pixels)
    path = tmp_path / "work" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = stored_images(config, lambda *_: None, processes=1)

    assert np.array_equal(first, again.pixels)
    assert "damaged and are made again" in capsys.readouterr().out


def test_deleted_images_are_written_again(tmp_path: Path, source_config: Make) -> None:
    config = source_config()
    first = np.array(stored_images(config, lambda *_: None, processes=1).pixels)
    (tmp_path / "work" / "images.npy").unlink()
    again = stored_images(config, lambda *_: None, processes=1)

    assert np.array_equal(first, again.pixels)


def test_other_photos_in_the_same_working_folder_are_refused(
    photos: Path, tmp_path: Path, source_config: Make
) -> None:
    stored_images(source_config(generated=None, data={"folder": str(photos)}), lambda *_: None)
    table = tmp_path / "some.csv"
    names = [f"{photos}/{label}/{k}.png,{label}" for label in ("blue", "green") for k in range(9)]
    table.write_text("path,label\n" + "\n".join(names))

    with pytest.raises(ConfigError, match="images of another configuration"):
        stored_images(source_config(generated=None, data={"table": str(table)}), never)
