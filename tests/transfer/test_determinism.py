"""Deterministic operations end with their block."""

from collections.abc import Iterator

import pytest
import tensorflow as tf

from tl_keras.models.keras_internals import allow_nondeterministic_ops, ops_are_deterministic
from tl_keras.transfer.determinism import deterministic_ops


@pytest.fixture(autouse=True)
def switched_off() -> Iterator[None]:
    allow_nondeterministic_ops()
    yield
    allow_nondeterministic_ops()


def refuses_chance() -> bool:
    """Whether TensorFlow itself refuses what cannot be the same twice."""
    try:
        tf.random.Generator.from_non_deterministic_state()
    except RuntimeError:
        return True
    return False


def test_a_process_runs_with_and_then_without() -> None:
    found = []
    for enabled in (True, False, True):
        with deterministic_ops(enabled):
            found.append(refuses_chance())
    assert found == [True, False, True]
    assert not refuses_chance()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
def test_what_was_before_is_put_back(before: bool, enabled: bool) -> None:
    with deterministic_ops(before):
        with deterministic_ops(enabled):
            assert ops_are_deterministic() == enabled
        assert ops_are_deterministic() == before


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ZeroDivisionError), deterministic_ops(True):
        1 / 0  # noqa: B018
    assert not ops_are_deterministic()
