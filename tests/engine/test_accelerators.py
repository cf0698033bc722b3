"""GPUs, which the machine of the tests need not have: their names, their memory, their turns."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from tl_keras.engine.accelerators import accelerators, one_each, share_memory

VISIBLE, GROWTH = "CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH"
Gpus = Callable[..., None]


def gpu(place: int) -> tf.config.PhysicalDevice:
    return tf.config.PhysicalDevice(f"/physical_device:GPU:{place}", "GPU")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """Let TensorFlow see GPUs of these kinds; None is one that it passes over."""

    def see(kinds: Sequence[str | None], visible: str | None = None) -> None:
        found = {gpu(place): {"device_name": kind} for place, kind in enumerate(kinds) if kind}
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: list(found))
        monkeypatch.setattr(tf.config.experimental, "get_device_details", found.__getitem__)
        monkeypatch.delenv(VISIBLE)
        if visible is not None:
            monkeypatch.setenv(VISIBLE, visible)

    return see


@pytest.mark.parametrize(
    ("kinds", "visible", "expected"),
    [
        ([], None, ()),
        ([], "", ()),
        ("A", None, ("0",)),
        ("AA", None, ("0", "1")),
        ("AA", "2,3", ("2", "3")),
        ("AA", " 3 , 2 ", ("3", "2")),
        # what follows one that is not there does not count
        ("A", "1,-1,2", ("1",)),
        ("AA", "GPU-8932f937,GPU-0a1b", ("GPU-8932f937", "GPU-0a1b")),
        ("A", "MIG-GPU-8932f937/1/0", ("MIG-GPU-8932f937/1/0",)),
        (["A", None, "A"], None, ("0", "2")),
        (["A", None, "A"], "5,6,7", ("5", "7")),
        ("ABA", None, ("0", "2")),
        ("BA", "1,0", ("1",)),
        # set after TensorFlow had looked
        ("AAAA", "3", ("3",)),
    ],
)
def test_gpus_have_the_names_that_the_user_gave(
    gpus: Gpus, kinds: Sequence[str | None], visible: str | None, expected: tuple[str, ...]
) -> None:
    gpus(kinds, visible)
    assert accelerators() == expected


def test_gpus_that_the_user_hid_in_python_are_left_alone(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus("AAA", "4,5,6")
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [gpu(2), gpu(1)])
    assert accelerators() == ("6", "5")


@pytest.mark.parametrize(
    ("workers", "gpus", "expected"),
    [
        (1, ["0", "1"], ["1"]),
        (2, ["0", "1"], ["1", "0"]),
        (3, ["7", "2"], ["2", "7", "2"]),
        (3, ["0"], ["0", "0", "0"]),
        (2, [], ["-1", "-1"]),
    ],
)
def test_workers_take_turns_and_the_gpu_of_this_process_comes_last(
    workers: int, gpus: list[str], expected: list[str]
) -> None:
    assert one_each(workers, gpus) == [{VISIBLE: name} for name in expected]


def test_memory_is_shared_of_every_gpu_that_is_used(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    grows: dict[tf.config.PhysicalDevice, bool] = {}
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grows.__setitem__)
    gpus("AB")
    assert share_memory()
    assert grows == {gpu(0): True, gpu(1): True}


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_memory_that_is_taken_cannot_be_shared(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Once TensorFlow is in use, or its memory was divided otherwise."""

    def refuse(device: object, enable: bool) -> None:
        raise error

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    gpus("AA")
    assert not share_memory()
    monkeypatch.setenv(GROWTH, "true")
    assert share_memory()


@pytest.mark.parametrize(("kinds", "expected"), [("A", False), ([], True)])
def test_memory_that_the_user_wants_to_be_taken_cannot_be_shared(
    gpus: Gpus, monkeypatch: pytest.MonkeyPatch, kinds: Sequence[str], expected: bool
) -> None:
    gpus(kinds)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda device, enable: None)
    monkeypatch.setenv(GROWTH, "false")
    assert share_memory() == expected


def test_looking_at_gpus_does_not_put_tensorflow_to_use() -> None:
    """Else its threads, and the memory that it takes, could not be chosen any more."""
    script = (
        "from tl_keras.engine.accelerators import accelerators, share_memory\n"
        "assert accelerators() == () and share_memory()\n"
        "import tensorflow as tf\n"
        "tf.config.threading.set_intra_op_parallelism_threads(1)\n"
    )
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, *sys.path])}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
