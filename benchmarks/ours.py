"""The package's side of the speed benchmarks, through its public pieces."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fresh import Measured
from benchmarks.task import BACKBONE, Task
from tl_keras.backbone_table import BACKBONES
from tl_keras.config.schema import (
    FineTuningPhaseConfig,
    HeadConfig,
    HeadPhaseConfig,
    SearchConfig,
    TrainingConfig,
)
from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.sources.source_models import load_source
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probing import choose_block, cross_validate
from tl_keras.transfer.recipe import Recipe, Trained
from tl_keras.transfer.search import OneByOne, TwoPhaseTuner
from tl_keras.transfer.trainer import LabelledImages, Trainer


def phase_1(task: Task) -> Measured:
    """The head alone, after a rehearsal on two other images, which traces all that is traced."""
    started = time.perf_counter()
    trainer, recipe = _trainer(task), _recipe(task, 0)
    spare = task.test[:2]
    trainer.train(recipe, Draw(spare[:1], spare[1:]), seed=0)
    traced = time.perf_counter()
    trained = trainer.train(recipe, Draw(task.train, task.validation), seed=0)
    ended = time.perf_counter()
    return {
        "seconds": ended - started,
        "building_and_tracing": traced - started,
        "traced_seconds": ended - traced,
        "accuracy": _accuracy(trained),
    }


def fine_tuning(task: Task, depth: Depth) -> Measured:
    """Both phases; building the network counts as part of the first."""
    started = time.perf_counter()
    trainer, recipe = _trainer(task), _recipe(task, depth)
    trained = trainer.train(recipe, Draw(task.train, task.validation), seed=0)
    seconds = time.perf_counter() - started
    predicted = trainer.probabilities(trained, task.test).argmax(axis=1)
    return {
        "seconds": seconds,
        "phase_2_seconds": trained.phase_2_seconds,
        "accuracy": _accuracy(trained),
        "test_accuracy": float((predicted == task.labels[task.test]).mean()),
        "epochs": len(trained.history),
    }


def search(task: Task, depths: Sequence[Depth], rates: Sequence[float]) -> Measured:
    """Every combination once."""
    config = SearchConfig(
        oracle="grid",
        max_trials=len(depths) * len(rates),
        unfrozen_blocks=tuple(depths),
        learning_rates=tuple(rates),
        cuts=(BACKBONES[BACKBONE].blocks[-1],),
        layer_decays=(1.0,),
        folds=1,
        choice="best",
    )
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        draws = (Draw(task.train, task.validation),)
        phase_2 = _training(task).phase_2
        trainings, blocks = OneByOne(_trainer(task)), BACKBONES[BACKBONE].blocks
        tuner = TwoPhaseTuner(trainings, blocks, draws, config, phase_2, Path(folder))
        study = tuner.finish(_no_time)
        seconds = time.perf_counter() - started
    trials = study.trials
    (chosen,) = trials[trials["chosen"]].to_dict("records")
    return {
        "seconds": seconds,
        "trials": len(trials),
        "loss": chosen["validation_loss"],
        "accuracy": chosen["validation_accuracy"],
    }


def _no_time(cut: str) -> float:
    """Milliseconds per image, which the plain search does not measure either."""
    return float("nan")


def probes(task: Task) -> Measured:
    """Probes of all blocks, cross-validated on the training images as the package does."""
    started = time.perf_counter()
    backbone = _backbone(task)
    built = time.perf_counter()
    features = FeatureBank(backbone, task.pixels).pooled(task.train).read()
    pooled, busy = time.perf_counter(), time.process_time()
    table = cross_validate(list(features.items()), task.labels[task.train], groups=task.train)
    ended, busy = time.perf_counter(), time.process_time() - busy
    blocks = table[table["depth"].notna()].set_index("block")
    return {
        "seconds": ended - started,
        "building": built - started,
        "features": pooled - built,
        "cross_validation": ended - pooled,
        "cross_validation_processor": busy,
        "accuracy": float(blocks["accuracy"][choose_block(table)]),
        "accuracy_last_block": float(blocks["accuracy"].iloc[-1]),
    }


def _backbone(task: Task) -> Backbone:
    model, _ = load_source(BACKBONE, image_size=task.image_size, weights=task.weights)
    return Backbone.wrap(BACKBONE, None, model)


def _trainer(task: Task) -> Trainer:
    images = LabelledImages(task.pixels, task.labels, task.classes)
    return Trainer(_backbone(task), images, HeadConfig(), _training(task))


def _training(task: Task) -> TrainingConfig:
    most = task.patience
    return TrainingConfig(
        batch_size=task.batch_size,
        class_weights="none",
        phase_1=HeadPhaseConfig(
            epochs=task.head_epochs,
            learning_rate=task.head_rate,
            patience=most or task.head_epochs,
        ),
        phase_2=FineTuningPhaseConfig(
            epochs=task.epochs,
            learning_rate=task.rate,
            patience=most or task.epochs,
            keep="best",
        ),
    )


def _recipe(task: Task, depth: Depth) -> Recipe:
    return Recipe(depth, "none", (), _training(task).phase_2)


def _accuracy(trained: Trained) -> float:
    """On the validation images, at the epoch with the lowest loss."""
    best = trained.history["validation_loss"].to_numpy().argmin()
    return float(trained.history["validation_accuracy"].to_numpy()[best])
