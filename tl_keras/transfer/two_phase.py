"""Two-phase training on one's own pictures, with Keras callbacks: first the head, then blocks."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from tl_keras.config.files import parse_config
from tl_keras.config.schema import ExperimentConfig, Keep, ResizeMode, TrainingConfig
from tl_keras.data.folds import stratified_folds
from tl_keras.data.splits import Draw
from tl_keras.errors import ConfigError, PicturesError
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.blocks import unfrozen_range
from tl_keras.models.plain_classifier import plain_classifier
from tl_keras.transfer.determinism import deterministic_ops
from tl_keras.transfer.labelled_pictures import LabelledPictures
from tl_keras.transfer.phases import Watch
from tl_keras.transfer.recipe import Recipe
from tl_keras.transfer.seeds import seeds_kept
from tl_keras.transfer.trainer import Trainer


@needed_keras()
def fit_two_phase(
    backbone: Backbone,
    x: Any,
    y: Any = None,
    *,
    groups: Any = None,
    validation_data: Any = None,
    validation_split: float = 0.2,
    unfrozen_blocks: Depth = 2,
    epochs: tuple[int, int] = (200, 40),
    learning_rates: tuple[float, float] = (1e-3, 1e-4),
    patience: tuple[int, int] = (20, 20),
    keep: tuple[Keep, Keep] = ("best", "last"),
    hidden_units: Sequence[int] = (),
    dropout: float = 0.2,
    resize: ResizeMode = "stretch",
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback = (),
    seed: int = 0,
    **training: Any,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train a new head on the frozen backbone, then the unfrozen blocks with it.

    Phase 1 keeps the weights of the epoch with the least validation cross-entropy, phase 2 the last
    ones unless those of an earlier epoch, of either phase, are better by more than a standard
    error. For the callbacks they are one `fit`: the epochs count through, `logs` has loss,
    accuracy, val_loss and val_accuracy, and `model` is the classifier from images to probabilities
    as it stands; the hooks of batches are not called. A callback that sets `model.stop_training`
    ends the training: in phase 1, there is no phase 2. What a callback does to the weights in
    `on_train_end` counts.

    Args:
        backbone: as `load_backbone` gives it, or a part of it; it is left as it was.
        x: (n, height, width, 3) or gray pictures of any size, 0..255, as an array or a list; or a
            `tf.data.Dataset` of (image, label).
        y: (n,) numbers or names, or (n, classes) one-hot; None for a dataset.
        groups: (n,), such as the parts that were photographed; pictures of one group stay on one
            side of the split.
        validation_data: `(x, y)` or a dataset that chooses the epochs.
        validation_split: where there is none, the share of every class that is set aside for it.
        unfrozen_blocks: blocks to train in phase 2, counted from the head; "all"; a range
            "first:last"; or 0 for phase 1 alone.
        epochs: of each phase, at most.
        learning_rates: of each phase.
        patience: of each phase, epochs without a better validation cross-entropy.
        keep: which weights each phase ends with, "best" or "last" in the sense above.
        hidden_units: of hidden layers in the head.
        dropout: before each layer of the head, 0..1.
        resize: how pictures that are not square reach the input: "stretch", "pad" or "crop".
        callbacks: of Keras, one or several.
        seed: of the head, the split, dropout, augmentation and the order of the pictures.
        training: further keys of the section `training` of an experiment, such as `batch_size`,
            `augmentation` or `layer_decay`.

    Returns:
        A model of its own (see `plain_classifier`) from images, 0..255 (batch, size, size, 3), to
        probabilities, in the order of the labels that occur: numbers by size, names alphabetically.
        And a row per epoch: phase, epoch, loss, accuracy, validation_loss, validation_accuracy,
        seconds, kept (whether the model has its weights).

    Raises:
        PicturesError: the pictures are not as they must be, or too few to set any aside.
        ConfigError: a setting is not valid.
    """
    phases = {
        "epochs": epochs,
        "learning_rate": learning_rates,
        "patience": patience,
        "keep": keep,
    }
    config = _checked(
        training={**_by_phase(phases), **training},
        head={"hidden_units": list(hidden_units), "dropout": dropout},
    )
    unfrozen_range(backbone.blocks, unfrozen_blocks)
    recipe = _recipe(config.training, unfrozen_blocks, config.head.hidden_units)
    pictures = LabelledPictures.of(x, y, groups, backbone.image_size, resize)
    pictures, draw = _divided(pictures, validation_data, validation_split, resize, seed)
    trainer = Trainer(backbone, pictures.as_images(), config.head, config.training)
    with seeds_kept(), deterministic_ops(enabled=True):
        keras.utils.set_random_seed(seed)
        part, head = trainer.network(recipe)
        told = trainer.watch = _Callbacks(callbacks, part.live_model(head), sum(epochs))
        try:
            told.begin()
            history = trainer.train(recipe, draw, seed).history
            told.end()
            return plain_classifier(part.inference_model(head)), history
        finally:
            backbone.restore_source()
            backbone.model.trainable = False


