"""Threads of TensorFlow's operations: decided once in a process, and said where that was before."""

import pytest
import tensorflow as tf

from tl_keras.transfer.threads import fix_threads


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
