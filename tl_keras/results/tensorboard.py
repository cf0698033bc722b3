"""The course of a training for TensorBoard, which need not be installed to write it.

<experiment>/tensorboard/<run_id>/events.out.tfevents.0

Look at it with `tensorboard --logdir <experiment>/tensorboard`.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from tl_keras.atomic_files import replacing

FOLDER = "tensorboard"
# TensorBoard knows such a file by its name. The number is usually a time; this one never changes.
EVENTS_FILE = "events.out.tfevents.0"
# What stands before the slash is a heading of the page.
TAGS = {
    "loss": "loss/training",
    "validation_loss": "loss/validation",
    "accuracy": "accuracy/training",
    "validation_accuracy": "accuracy/validation",
}


def write_events(folder: Path, history: pd.DataFrame) -> Path | None:
    """Write a run's history as a file of events, in place of an earlier one.

    A step is an epoch, counted from 1 through all phases; `phase` is 1 in the first phase, 2 in
    the second. The time of a step is the time that training took so far, so the same history
    gives the same bytes.

    Args:
        folder: of the run, `<experiment>/tensorboard/<run_id>`; made if need be.
        history: a row per epoch, in the order of training: phase, seconds, and the columns of
            `TAGS`; others are ignored.

    Returns:
        The file, or None where nothing was trained epoch by epoch: no folder is made then.
    """
    if history.empty:
        return None
    # Seconds of import, where a command has no other need of it.
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / EVENTS_FILE
    with replacing(file) as unfinished, tf.io.TFRecordWriter(str(unfinished)) as writer:
        for event in _events(history):
            writer.write(tf.compat.v1.Event(**event).SerializeToString(deterministic=True))
    return file


def _events(history: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The fields of each event: the version of the format, then a row of the history each."""
    yield {"wall_time": 0, "file_version": "brain.Event:2"}
    # 1 for the rows of the first phase, 2 for those of the second
    phases = pd.factorize(history["phase"])[0] + 1
    times = history["seconds"].cumsum()
    rows = zip(phases, times, history.to_dict("records"), strict=True)
    for step, (phase, time, row) in enumerate(rows, 1):
        values = {tag: row[column] for column, tag in TAGS.items()} | {"phase": phase}
        points = [
            {"tag": tag, "simple_value": float(value)}
            for tag, value in values.items()
            if math.isfinite(value)
        ]
        yield {"wall_time": time, "step": step, "summary": {"value": points}}
