"""Batches of the source task: what changes in a picture, and what is asked about it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tl_keras.pretraining import source_batches
from tl_keras.pretraining.source_config import SourceConfig
from tl_keras.pretraining.source_images import SourceImages

Make = Callable[..., SourceConfig]
MakeImages = Callable[[SourceConfig], SourceImages]
NOTHING: dict[str, Any] = {
    "crop_area": [1.0, 1.0],
    "flip": False,
    "brightness": 0.0,
    "contrast": 0.0,
}


def of_round(images: SourceImages, config: SourceConfig, index: int, side: int = 32) -> list[Any]:
    return list(source_batches.round_batches(images, config, index, side).as_numpy_iterator())


def test_rounds_of_an_epoch_see_every_image_once(
    source_config: Make, source_images: MakeImages
) -> None:
    config = source_config(batch_size=3, **NOTHING)
    images = source_images(config)
    seen = [
        picture
        for k in (0, 1)
        for pictures, _ in of_round(images, config, k)
        for picture in pictures
    ]

    assert len(seen) == len(images.training) == 18
    sums = sorted(float(picture.sum()) for picture in seen)
    wanted = sorted(float(images.pixels[row].sum()) for row in images.training)
    assert sums == pytest.approx(wanted, rel=1e-4)


def test_a_round_is_the_same_again_and_another_one_differs(
    source_config: Make, source_images: MakeImages
) -> None:
    config = source_config()
    images = source_images(config)
    first, again, later = (of_round(images, config, k)[0][0] for k in (0, 0, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)


def test_labels_belong_to_their_pictures(source_config: Make, source_images: MakeImages) -> None:
    config = source_config(**NOTHING)
    images = source_images(config)
    for pictures, answers in of_round(images, config, 0):
        for picture, wanted in zip(pictures, answers[source_batches.CLASSES], strict=True):
            distances = np.abs(images.pixels.astype(float) - picture).sum(axis=(1, 2, 3))
            assert images.labels[distances.argmin()] == wanted.argmax()


def test_pictures_are_cropped_to_the_side_and_stay_in_range(
    source_config: Make, source_images: MakeImages
) -> None:
    config = source_config(image_size=48, brightness=0.9)
    pictures, answers = of_round(source_images(config), config, 0)[0]

    assert pictures.shape == (4, 32, 32, 3)
    assert pictures.min() >= 0
    assert pictures.max() <= 255
    assert answers[source_batches.CLASSES].sum(axis=1).tolist() == [1, 1, 1, 1]


def test_every_output_has_its_target(source_config: Make, source_images: MakeImages) -> None:
    config = source_config(auxiliary_blocks=["block_2"], picture_weight=1.0)
    _, answers = of_round(source_images(config), config, 0)[0]

    assert set(answers) == {"classes", "classes_block_2", "picture"}
    assert answers["picture"].shape == (4, source_batches.PICTURE_NUMBERS)


def test_no_change_leaves_the_picture_as_it_is(
    source_config: Make, source_images: MakeImages
) -> None:
    config = source_config(**NOTHING)
    pixels = source_images(config).pixels[:3]
    same = source_batches.changed(tf.constant(pixels), config, 32, tf.constant([1, 2], tf.int64))

    np.testing.assert_allclose(same, pixels, atol=1e-3)


def test_about_half_are_mirrored(source_config: Make, source_images: MakeImages) -> None:
    config = source_config(**NOTHING | {"flip": True})
    pixels = np.repeat(source_images(config).pixels[:1], 200, axis=0)
    changed = source_batches.changed(tf.constant(pixels), config, 32, tf.constant([1, 2], tf.int64))
    mirrored = [np.allclose(image, pixels[0, :, ::-1], atol=1e-3) for image in changed.numpy()]

    assert 70 < sum(mirrored) < 130


def stripes(side: int, cycles: int, direction: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    wave = np.sin(2 * np.pi * cycles * (x * np.cos(direction) + y * np.sin(direction)))
    return np.repeat((127.5 + 100 * wave)[None, ..., None], 3, axis=-1).astype(np.float32)


@pytest.mark.parametrize(("cycles", "ring"), [(2, 0), (4, 1), (7, 2), (14, 3)])
@pytest.mark.parametrize(("direction", "turn"), [(0.0, 0), (np.pi / 2, 2)])
def test_stripes_have_their_energy_in_one_band(
    cycles: int, ring: int, direction: float, turn: int
) -> None:
    numbers = source_batches.describe_pictures(tf.constant(stripes(64, cycles, direction)))[
        0
    ].numpy()
    bands = numbers[source_batches.THUMBNAIL**2 + 3 :].reshape(5, 4)

    assert np.unravel_index(bands.argmax(), bands.shape) == (ring, turn)


def test_a_plain_picture_is_described_by_its_gray_and_colour() -> None:
    picture = np.full((1, 32, 32, 3), 127.5, np.float32)
    picture[..., 0] += 25.5
    numbers = source_batches.describe_pictures(tf.constant(picture))[0].numpy()

    np.testing.assert_allclose(numbers[:64], 0.2 / 3, atol=1e-5)
    np.testing.assert_allclose(numbers[64:67], [4 * 0.4 / 3, -0.8 / 3, -0.8 / 3], atol=1e-5)
