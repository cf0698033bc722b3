"""A process that knows nothing of a model's training, nor of Keras."""

import subprocess
import sys
from typing import Any

import pytest

from tl_keras.serving import fresh


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that are started."""
    processes: list[Any] = []

    class Popen(subprocess.Popen[str]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    return processes


def test_a_process_that_is_not_asked_ends(started: list[Any]) -> None:
    with fresh.fresh_process() as ask:
        assert callable(ask)
        assert started[0].poll() is None
    assert started[0].poll() is not None


def test_an_error_before_the_question_ends_the_process(started: list[Any]) -> None:
    with pytest.raises(KeyError), fresh.fresh_process():
        raise KeyError
    assert started[0].poll() is not None


def test_no_question_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", fresh._WITHOUT_KERAS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


def test_the_process_has_tensorflow_and_no_keras() -> None:
    program, _, _ = fresh._WITHOUT_KERAS.partition("sys.exit")
    asked = "import tensorflow; print([name for name in sys.modules if name.startswith('keras.')])"
    done = subprocess.run(
        [sys.executable, "-c", program + asked], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
