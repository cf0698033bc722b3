"""Batches: their order, their sizes, and that rows stay together."""

from pathlib import Path

import numpy as np

from tl_keras.data.batches import Batches
from tl_keras.data.rows import whole


def batches(seed: int | None = None, *, count: int = 10, size: int = 4) -> Batches:
    """Row i holds the number i in inputs and sample weights, and 10 i in the targets."""
    numbers = np.arange(count, dtype=np.float32)
    return Batches(numbers[:, None], 10 * numbers[:, None], size, numbers, shuffle_seed=seed)


def epoch(source: Batches) -> list[list[int]]:
    return [[int(number) for number in inputs[:, 0]] for inputs, _, _ in source]


def test_without_a_seed_the_order_is_that_of_the_arrays() -> None:
    assert epoch(batches()) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_last_batch_may_be_smaller() -> None:
    assert [len(batch) for batch in epoch(batches(1))] == [4, 4, 2]


def test_batch_may_be_larger_than_the_set() -> None:
    assert epoch(batches(size=64)) == [list(range(10))]


def test_every_row_comes_once_per_epoch() -> None:
    source = batches(1)
    for _ in range(2):
        assert sorted(row for batch in epoch(source) for row in batch) == list(range(10))


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
    assert [[row - 100 for row in batch] for batch in epoch(other)] == epoch(batches(1))


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
