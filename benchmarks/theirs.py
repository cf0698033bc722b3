"""The other sides of the speed benchmarks: plain scripts, and a bare forward pass."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tensorflow as tf

from benchmarks import plain_keras, plain_tuner
from benchmarks.fresh import Measured
from benchmarks.task import Task
from tl_keras.models.backbone import Depth

FORWARD_BATCH = 64


def forward_pass(task: Task, rows: np.ndarray) -> Measured:
    """The backbone alone over these images, once, after a batch that traces it."""
    started = time.perf_counter()
    base = plain_keras.build(task.image_size, task.classes, task.weights).base
    forward = tf.function(
        lambda images: base(tf.cast(images, tf.float32) / 127.5 - 1, training=False),
        input_signature=[tf.TensorSpec((None, *task.pixels.shape[1:]), tf.uint8)],
    )
    forward(task.pixels[task.test[:2]])
    traced = time.perf_counter()
    for start in range(0, len(rows), FORWARD_BATCH):
        forward(task.pixels[rows[start : start + FORWARD_BATCH]]).numpy()
    return {
        "seconds": time.perf_counter() - traced,
        "building_and_tracing": traced - started,
    }


def guide(task: Task, depth: Depth) -> Measured:
    """The guide's script: both phases, or the head alone where nothing is unfrozen."""
    started = time.perf_counter()
    classifier = plain_keras.build(task.image_size, task.classes, task.weights)
    train = plain_keras.pipeline(task.part(task.train), task.batch_size, shuffle=True)
    validation = plain_keras.pipeline(task.part(task.validation), task.batch_size)
    histories = [
        plain_keras.train_head(
            classifier,
            train,
            validation,
            epochs=task.head_epochs,
            rate=task.head_rate,
            patience=task.patience,
        )
    ]
    half = time.perf_counter()
    if depth != 0:
        phase_2 = plain_keras.fine_tune(
            classifier,
            train,
            validation,
            blocks=depth,
            epochs=task.epochs,
            rate=task.rate,
            patience=task.patience,
        )
        histories.append(phase_2)
    ended = time.perf_counter()
    predicted = classifier.model.predict(task.pixels[task.test], verbose=0).argmax(axis=1)
    return {
        "seconds": ended - started,
        "phase_2_seconds": ended - half,
        "accuracy": plain_keras.best_epoch(histories)["val_accuracy"],
        "test_accuracy": float((predicted == task.labels[task.test]).mean()),
        "epochs": sum(len(history.epoch) for history in histories),
    }


def features_by_hand(task: Task) -> Measured:
    """The head on features that the script's author computes once, instead of the guide's way."""
    started = time.perf_counter()
    history = plain_keras.train_head_on_features(
        plain_keras.build(task.image_size, task.classes, task.weights),
        task.part(task.train),
        task.part(task.validation),
        batch_size=task.batch_size,
        epochs=task.head_epochs,
        rate=task.head_rate,
    )
    return {
        "seconds": time.perf_counter() - started,
        "accuracy": plain_keras.best_epoch([history])["val_accuracy"],
    }


def search(task: Task, depths: Sequence[Depth], rates: Sequence[float]) -> Measured:
    """Plain KerasTuner over the same grid."""
    model = plain_tuner.GuideModel(
        image_size=task.image_size,
        classes=task.classes,
        weights=task.weights,
        depths=[str(depth) for depth in depths],
        rates=rates,
        head_epochs=task.head_epochs,
        head_rate=task.head_rate,
        epochs=task.epochs,
    )
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        scores = plain_tuner.search(
            model,
            task.part(task.train),
            task.part(task.validation),
            batch_size=task.batch_size,
            folder=Path(folder),
        )
        return {"seconds": time.perf_counter() - started, **scores}
