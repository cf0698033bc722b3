"""A source model's folder, written and read."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.models.sources.cards import CARD
from tl_keras.backbone_table import BACKBONES
from tl_keras.errors import WeightsError
from tl_keras.models.sources.source_card import (
    SourceCard,
    check_replaceable,
    read_card,
    sound_card,
    write_source_model,
)

FACTS = {**CARD, "description": "A list in words: [\n 1, 2]"}


def network(seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    images = keras.Input((None, None, 3))
    return keras.Model(images, keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(images)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written = tmp_path / "models" / "tiny"
    write_source_model(written, network(), FACTS)
    return written


def test_the_card_comes_back_as_it_was_given(folder: Path) -> None:
    card = read_card(folder)
    assert len(card.pop("weights_sha256")) == 64
    assert card == FACTS
    about_network = {"backbone", "alpha"}
    assert SourceCard.of(read_card(folder)) == SourceCard(
        **{key: value for key, value in FACTS.items() if key not in about_network}
    )


def test_the_weights_come_back_as_they_were_given(folder: Path) -> None:
    other = network(seed=2)
    other.load_weights(folder / "model.weights.h5")
    for one, same in zip(other.get_weights(), network().get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_only_the_two_files_are_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.weights.h5"]
    assert list(folder.parent.iterdir()) == [folder]


def test_an_existing_source_model_is_replaced(folder: Path) -> None:
    write_source_model(folder, network(seed=2), {**FACTS, "name": "second"})
    card = sound_card(folder, BACKBONES["MobileNet"], None)
    assert card["name"] == "second"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_writer_that_fails_leaves_the_old_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    before = read_card(folder)
    monkeypatch.setattr(keras.Model, "save_weights", fail)
    with pytest.raises(OSError, match="disk full"):
        write_source_model(folder, network(seed=2), {**FACTS, "name": "second"})
    assert read_card(folder) == before


def test_lists_of_numbers_are_on_one_line(tmp_path: Path) -> None:
    statistics = {"stem": {"mean": [0.5, -1.25e-07, 3.0], "variance": [1.0]}}
    facts = {**FACTS, "block_statistics": statistics, "names": ["a", "b"], "none": []}
    write_source_model(tmp_path / "tiny", network(), facts)
    lines = (tmp_path / "tiny" / "card.json").read_text().splitlines()
    assert '      "mean": [0.5, -1.25e-07, 3.0],' in lines
    assert '    "a",' in lines
    assert read_card(tmp_path / "tiny")["block_statistics"] == statistics


def test_images_must_be_a_number(folder: Path) -> None:
    (folder / "card.json").write_text(json.dumps({**read_card(folder), "images": "many"}))
    with pytest.raises(WeightsError, match=r'images in .*card\.json must be .* got "many"'):
        read_card(folder)


def test_weights_of_another_card_are_refused(folder: Path) -> None:
    card = read_card(folder)
    network(seed=2).save_weights(folder / "model.weights.h5")
    with pytest.raises(WeightsError, match=f"SHA-256 must be {card['weights_sha256']}"):
        sound_card(folder, BACKBONES["MobileNet"], None)


@pytest.mark.parametrize("left", ["photo.jpg", "progress.json"])
def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / left).write_text("mine")
    with pytest.raises(WeightsError, match=f"over another source model; got .*models with {left}"):
        check_replaceable(folder)
    with pytest.raises(WeightsError, match="over another source model"):
        write_source_model(folder, keras.Sequential(), {})
    assert (folder / left).read_text() == "mine"


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(WeightsError, match="over another source model"):
        check_replaceable(tmp_path / "model")
