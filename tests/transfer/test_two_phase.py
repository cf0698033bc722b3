"""Two-phase training from Python: the trainer's own numbers, callbacks, and a model to keep."""

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tl_keras.data.rows import whole
from tl_keras.data.splits import Draw
from tl_keras.errors import ConfigError, DataError
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.labelled_pictures import LabelledPictures
from tl_keras.transfer.recipe import Recipe
from tl_keras.transfer.trainer import LabelledImages, Trainer
from tl_keras.transfer.two_phase import fit_two_phase, set_aside

SHORT: dict[str, Any] = {
    "epochs": (3, 2),
    "learning_rates": (0.02, 0.01),
    "patience": (3, 2),
    "batch_size": 4,
    "dropout": 0.0,
}


class Seen(keras.callbacks.Callback):
    """Writes down what it is told, and the answers and weights of its model after each epoch."""

    def __init__(self, pixels: np.ndarray, stop_after: int | None = None) -> None:
        super().__init__()
        self.told: list[Any] = []
        self.logs: list[dict[str, float]] = []
        self.rates: list[float] = []
        self.answers: list[np.ndarray] = []
        self._pixels, self._stop_after = pixels, stop_after

    def on_train_begin(self, logs: Any = None) -> None:
        self.told.append("begin")

    def on_train_end(self, logs: Any = None) -> None:
        self.told.append("end")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.told.append(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs.append(dict(logs))
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.answers.append(self.model(self._pixels.astype(np.float32)).numpy())
        self.model.stop_training = epoch == self._stop_after


@pytest.fixture
def fit(
    make_backbone: Callable[..., Backbone], images: LabelledImages, draw: Draw
) -> Callable[..., tuple[keras.Model, pd.DataFrame]]:
    """`fit(**settings)`: a short training on the draw of the fixtures."""

    def fitted(**settings: Any) -> tuple[keras.Model, pd.DataFrame]:
        pixels, labels = images.pixels, images.class_indices
        held_out = pixels[draw.validation], labels[draw.validation]
        given = {"validation_data": held_out, **SHORT, **settings}
        given["backbone"] = given.get("backbone") or make_backbone()
        return fit_two_phase(x=pixels[draw.train], y=labels[draw.train], **given)

    return fitted


Fit = Callable[..., tuple[keras.Model, pd.DataFrame]]


def test_it_is_the_training_of_the_experiment(
    fit: Fit, make_trainer: Callable[..., Trainer], images: LabelledImages, draw: Draw
) -> None:
    model, history = fit(unfrozen_blocks=2, seed=5)
    trainer = make_trainer(phase_1=(3, 0.02), phase_2={"epochs": 2, "learning_rate": 0.01})
    recipe = Recipe(2, "none", (), trainer.training.phase_2)
    trained = trainer.train(recipe, draw, 5)
    pd.testing.assert_frame_equal(
        history.drop(columns="seconds"), trained.history.drop(columns="seconds")
    )
    assert history["phase"].tolist() == ["head"] * 3 + ["fine_tuning"] * 2
    expected = trainer.inference_model(trained).predict(images.pixels, verbose=0)
    np.testing.assert_allclose(model.predict(images.pixels, verbose=0), expected, atol=1e-6)


def test_callbacks_hear_both_phases_as_one_fit(fit: Fit, images: LabelledImages) -> None:
    seen = Seen(whole(images.pixels))
    model, history = fit(callbacks=[seen])
    assert seen.told == ["begin", 0, 1, 2, 3, 4, "end"]
    np.testing.assert_allclose(seen.rates, [0.02] * 3 + [0.01] * 2, rtol=1e-6)
    for ours, theirs in {
        "loss": "loss",
        "accuracy": "accuracy",
        "validation_loss": "val_loss",
        "validation_accuracy": "val_accuracy",
    }.items():
        assert history[ours].tolist() == [logs[theirs] for logs in seen.logs]
    best = history["validation_loss"].to_numpy().argmin()
    answers = model(whole(images.pixels).astype(np.float32)).numpy()
    np.testing.assert_allclose(answers, seen.answers[best], atol=1e-6)


def test_the_model_of_a_callback_is_the_one_that_trains(
    fit: Fit, images: LabelledImages, draw: Draw
) -> None:
    seen = Seen(whole(images.pixels))
    fit(callbacks=[seen])
    rows, labels = draw.validation, images.class_indices[draw.validation]
    for logs, answers in zip(seen.logs, seen.answers, strict=True):
        loss = -np.log(answers[rows, labels]).mean()
        assert logs["val_loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize(("stop_after", "phases"), [(1, ["head"]), (3, ["head", "fine_tuning"])])
def test_a_callback_ends_the_training(
    fit: Fit, images: LabelledImages, stop_after: int, phases: list[str]
) -> None:
    seen = Seen(whole(images.pixels), stop_after)
    _, history = fit(callbacks=[seen])
    assert len(history) == stop_after + 1
    assert history["phase"].unique().tolist() == phases
    assert seen.told[-1] == "end"


def test_early_stopping_ends_it(fit: Fit) -> None:
    # as the loss falls, the first epoch has the largest
    stopping = keras.callbacks.EarlyStopping(monitor="loss", mode="max", patience=1)
    _, history = fit(callbacks=[stopping])
    assert len(history) == 2


def test_weights_that_a_callback_sets_at_the_end_count(fit: Fit, images: LabelledImages) -> None:
    seen = Seen(whole(images.pixels))
    worst = keras.callbacks.EarlyStopping(
        monitor="val_loss", mode="max", patience=99, restore_best_weights=True
    )
    model, history = fit(callbacks=[seen, worst])
    answers = model(whole(images.pixels).astype(np.float32)).numpy()
    kept = seen.answers[history["validation_loss"].to_numpy().argmax()]
    np.testing.assert_allclose(answers, kept, atol=1e-6)


def test_a_log_holds_every_epoch(fit: Fit, tmp_path: Path) -> None:
    _, history = fit(callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(5))
    assert [float(row["val_loss"]) for row in rows] == history["validation_loss"].tolist()


def test_checkpoints_are_whole_classifiers(
    fit: Fit, images: LabelledImages, tmp_path: Path
) -> None:
    seen = Seen(whole(images.pixels))
    classifiers = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    weights = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "best.weights.h5"), save_weights_only=True, save_best_only=True
    )
    model, history = fit(callbacks=[seen, classifiers, weights])
    pixels = whole(images.pixels).astype(np.float32)
    for epoch in range(5):
        loaded = keras.models.load_model(tmp_path / f"{epoch + 1}.keras")
        np.testing.assert_allclose(
            loaded.predict(pixels, verbose=0), seen.answers[epoch], atol=1e-6
        )
    model.set_weights([0 * values for values in model.get_weights()])
    model.load_weights(tmp_path / "best.weights.h5")
    best = history["validation_loss"].to_numpy().argmin()
    answers = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(answers, seen.answers[best], atol=1e-6)


