"""The worst errors: which photos are shown, in which order, and with which pictures."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tl_keras.experiment.explain import MOST_UNSURE, MOST_WRONG, Explanation, explain_errors

SIDE = 16


def classifier() -> keras.Model:
    """The redder, the surer of class 0: a map of the red channel, averaged."""
    images = keras.Input((SIDE, SIDE, 3))
    maps = keras.layers.Conv2D(2, 1, use_bias=False, name="channels")(images)
    logits = keras.layers.Dense(2, use_bias=False)(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(images, keras.layers.Softmax()(logits))
    kernel = np.zeros((1, 1, 3, 2))
    kernel[0, 0, 0, 0] = kernel[0, 0, 1, 1] = 0.02
    model.get_layer("channels").set_weights([kernel])
    model.layers[-2].set_weights([np.eye(2)])
    return model


def pictures(reds: list[int]) -> np.ndarray:
    """Green photos with the upper half so red."""
    photos = np.zeros((len(reds), SIDE, SIDE, 3), np.uint8)
    photos[..., 1] = 60
    photos[:, : SIDE // 2, :, 0] = np.array(reds)[:, None, None]
    return photos


@pytest.fixture
def explanation(tmp_path: Path) -> Explanation:
    """Six test images of class 1 at rows 2..7, the redder ones answered wrongly."""
    photos = pictures([0, 0, 250, 200, 180, 0, 40, 100])
    test = pd.DataFrame(
        {"image_id": [f"photo{k}" for k in range(2, 8)], "class_index": 1}, index=range(2, 8)
    )
    model = classifier()
    probabilities = np.asarray(model(photos[2:].astype(np.float32)))
    return explain_errors(model, photos, test, probabilities, ("red", "green"), tmp_path)


def test_the_surest_wrong_answers_come_first_then_the_least_sure_right_ones(
    explanation: Explanation,
) -> None:
    table = explanation.table
    assert table["image_id"].tolist() == [
        *("photo2", "photo3", "photo4"),
        *("photo7", "photo6", "photo5"),
    ]
    assert table["right"].tolist() == [False] * 3 + [True] * 3
    assert table["predicted"].tolist() == ["red"] * 3 + ["green"] * 3
    assert (table["label"] == "green").all()
    assert table["probability"].iloc[0] == pytest.approx(1 - table["probability_of_label"].iloc[0])


def test_the_facts_count_all_test_images(explanation: Explanation) -> None:
    assert explanation.facts["test_images"] == 6
    assert explanation.facts["wrong"] == 3
    assert -1 <= float(explanation.facts["randomisation_correlation"]) <= 1


def test_a_map_is_bright_where_the_class_shows(explanation: Explanation, tmp_path: Path) -> None:
    name = explanation.table["photo"].iloc[0]
    photo, heated = (
        np.asarray(Image.open(tmp_path / "errors" / f"{name}{end}.jpg"), np.float64)
        for end in ("", "_map")
    )
    # where nothing is hot, the photo stands in shades of gray
    gray = photo @ [0.299, 0.587, 0.114]
    change = np.abs(heated - gray[..., np.newaxis]).mean(axis=(1, 2))
    assert change[: SIDE // 2 - 2].min() > 20
    assert change[SIDE // 2 + 2 :].max() < 10


def test_older_pictures_are_removed(explanation: Explanation, tmp_path: Path) -> None:
    assert len(list((tmp_path / "errors").glob("*.jpg"))) == 12
    stale = tmp_path / "errors" / "99.jpg"
    stale.touch()
    model, photos = classifier(), pictures([250])
    test = pd.DataFrame({"image_id": ["one"], "class_index": [1]})
    explain_errors(model, photos, test, np.array([[0.9, 0.1]]), ("red", "green"), tmp_path)
    assert sorted(path.name for path in stale.parent.glob("*.jpg")) == ["01.jpg", "01_map.jpg"]


def test_only_so_many_are_shown(tmp_path: Path) -> None:
    count = MOST_WRONG + MOST_UNSURE + 20
    photos = pictures([250] * count)
    test = pd.DataFrame(
        {"image_id": [str(k) for k in range(count)], "class_index": [1] * 35 + [0] * (count - 35)}
    )
    probabilities = np.tile([0.9, 0.1], (count, 1))
    found = explain_errors(classifier(), photos, test, probabilities, ("red", "green"), tmp_path)
    assert found.table["right"].tolist() == [False] * MOST_WRONG + [True] * MOST_UNSURE
    assert found.facts["wrong"] == 35
