"""The other sides of the speed benchmarks: plain scripts, and a bare forward pass."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import plain_keras, plain_tuner
from benchmarks.fresh import Measured
from benchmarks.task import BACKBONE, Task
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.sources.source_models import load_source
from tl_keras.transfer.features import FeatureBank

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


def probes(task: Task) -> Measured:
    """Every block's features by scikit-learn alone: one regression after the other.

    As a script would have it that is given the features: standardised, four times five folds,
    every block and all of them side by side.
    """
    model, _ = load_source(BACKBONE, image_size=task.image_size, weights=task.weights)
    bank = FeatureBank(Backbone.wrap(BACKBONE, None, model), task.pixels)
    blocks = list(bank.pooled(task.train).read().values())
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=4, random_state=0)
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    started, busy = time.perf_counter(), time.process_time()
    accuracy = [
        cross_val_score(regression, features, task.labels[task.train], cv=folds).mean()
        for features in (*blocks, np.concatenate(blocks, axis=1))
    ]
    return {
        "cross_validation": time.perf_counter() - started,
        "cross_validation_processor": time.process_time() - busy,
        "accuracy": max(accuracy[:-1]),
        "accuracy_last_block": accuracy[-2],
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
