"""The drawn pictures: the same from the same numbers, and no easier than they should be."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tl_keras.drawn.surface_defect_drawing import CLASS_NAMES, draw
from tl_keras.errors import DataError

CLASSES = range(len(CLASS_NAMES))
DIFFICULTY_TRAIN = 20
DIFFICULTY_TEST = 20


@pytest.mark.parametrize("class_index", CLASSES, ids=CLASS_NAMES)
def test_same_numbers_give_the_same_picture(class_index: int) -> None:
    np.testing.assert_array_equal(draw(class_index, 3, seed=5), draw(class_index, 3, seed=5))


@pytest.mark.parametrize("class_index", CLASSES, ids=CLASS_NAMES)
def test_another_index_or_seed_gives_another_picture(class_index: int) -> None:
    picture = draw(class_index, 0)
    assert np.mean(picture != draw(class_index, 1)) > 0.5
    assert np.mean(picture != draw(class_index, 0, seed=1)) > 0.5


def test_classes_differ_under_the_same_index() -> None:
    pictures = {draw(class_index, 0).tobytes() for class_index in CLASSES}
    assert len(pictures) == len(CLASS_NAMES)


def test_pictures_are_those_of_every_other_installation() -> None:
    """A changed drawing is another data set: raise the builder's version with this number."""
    pixels = b"".join(draw(class_index, 0).tobytes() for class_index in CLASSES)
    assert hashlib.sha256(pixels).hexdigest()[:16] == "ed4a87ff38b89029"


@pytest.mark.parametrize("size", [32, 96, 128, 201])
@pytest.mark.parametrize("class_index", CLASSES, ids=CLASS_NAMES)
def test_shape_and_type(class_index: int, size: int) -> None:
    picture = draw(class_index, 0, size=size)
    assert picture.shape == (size, size)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("class_index", CLASSES, ids=CLASS_NAMES)
def test_pictures_are_neither_flat_nor_clipped(class_index: int) -> None:
    for index in range(10):
        picture = draw(class_index, index)
        assert picture.std() > 2
        assert np.mean((picture == 0) | (picture == 255)) < 0.25


def test_drawing_does_not_touch_the_global_random_numbers() -> None:
    before = np.random.get_state(legacy=False)["state"]["key"]
    draw(0, 0)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_index": 6}, "class_index must be from 0 to 5, got 6"),
        ({"class_index": -1}, "class_index must be from 0 to 5, got -1"),
        ({"image_index": -1}, "image_index must be 0 or more, got -1"),
        ({"size": 31}, "size must be 32 or more, got 31"),
        ({"seed": -2}, "seed must be 0 or more, got -2"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw(**({"class_index": 0, "image_index": 0} | arguments))


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    """Pictures `(classes, images, 128, 128)`."""
    count = DIFFICULTY_TRAIN + DIFFICULTY_TEST
    return np.stack([[draw(label, index) for index in range(count)] for label in CLASSES])


def _held_out_accuracy(features: NDArray[np.float64]) -> float:
    """Logistic regression on `(classes, images, values)`, 20 training images per class."""
    train, test = features[:, :DIFFICULTY_TRAIN], features[:, DIFFICULTY_TRAIN:]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    labels = np.repeat(np.array(CLASSES), DIFFICULTY_TRAIN)
    model.fit(train.reshape(len(labels), -1), labels)
    test_labels = np.repeat(np.array(CLASSES), DIFFICULTY_TEST)
    return float(model.score(test.reshape(len(test_labels), -1), test_labels))


def test_brightness_and_contrast_do_not_give_the_class_away(pictures: NDArray[np.uint8]) -> None:
    statistics = np.stack([pictures.mean((2, 3)), pictures.std((2, 3))], axis=-1)
    assert _held_out_accuracy(statistics) < 0.35


def test_thumbnails_do_not_give_the_class_away(pictures: NDArray[np.uint8]) -> None:
    classes, images = pictures.shape[:2]
    thumbnails = pictures.reshape(classes, images, 16, 8, 16, 8).mean((3, 5))
    assert _held_out_accuracy(thumbnails.reshape(classes, images, -1)) < 0.35


def test_the_shape_of_the_gray_values_says_more_than_chance(pictures: NDArray[np.uint8]) -> None:
    """The classes are there to be learned: skewed by dark or bright defects, rough or smooth."""
    flat = pictures.reshape(*pictures.shape[:2], -1).astype(np.float64)
    scaled = (flat - flat.mean(-1, keepdims=True)) / flat.std(-1, keepdims=True)
    percentiles = np.moveaxis(np.percentile(scaled, [1, 5, 25, 50, 75, 95, 99], axis=-1), 0, -1)
    assert _held_out_accuracy(percentiles) > 0.35
