"""Threads of TensorFlow's operations: decided once in a process, and said where that was before."""

from typing import Any

import pytest
import tensorflow as tf

from tl_keras.config.files import parse_config
from tl_keras.transfer.threads import fix_threads, training_threads


@pytest.fixture(autouse=True)
def in_use() -> None:
    """TensorFlow, which cannot change it afterwards; the tests' environment asks for 2."""
    tf.zeros(1)


@pytest.mark.parametrize("count", [2, None])
def test_what_is_so_already_is_not_worth_a_word(count: int | None) -> None:
    assert fix_threads(count) is None


def test_what_was_decided_otherwise_is_said() -> None:
    sentence = fix_threads(3)
    assert sentence is not None
    assert "3 of training.threads" in sentence
    assert "2 threads" in sentence


def planned(**keys: Any) -> int | None:
    return training_threads(parse_config({"name": "a", "data": {"folder": "x"}, **keys}))


def test_trainings_that_can_be_made_side_by_side_have_one_thread_each() -> None:
    assert planned(strategies=["fine_tuning", "from_scratch"], seeds=2) == 1
    few = {"strategies": ["fine_tuning"], "fine_tuning": {"unfrozen_blocks": ["all"]}}
    assert planned(**few, seeds=3) == 2
    assert planned(**few, seeds=4) == 1
    assert planned(strategies=["searched"], seeds=1, search={"max_trials": 3}) == 1


def test_what_needs_no_training_of_its_own_does_not_count() -> None:
    assert (
        planned(strategies=["majority_class", "linear_probe", "feature_extraction"], seeds=9) == 2
    )


def test_a_number_is_taken_as_it_is() -> None:
    many = {"strategies": ["fine_tuning"], "seeds": 9}
    assert planned(**many, training={"threads": 5}) == 5
    assert planned(**many, training={"threads": None}) is None
