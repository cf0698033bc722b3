"""The strategies that are trained by gradient steps: head, blocks or everything."""

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import pandas as pd

from tl_keras.augmentation_table import AUGMENTATIONS
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.splits import Draw
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.duration import pooling_seconds, training_seconds
from tl_keras.experiment.strategies.fitted import Fitted, Refitted
from tl_keras.models.backbone import Backbone
from tl_keras.models.pooling import MEAN
from tl_keras.results.runs_table import FinishedRun
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.recipe import Recipe, Trained, depth_of
from tl_keras.transfer.run_plan import Run

_HEAD, _BACKBONE = "head_", "backbone_"
# With many times the photos fewer passes over them do: a new fit sees as many photos, counted as
# often as it sees them, as so many trainings of the run.
MOST_TIMES = 2


def fit(prepared: Prepared, run: Run, draw: Draw) -> Fitted:
    """Train the recipes of a run; of several, validation chooses one."""
    trainer, recipes = prepared.bench.trainer, prepared.recipes_of(run, draw)
    candidates = [trainer.train(recipe, draw, run.seed) for recipe in recipes]
    trained = min(candidates, key=lambda candidate: candidate.selection_losses.mean())
    validation, test = (
        trainer.probabilities(trained, rows) for rows in (draw.validation, prepared.test_of(run))
    )
    recipe = trained.recipe
    cut = recipe.cut or prepared.backbone.block_names[-1]
    columns = {
        "unfrozen_blocks": str(recipe.unfrozen_blocks),
        "cut": cut,
        "head_blocks": cut,
        "unfrozen_layers": trained.unfrozen_layers,
        "trainable_parameters": trained.trainable_parameters,
        "augmentation": recipe.augmentation,
        "hidden_units": " ".join(map(str, recipe.hidden_units)),
        "pooling": recipe.pooling,
        "views": "none",
        "train_on": "training",
        "learning_rate": _last_rate(recipe, prepared.config),
        "layer_decay": recipe.layer_decay,
        "epochs": len(trained.history),
        "validation_loss": trained.validation_loss,
        "phase_1_seconds": sum(candidate.phase_1_seconds for candidate in candidates),
        "phase_2_seconds": sum(candidate.phase_2_seconds for candidate in candidates),
    }
    losses, history = trained.selection_losses, trained.history
    return Fitted(validation, test, pack(trained), columns, losses, history)


def model(prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]) -> keras.Model:
    """The classifier as a finished run left it."""
    return prepared.bench.trainer.inference_model(unpack(weights, run, prepared.config))


def refit(prepared: Prepared, runs: Sequence[FinishedRun], rows: np.ndarray) -> Refitted:
    """Train the recipe for the epochs that validation chose, the median of the runs."""
    run, trainer = runs[0], prepared.bench.trainer
    kept = kept_epochs(prepared.store.histories([one.run_id for one in runs]))
    share = min(1.0, MOST_TIMES * run.training_images / len(rows))
    epochs = {phase: math.ceil(share * count) for phase, count in kept.items()}
    head, backbone, _ = trainer.train_on_all(_recipe(run, prepared.config), rows, epochs, run.seed)
    return Refitted(_packed(head, backbone), epochs)


def kept_epochs(histories: pd.DataFrame) -> dict[str, int]:
    """Epochs of each phase whose weights went on, the median of some runs.

    A phase 2 that was worse than its start counts as none; the head that it started from is that of
    phase 1's lowest loss on validation images.

    Args:
        histories: a row per epoch of the runs, with run_id.
    """
    epochs: dict[str, list[int]] = {}
    for (_, phase), rows in histories.groupby(["run_id", "phase"], sort=False):
        epochs.setdefault(str(phase), []).append(_kept_epoch(str(phase), rows))
    return {phase: round(float(np.median(counts))) for phase, counts in epochs.items()}


def _kept_epoch(phase: str, rows: pd.DataFrame) -> int:
    # an earlier version kept the best epoch, without a word
    kept = rows[rows["kept"]] if "kept" in rows else rows.iloc[:0]
    if len(kept):
        return int(kept["epoch"].iloc[0])
    if phase == "fine_tuning":
        return 0
    losses = rows["validation_loss"].fillna(np.inf).to_numpy()
    return int(rows["epoch"].iloc[int(losses.argmin())])


