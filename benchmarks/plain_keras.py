"""The script of the Keras guide "Transfer learning & fine-tuning", as one would write it by hand.

https://keras.io/guides/transfer_learning/, for MobileNetV2 and without augmentation. The photos
are uint8 arrays in memory, which is what a cached data set is, and are prefetched. It imports
nothing of the package that it is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

Photos = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Classifier:
    """The whole model, and the pretrained network in it."""

    model: keras.Model
    base: keras.Model


def build(image_size: int, classes: int, weights: str | None) -> Classifier:
    """A frozen MobileNetV2 under a new head."""
    shape = (image_size, image_size, 3)
    base = keras.applications.MobileNetV2(input_shape=shape, include_top=False, weights=weights)
    base.trainable = False
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(scale=1 / 127.5, offset=-1)(inputs)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    return Classifier(keras.Model(inputs, keras.layers.Dense(classes)(x)), base)


def pipeline(photos: Photos, batch_size: int, *, shuffle: bool = False) -> tf.data.Dataset:
    """Batches of (images, labels)."""
    data = tf.data.Dataset.from_tensor_slices(photos).cache()
    if shuffle:
        data = data.shuffle(len(photos[0]))
    return data.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def train_head(
    classifier: Classifier,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    epochs: int,
    rate: float,
    patience: int | None = None,
) -> keras.callbacks.History:
    """Train the new layers; the pretrained network stays as it is."""
    return _fit(classifier.model, train, validation, epochs, rate, patience)


def fine_tune(
    classifier: Classifier,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    blocks: int | str,
    epochs: int,
    rate: float,
    patience: int | None = None,
) -> keras.callbacks.History:
    """Unfreeze the last blocks, BatchNorm excepted, compile again and go on."""
    base = classifier.base
    base.trainable = True
    for layer in base.layers[: first_unfrozen(base, blocks)]:
        layer.trainable = False
    for layer in base.layers:
        # `training=False` in the graph does not keep `fit` from moving the statistics.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return _fit(classifier.model, train, validation, epochs, rate, patience)


def first_unfrozen(base: keras.Model, blocks: int | str) -> int:
    """Where the last `blocks` blocks of MobileNetV2 begin; its last is the convolution `Conv_1`."""
    if blocks == "all":
        return 0
    name = "Conv_1" if blocks == 1 else f"block_{18 - int(blocks)}_expand"
    return [layer.name for layer in base.layers].index(name)


def best_epoch(histories: Sequence[keras.callbacks.History]) -> dict[str, float]:
    """Scores of the epoch with the lowest validation loss, over all phases."""
    epochs = [
        dict(zip(history.history, scores, strict=True))
        for history in histories
        for scores in zip(*history.history.values(), strict=True)
    ]
    return min(epochs, key=lambda scores: scores["val_loss"])


def train_head_on_features(
    classifier: Classifier,
    train: Photos,
    validation: Photos,
    *,
    batch_size: int,
    epochs: int,
    rate: float,
) -> keras.callbacks.History:
    """Train the new layers on features computed once, which the guide does not do."""
    pooled = classifier.model.layers[-3].output
    extractor = keras.Model(classifier.model.input, pooled)
    inputs = keras.Input(pooled.shape[1:])
    head = keras.Sequential([inputs, *classifier.model.layers[-2:]])
    seen, held_out = (
        (extractor.predict(images, batch_size=64, verbose=0), labels)
        for images, labels in (train, validation)
    )
    data = pipeline(seen, batch_size, shuffle=True)
    return _fit(head, data, pipeline(held_out, batch_size), epochs, rate, None)


def _fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    epochs: int,
    rate: float,
    patience: int | None,
) -> keras.callbacks.History:
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    stop = keras.callbacks.EarlyStopping(patience=patience or epochs, restore_best_weights=True)
    callbacks = [stop] if patience else []
    return model.fit(
        train, epochs=epochs, validation_data=validation, callbacks=callbacks, verbose=0
    )
