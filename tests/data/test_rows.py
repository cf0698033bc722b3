"""Rows that are read a few at a time."""

import tempfile

import numpy as np
import pytest

from tl_keras.data.rows import ChosenRows, MappedRows, spread, whole

NUMBERS = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def mapped() -> MappedRows:
    rows = MappedRows(tempfile.TemporaryFile(), (6, 2), np.float32)  # noqa: SIM115
    for row, values in enumerate(NUMBERS):
        rows[row] = values
    return rows


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (6, 3, [0, 2, 5]),  # 0, 2.5 and 5, half to even
        (6, 1, [0]),
        (6, 6, [0, 1, 2, 3, 4, 5]),
        (3, 8, [0, 1, 2]),
        (1, 4, [0]),
        (0, 4, []),
    ],
)
def test_spread_rows_reach_from_the_first_to_the_last(
    count: int, most: int, expected: list[int]
) -> None:
    assert spread(np.arange(count), most).tolist() == expected


def test_spread_rows_may_be_anything() -> None:
    np.testing.assert_array_equal(spread(NUMBERS, 2), NUMBERS[[0, 5]])


@pytest.mark.parametrize("count", [1, 2, 7, 49, 200, 1023, 5000])
def test_no_row_is_lost_where_there_are_not_too_many(count: int) -> None:
    rows = np.random.default_rng(count).permutation(count)
    np.testing.assert_array_equal(spread(rows, 5000), rows)


def test_chosen_rows_come_in_their_order() -> None:
    chosen = ChosenRows(NUMBERS, np.array([4, 0, 4]))
    assert (len(chosen), chosen.shape) == (3, (3, 2))
    np.testing.assert_array_equal(whole(chosen), NUMBERS[[4, 0, 4]])
    np.testing.assert_array_equal(chosen[np.array([2, 1])], NUMBERS[[4, 0]])


def test_mapped_rows_are_what_was_written(mapped: MappedRows) -> None:
    assert (len(mapped), mapped.shape) == (6, (6, 2))
    np.testing.assert_array_equal(mapped[np.array([5, 1, 1])], NUMBERS[[5, 1, 1]])


def test_mapped_rows_may_be_written_after_they_were_read(mapped: MappedRows) -> None:
    whole(mapped)
    mapped[3] = np.array([-1, -2])
    np.testing.assert_array_equal(mapped[np.array([3])], [[-1, -2]])


def test_mapped_rows_that_were_not_written_are_zero() -> None:
    rows = MappedRows(tempfile.TemporaryFile(), (3, 2), np.uint8)  # noqa: SIM115
    rows[2] = np.array([7, 8])
    np.testing.assert_array_equal(whole(rows), [[0, 0], [0, 0], [7, 8]])


def test_what_is_read_is_a_copy(mapped: MappedRows) -> None:
    whole(mapped)[:] = -1
    np.testing.assert_array_equal(whole(mapped), NUMBERS)