def test_callbacks_of_functions_and_of_rates(fit: Fit, images: LabelledImages) -> None:
    heard: list[int] = []
    seen = Seen(whole(images.pixels))
    heard_of = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append(epoch))
    slower = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fit(callbacks=[heard_of, slower, seen])
    assert heard == list(range(5))
    np.testing.assert_allclose(seen.rates, [0.01, 0.005, 0.0025, 0.005, 0.0025], rtol=1e-6)


def test_the_model_is_kept_and_the_backbone_is_left_as_it_was(
    fit: Fit,
    make_backbone: Callable[..., Backbone],
    images: LabelledImages,
    tmp_path: Path,
) -> None:
    backbone = make_backbone()
    before = [weights.copy() for weights in backbone.model.get_weights()]
    model, _ = fit(backbone=backbone, unfrozen_blocks="all")
    for now, then in zip(backbone.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert not backbone.model.trainable_weights
    answers = model.predict(images.pixels, verbose=0)
    fit(backbone=backbone, seed=1, unfrozen_blocks="all")
    np.testing.assert_array_equal(model.predict(images.pixels, verbose=0), answers)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images.pixels, verbose=0), answers)


def test_a_training_that_breaks_leaves_the_backbone_as_it_was(
    fit: Fit, make_backbone: Callable[..., Backbone]
) -> None:
    def broken(epoch: int, logs: Any) -> None:
        if epoch == 3:
            raise RuntimeError("enough")

    backbone = make_backbone()
    before = [weights.copy() for weights in backbone.model.get_weights()]
    with pytest.raises(RuntimeError, match="enough"):
        fit(
            backbone=backbone,
            unfrozen_blocks="all",
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=broken)],
        )
    for now, then in zip(backbone.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_random_numbers_of_the_caller_go_on(
    fit: Fit, make_backbone: Callable[..., Backbone]
) -> None:
    backbone = make_backbone()
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    fit(backbone=backbone, unfrozen_blocks=0)
    assert (random.random(), np.random.random()) == expected


def test_the_head_alone_and_a_part_of_the_backbone(
    fit: Fit, make_backbone: Callable[..., Backbone]
) -> None:
    backbone = make_backbone()
    model, history = fit(backbone=backbone.cut_after("block1"), unfrozen_blocks=0)
    assert history["phase"].unique().tolist() == ["head"]
    whole, _ = fit(backbone=backbone, unfrozen_blocks=0)
    assert model.count_params() < whole.count_params()


def test_a_dataset_trains_as_its_arrays(
    fit: Fit, make_backbone: Callable[..., Backbone], images: LabelledImages, draw: Draw
) -> None:
    pixels, one_hot = images.pixels, np.eye(3)[images.class_indices]
    train, held_out = (
        tf.data.Dataset.from_tensor_slices((pixels[rows], one_hot[rows])).batch(4)
        for rows in (draw.train, draw.validation)
    )
    _, history = fit_two_phase(make_backbone(), train, validation_data=held_out, **SHORT)
    _, expected = fit()
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"))


@pytest.mark.parametrize("seed", range(3))
def test_what_is_set_aside_keeps_groups_whole_and_is_of_every_class(
    images: LabelledImages, seed: int
) -> None:
    labels, groups = images.class_indices, np.repeat([f"part {n}" for n in range(10)], 3)
    draw = set_aside(LabelledPictures(whole(images.pixels), labels, groups), 0.2, seed)
    assert len(draw.validation) == 6
    assert not set(groups[draw.train]) & set(groups[draw.validation])
    assert sorted([*draw.train, *draw.validation]) == list(range(30))
    assert set(labels[draw.validation]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 5}, "epochs"),
        ({"batch_sise": 3}, "batch_size"),
        ({"learning_rates": (2.0, 0.1)}, "learning_rate"),
        ({"unfrozen_blocks": 9}, "unfrozen_blocks"),
        ({"unfrozen_blocks": "stem:nowhere"}, "block1"),
        ({"augmentation": "search"}, "light"),
        ({"validation_data": None, "validation_split": 0.9}, "validation_split"),
    ],
)
def test_wrong_settings_are_refused(fit: Fit, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(**settings)


def test_validation_pictures_of_other_classes_and_too_few_are_refused(
    fit: Fit, make_backbone: Callable[..., Backbone], images: LabelledImages
) -> None:
    with pytest.raises(DataError, match="got 7"):
        fit(validation_data=(whole(images.pixels)[:2], [0, 7]))
    with pytest.raises(DataError, match="set aside"):
        fit_two_phase(make_backbone(), whole(images.pixels)[:4], [0, 0, 1, 2], **SHORT)


@pytest.mark.parametrize("kind", ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"])
def test_a_callback_that_watches_accuracy_knows_which_way_is_better(
    fit: Fit, tmp_path: Path, kind: str
) -> None:
    options: dict[str, Any] = {"monitor": "val_accuracy"}
    if kind == "ModelCheckpoint":
        path = tmp_path / "best.weights.h5"
        options |= {"filepath": str(path), "save_best_only": True, "save_weights_only": True}
    callback = getattr(keras.callbacks, kind)(**options)
    _, history = fit(callbacks=callback)
    best = getattr(callback, "best", None)
    if best is not None:
        assert float(best) == history["validation_accuracy"].max()


def test_a_progress_bar_is_told_that_batches_are_not_counted(fit: Fit) -> None:
    fit(callbacks=[keras.callbacks.ProgbarLogger()])
