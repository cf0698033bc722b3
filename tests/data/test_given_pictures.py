"""Pictures in memory: what is taken, what it becomes, and what is said of the rest."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.data import given_pictures as module
from tl_keras.data.given_pictures import given_pictures, given_pixels, resized
from tl_keras.errors import DataError, PicturesError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
GRAY = COLOUR[..., 0]
LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (COLOUR, COLOUR),
        (COLOUR.astype(np.float32), COLOUR),
        (COLOUR.astype(np.int64), COLOUR),
        (GRAY, GRAY[..., None]),
        (GRAY[..., None], GRAY[..., None]),
        (list(COLOUR), COLOUR),
        (tf.constant(COLOUR), COLOUR),
    ],
    ids=["uint8", "whole floats", "integers", "gray", "one channel", "list", "tensor"],
)
def test_pixels_are_taken_as_they_are(given: Any, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(np.stack(list(given_pixels(given))), expected)


def test_floats_are_rounded_and_the_array_is_not_changed() -> None:
    given = np.full((1, 2, 2, 3), 9.6, np.float32)
    given[0, 0, 0] = [9.4, 0.0, 254.6]
    before = given.copy()
    (pixels,) = given_pixels(given)
    assert pixels[0, 0].tolist() == [9, 0, 255]
    assert np.all(pixels[1] == 10)
    np.testing.assert_array_equal(given, before)


def test_pictures_of_a_list_may_have_any_size() -> None:
    given = [COLOUR[0], GRAY[1], COLOUR[2, :3, :2]]
    assert [p.shape for p in given_pixels(given)] == [(6, 5, 3), (6, 5, 1), (3, 2, 3)]
    assert resized(given_pixels(given), 4, "stretch").shape == (3, 4, 4, 3)


def test_a_picture_of_the_right_size_stays_as_it_is_and_gray_is_repeated() -> None:
    square = COLOUR[:, :5]
    np.testing.assert_array_equal(resized(given_pixels(square), 5, "stretch"), square)
    gray = resized(given_pixels(square[..., 0]), 5, "pad")
    np.testing.assert_array_equal(gray, np.repeat(square[..., :1], 3, axis=-1))


WITH_NAN = COLOUR.astype(np.float32)
WITH_NAN[3, 0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("given", "received"),
    [
        (COLOUR / 255, "0..1"),
        (COLOUR > 127, "bool"),
        ((COLOUR > 127).astype(np.uint8), "0..1"),
        (COLOUR / 127.5 - 1, "-"),
        (WITH_NAN, "NaN"),
        (COLOUR.astype(np.int32) * 2, "to 5?[0-9]{2}"),
        (COLOUR.reshape(4, -1), r"\(4, 90\)"),
        (RNG.integers(0, 9, (4, 6, 5, 4)), r"\(6, 5, 4\)"),
        (np.zeros((4, 0, 5, 3)), r"\(0, 5, 3\)"),
        (np.array([["a"]]), r"\(1, 1\)"),
        ([], "none"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_was_received(given: Any, received: str) -> None:
    with pytest.raises(DataError, match=received) as raised:
        resized(given_pixels(given), 8, "stretch")
    assert len(str(raised.value)) < 300
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("y", "groups"),
    [(LABELS[:3], None), (LABELS, ["a"]), (None, None)],
    ids=["y", "groups", "no y"],
)
def test_arrays_of_other_lengths_are_refused(y: Any, groups: Any) -> None:
    with pytest.raises(DataError, match="must be"):
        list(given_pictures(COLOUR, y, groups))


def test_groups_are_names_and_none_may_be_missing() -> None:
    found = [p.group for p in given_pictures(COLOUR, LABELS, [7, 7, 8, 9])]
    assert found == ["7", "7", "8", "9"]
    with pytest.raises(DataError, match="missing"):
        list(given_pictures(COLOUR, LABELS, ["a", None, "b", "c"]))
    with pytest.raises(DataError, match="missing"):
        list(given_pictures(COLOUR, LABELS, [1.0, np.nan, 2.0, 3.0]))


def as_pairs(dataset: tf.data.Dataset, **options: Any) -> list[tuple[bytes, Any]]:
    return [(p.pixels.tobytes(), p.label) for p in given_pictures(dataset, **options)]


SLICES: dict[str, Callable[[], tf.data.Dataset]] = {
    "one by one": lambda: tf.data.Dataset.from_tensor_slices((COLOUR, LABELS)),
    "batched": lambda: tf.data.Dataset.from_tensor_slices((COLOUR, LABELS)).batch(3),
    "floats": lambda: tf.data.Dataset.from_tensor_slices((COLOUR.astype("f4"), LABELS)).batch(3),
    "one-hot": lambda: tf.data.Dataset.from_tensor_slices((COLOUR, np.eye(2)[LABELS])),
    "one-hot batches": lambda: tf.data.Dataset.from_tensor_slices(
        (COLOUR, np.eye(2)[LABELS])
    ).batch(3),
    "binary": lambda: tf.data.Dataset.from_tensor_slices((COLOUR, LABELS[:, None])).batch(3),
    "of no known length": lambda: tf.data.Dataset.from_generator(
        lambda: zip(COLOUR, LABELS, strict=True),
        output_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
    ),
}


@pytest.mark.parametrize("name", SLICES)
def test_a_dataset_gives_the_same_as_its_arrays(name: str) -> None:
    assert as_pairs(SLICES[name]()) == [
        (pixels.tobytes(), label) for pixels, label in zip(COLOUR, LABELS.tolist(), strict=True)
    ]


def test_a_dataset_of_names_and_of_gray_pictures() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((GRAY, ["a", "b", "a", "ü"]))
    for given in (dataset, dataset.batch(4)):
        found = list(given_pictures(given))
        assert [p.label for p in found] == ["a", "b", "a", "ü"]
        assert {p.pixels.shape for p in found} == {(6, 5, 1)}


@pytest.mark.parametrize("label_mode", ["int", "categorical", "binary"])
@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_directory_read_by_keras(photos: Path, label_mode: str, batch_size: int | None) -> None:
    names = ["amber", "blue"]
    dataset = keras.utils.image_dataset_from_directory(
        photos,
        class_names=names,
        label_mode=label_mode,
        batch_size=batch_size,
        image_size=(36, 40),
        verbose=False,
    )
    expected = {
        (file.read_bytes(), file.parent.name) for n in names for file in (photos / n).iterdir()
    }
    decoded = {(tf.io.decode_png(file).numpy().tobytes(), name) for file, name in expected}
    assert set(as_pairs(dataset)) == decoded
    assert {label for _, label in as_pairs(dataset, named=False)} == {0, 1}


@pytest.mark.parametrize(
    ("dataset", "received"),
    [
        (tf.data.Dataset.from_tensor_slices(COLOUR), "TensorSpec"),
        (tf.data.Dataset.from_tensor_slices((COLOUR, LABELS, LABELS)), "3"),
        (tf.data.Dataset.from_tensor_slices((COLOUR, LABELS)).repeat(), "for ever"),
        (tf.data.Dataset.from_tensor_slices((COLOUR / 255, LABELS)), "0..1"),
        (tf.data.Dataset.from_tensor_slices((COLOUR // 255, LABELS)), "none above"),
        (
            tf.data.Dataset.from_generator(
                lambda: iter([(COLOUR[0], 0), (COLOUR[1, :3], 1)]),
                output_signature=(
                    tf.TensorSpec((None, 5, 3), tf.uint8),
                    tf.TensorSpec((), tf.int64),
                ),
            ).ragged_batch(2),
            "batch",
        ),
    ],
    ids=["no labels", "three", "infinite", "scaled", "dark", "ragged"],
)
def test_other_datasets_are_refused(dataset: tf.data.Dataset, received: str) -> None:
    with pytest.raises(DataError, match=received):
        list(given_pictures(dataset))


def test_labels_beside_a_dataset_are_refused() -> None:
    with pytest.raises(DataError, match="itself"):
        list(given_pictures(SLICES["batched"](), LABELS))


@pytest.mark.parametrize("nothing", [np.zeros((0, 4, 4, 3), np.uint8), []])
def test_no_pictures_are_not_taken_for_scaled_ones(nothing: Any) -> None:
    assert list(given_pixels(nothing)) == []


def test_a_dataset_that_may_never_end_is_read_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_UNCOUNTED", 6)
    endless = tf.data.Dataset.from_generator(
        lambda: ((COLOUR[0], 1) for _ in itertools.count()),
        output_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
    )
    with pytest.raises(PicturesError, match=r"up to 6 pictures.*take\(n\)"):
        list(given_pictures(endless))
    assert len(list(given_pictures(endless.take(6)))) == 6
    counted = endless.take(8).apply(tf.data.experimental.assert_cardinality(8))
    assert len(list(given_pictures(counted))) == 8