class _Callbacks(Watch):
    """Callbacks of Keras, for which all phases are one `fit`."""

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback,
        model: keras.Model,
        epochs: int,
    ) -> None:
        self._model, self._epoch = model, 0
        self._logs: dict[str, float] = {}
        if isinstance(callbacks, keras.callbacks.Callback):
            callbacks = [callbacks]
        for callback in callbacks:
            # Keras asks the metrics of a compiled model which way is better. This one is not
            # compiled, so that a checkpoint of it is the classifier alone.
            if getattr(callback, "mode", None) == "auto" and _is_accuracy(callback):
                callback.mode = "max"
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=model, epochs=epochs, steps=None, verbose=0
        )

    @property
    def ended(self) -> bool:
        return bool(self._model.stop_training)

    def begin(self) -> None:
        self._model.stop_training = False
        self._callbacks.on_train_begin()

    def end(self) -> None:
        self._callbacks.on_train_end(self._logs)

    def phase(self, optimizer: keras.Optimizer) -> None:
        # for callbacks that look at the learning rate or set it
        self._model.optimizer = optimizer

    def epoch_begins(self) -> None:
        self._callbacks.on_epoch_begin(self._epoch)

    def epoch_ends(self, row: Mapping[str, Any]) -> None:
        names = {"validation_loss": "val_loss", "validation_accuracy": "val_accuracy"}
        names |= {"loss": "loss", "accuracy": "accuracy"}
        self._logs = {new: row[old] for old, new in names.items()}
        self._callbacks.on_epoch_end(self._epoch, self._logs)
        self._epoch += 1


def _is_accuracy(callback: keras.callbacks.Callback) -> bool:
    return str(getattr(callback, "monitor", "")).endswith("accuracy")


def _by_phase(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Pairs of values as the sections of the two phases."""
    for name, values in settings.items():
        if not isinstance(values, tuple | list) or len(values) != 2:
            raise ConfigError(
                f"{name} must be two values, of phase 1 and of phase 2; got {values!r}."
            )
    return {
        section: {name: values[number] for name, values in settings.items()}
        for number, section in enumerate(("phase_1", "phase_2"))
    }


def _checked(**sections: Any) -> ExperimentConfig:
    """Sections of an experiment, so that settings here are its own, with its messages."""
    return parse_config({"name": "two_phase", "data": {"folder": "."}, **sections})


def _recipe(training: TrainingConfig, depth: Depth, hidden_units: tuple[int, ...]) -> Recipe:
    if training.augmentation == "search":
        raise ConfigError('augmentation must be none, light or strong here; got "search".')
    return Recipe(
        unfrozen_blocks=depth,
        augmentation=training.augmentation,
        hidden_units=hidden_units,
        last_phase=training.phase_2,
        layer_decay=training.layer_decay,
    )


def _divided(
    pictures: LabelledPictures,
    validation_data: Any,
    validation_split: float,
    resize: ResizeMode,
    seed: int,
) -> tuple[LabelledPictures, Draw]:
    """All pictures, and which of them are for training and for validation."""
    count = len(pictures.labels)
    if validation_data is None:
        return pictures, set_aside(pictures, validation_split, seed)
    x, y = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
    held_out = LabelledPictures.of(x, y, None, pictures.pixels.shape[1], resize)
    held_out.indices(pictures.classes)
    both = LabelledPictures(
        np.concatenate([pictures.pixels, held_out.pixels]),
        np.concatenate([pictures.labels, held_out.labels]),
        np.concatenate([pictures.groups, held_out.groups]),
    )
    rows = np.arange(len(both.labels))
    return both, Draw(train=rows[:count], validation=rows[count:])


def set_aside(pictures: LabelledPictures, share: float, seed: int) -> Draw:
    """Divide pictures into those to train on and those that choose the epochs.

    Args:
        pictures: whose groups stay whole.
        share: of every class that is set aside, above 0 and at most 0.5; as near as whole folds
            and groups allow.
        seed: of the division.

    Raises:
        ConfigError: there is no such share.
        PicturesError: a class has fewer than two groups.
    """
    if not 0 < share <= 0.5:
        raise ConfigError(
            f"validation_split must be above 0 and at most 0.5; got {share}. Give validation_data "
            "to choose the pictures yourself."
        )
    indices = pictures.as_images().class_indices
    folds = stratified_folds(indices, pictures.groups, round(1 / share), seed)
    if not folds:
        raise PicturesError(
            "Every class must have two pictures at least, of two groups where these are given, so "
            f"that one can be set aside for validation; got fewer of {pictures.rarest}. Add some."
        )
    train, validation = folds[0]
    return Draw(train, validation)
