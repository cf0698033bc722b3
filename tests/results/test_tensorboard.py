"""Events are what the history says, read back as TensorBoard reads them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

from tl_keras.results.tensorboard import EVENTS_FILE, write_events

HISTORY = pd.DataFrame(
    {
        "run_id": "fine_tuning-n5-s0",
        "phase": ["head", "head", "fine_tuning"],
        "epoch": [1, 2, 1],
        "loss": [1.5, 1.0, 0.5],
        "accuracy": [0.25, 0.5, 1.0],
        "validation_loss": [2.0, 1.75, 1.25],
        "validation_accuracy": [0.125, 0.25, 0.75],
        "seconds": [2.0, 0.5, 4.0],
    }
)


def events(file: Path) -> list[Any]:
    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    return [tf.compat.v1.Event.FromString(record) for record in records]


def points(file: Path, tag: str) -> list[tuple[int, float]]:
    return [
        (event.step, value.simple_value)
        for event in events(file)
        for value in event.summary.value
        if value.tag == tag
    ]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = write_events(tmp_path / "tensorboard" / "fine_tuning-n5-s0", HISTORY)
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("loss/training", (1.5, 1.0, 0.5)),
        ("loss/validation", (2.0, 1.75, 1.25)),
        ("accuracy/training", (0.25, 0.5, 1.0)),
        ("accuracy/validation", (0.125, 0.25, 0.75)),
        ("phase", (1, 1, 2)),
    ],
)
def test_steps_count_through_both_phases(
    written: Path, tag: str, values: tuple[float, ...]
) -> None:
    assert points(written, tag) == list(enumerate(values, 1))


def test_the_file_is_one_that_tensorboard_takes(written: Path) -> None:
    """By its name, and by the version in its first record."""
    assert "tfevents" in written.name
    assert events(written)[0].file_version == "brain.Event:2"


def test_the_public_reader_takes_it(written: Path) -> None:
    read = tf.compat.v1.train.summary_iterator(str(written))
    assert [event.step for event in read] == [0, 1, 2, 3]


def test_times_are_those_of_training(written: Path) -> None:
    assert [event.wall_time for event in events(written)] == [0, 2, 2.5, 6.5]


def test_the_same_history_gives_the_same_bytes_in_one_file(written: Path) -> None:
    before = written.read_bytes()
    assert write_events(written.parent, HISTORY) == written
    assert written.read_bytes() == before
    assert [file.name for file in written.parent.iterdir()] == [EVENTS_FILE]


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    file = write_events(tmp_path, HISTORY.assign(loss=[1.5, float("nan"), float("inf")]))
    assert file is not None
    assert points(file, "loss/training") == [(1, 1.5)]
    assert len(points(file, "loss/validation")) == 3


def test_nothing_trained_leaves_no_folder(tmp_path: Path) -> None:
    assert write_events(tmp_path / "run", pd.DataFrame()) is None
    assert not list(tmp_path.iterdir())