def probabilities(
    prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray], rows: np.ndarray
) -> np.ndarray:
    """Of the trained network."""
    trained = unpack(weights, run, prepared.config)
    return prepared.bench.trainer.probabilities(trained, rows)


def trained_backbone(
    prepared: Prepared, run: FinishedRun, weights: Mapping[str, np.ndarray]
) -> Backbone | None:
    """The backbone of a finished run, until the trainer does more; None where it is the source."""
    trained = unpack(weights, run, prepared.config)
    # also where it is the source: what shares the layers has the weights of this run from now on
    backbone = prepared.bench.trainer.trained_backbone(trained)
    return backbone if trained.backbone_weights else None


def seconds(run: Run, config: ExperimentConfig, train: int, validation: int) -> float:
    """Of its training; what a search costs is not in it."""
    spec, training = STRATEGIES[run.strategy], config.training
    depth = run.unfrozen_blocks or ("all" if spec.changes_backbone else 0)
    phase = training.phase_2 if spec.borrows else training.from_scratch
    # the search has chosen it for its winner
    compared = training.augmentation == "search" and not spec.searches
    candidates = len(AUGMENTATIONS) if compared else 1
    chooses = spec.borrows and not spec.searches
    choice = pooling_seconds(config, train + validation) if chooses else 0.0
    return choice + candidates * training_seconds(config, depth, phase.epochs, train, validation)


def pack(trained: Trained) -> dict[str, np.ndarray]:
    """The weights of a trained classifier by name."""
    return _packed(trained.head_weights, trained.backbone_weights)


def _packed(
    head: Sequence[np.ndarray], backbone: Mapping[int, np.ndarray]
) -> dict[str, np.ndarray]:
    parts = {_HEAD: dict(enumerate(head)), _BACKBONE: backbone}
    return {
        f"{part}{position:04d}": weight
        for part, weights in parts.items()
        for position, weight in weights.items()
    }


def unpack(stored: Mapping[str, np.ndarray], run: FinishedRun, config: ExperimentConfig) -> Trained:
    """A trained classifier with what is needed to use it; its history stays in its tables."""
    head, backbone = (
        {int(name[len(part) :]): stored[name] for name in sorted(stored) if name.startswith(part)}
        for part in (_HEAD, _BACKBONE)
    )
    return Trained(
        recipe=_recipe(run, config),
        head_weights=list(head.values()),
        backbone_weights=backbone,
        history=pd.DataFrame(),
        validation_losses=np.array([run.validation_loss]),
        selection_losses=np.array([run.selection_loss]),
        phase_1_seconds=run.phase_1_seconds,
        phase_2_seconds=run.phase_2_seconds,
        unfrozen_layers=run.unfrozen_layers,
        trainable_parameters=run.trainable_parameters,
    )


def _recipe(run: FinishedRun, config: ExperimentConfig) -> Recipe:
    """What a finished run trained; `Recipe.last_phase` has its rate."""
    from_scratch, training = not run.spec.borrows, config.training
    depth = depth_of(str(run.unfrozen_blocks))
    phase = training.from_scratch if from_scratch else training.phase_2
    if depth != 0 and run.learning_rate is not None:
        phase = phase.model_copy(update={"learning_rate": run.learning_rate})
    return Recipe(
        unfrozen_blocks=depth,
        augmentation=str(run.augmentation),
        hidden_units=tuple(int(units) for units in str(run.hidden_units or "").split()),
        last_phase=phase,
        from_scratch=from_scratch,
        cut=None if from_scratch else run.cut,
        layer_decay=1.0 if run.layer_decay is None else run.layer_decay,
        pooling=run.pooling or MEAN,
    )


def _last_rate(recipe: Recipe, config: ExperimentConfig) -> float:
    head_only = recipe.unfrozen_blocks == 0
    phase = config.training.phase_1 if head_only else recipe.last_phase
    return phase.learning_rate
