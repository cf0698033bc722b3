"""Errors that come from worker processes are those that were raised there."""

import pickle
from pathlib import Path

import pytest

from tl_keras import errors
from tl_keras.errors import DamagedError, TlKerasError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, TlKerasError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_through_a_pipe(kind: type[TlKerasError]) -> None:
    error = kind(Path("runs.csv"), "halved") if kind is DamagedError else kind("what, and why")
    received = pickle.loads(pickle.dumps(error))
    assert type(received) is kind
    assert (str(received), vars(received)) == (str(error), vars(error))
