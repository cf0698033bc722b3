"""Batches: their order, their sizes, and that rows stay together."""

from pathlib import Path

import numpy as np
import pytest

from tl_keras.data import batches as module
from tl_keras.data.batches import Batches, stretches
from tl_keras.data.rows import whole


def batches(seed: int | None = None, *, count: int = 10, size: int = 4) -> Batches:
    """Row i holds the number i in inputs and sample weights, and 10 i in the targets."""
    numbers = np.arange(count, dtype=np.float32)
    return Batches(numbers[:, None], 10 * numbers[:, None], size, numbers, shuffle_seed=seed)


def epoch(source: Batches) -> list[int]:
    return [int(number) for inputs, _, _ in source for number in inputs[:, 0]]


def test_without_a_seed_the_order_is_that_of_the_arrays() -> None:
    assert epoch(batches()) == list(range(10))


def test_batch_may_be_larger_than_the_set() -> None:
    assert epoch(batches(size=64)) == list(range(10))


def test_every_row_comes_once_per_epoch() -> None:
    source = batches(1)
    for _ in range(2):
        assert sorted(epoch(source)) == list(range(10))


def test_rows_of_a_batch_come_in_their_order() -> None:
    rows = epoch(batches(1))
    parts = [rows[start : start + 4] for start in (0, 4, 8)]
    assert parts == [sorted(part) for part in parts]
    assert rows != sorted(rows)


@pytest.mark.parametrize(
    ("numbers", "lengths"), [(1, [4, 4, 2]), (8, [4, 4, 2]), (16, [8, 2]), (1000, [10])]
)
def test_a_stretch_has_whole_batches_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, numbers: int, lengths: list[int]
) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERS", numbers)
    rows = np.arange(10)
    assert [len(rows[stretch]) for stretch in stretches((10, 2), 4)] == lengths


def test_pictures_come_a_batch_at_a_time() -> None:
    rows = np.arange(10)
    assert [len(rows[stretch]) for stretch in stretches((10, 2, 2, 3), 4)] == [4, 4, 2]


def test_stretches_do_not_change_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_epoch = epoch(batches(1))
    monkeypatch.setattr(module, "MAX_NUMBERS", 1)
    assert epoch(batches(1)) == whole_epoch


def test_same_seed_gives_the_same_epochs() -> None:
    first, second = batches(1), batches(1)
    assert [epoch(first) for _ in range(3)] == [epoch(second) for _ in range(3)]


def test_epochs_differ() -> None:
    source = batches(1)
    assert epoch(source) != epoch(source)


def test_seeds_differ() -> None:
    assert epoch(batches(1)) != epoch(batches(2))


def test_order_does_not_depend_on_global_random_state() -> None:
    np.random.seed(0)
    first = epoch(batches(1))
    np.random.seed(1)
    assert epoch(batches(1)) == first


def test_order_does_not_depend_on_what_the_rows_hold() -> None:
    other = batches(1)
    other.inputs = whole(other.inputs) + 100
    assert [row - 100 for row in epoch(other)] == epoch(batches(1))


def test_targets_and_weights_stay_with_their_inputs() -> None:
    for inputs, targets, weights in batches(3):
        np.testing.assert_array_equal(targets, 10 * inputs)
        np.testing.assert_array_equal(weights, inputs[:, 0])


def test_mapped_files_give_the_same_batches(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "rows", np.float32, "w+", shape=(10, 1))
    mapped[:] = np.arange(10)[:, None]
    source = batches(1)
    source.inputs = mapped
    assert epoch(source) == epoch(batches(1))
