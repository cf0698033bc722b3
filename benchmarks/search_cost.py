"""What a search over depths costs, beside plain KerasTuner doing the same.

    python -m benchmarks.search_cost --images FOLDER --weights FILE

Both make the same trials, by grid: depths 0 to 5 blocks of MobileNetV2, two learning rates each
where anything is unfrozen, no augmentation, one fold. A plain trial is the recipe of the Keras
guide in `HyperModel.fit`: build the network, train the head on the frozen backbone, unfreeze,
compile again, train on; early stopping keeps the best weights in both phases, with the same epochs
and patience. Prints wall and processor seconds of each; the latter are the fairer where the machine
is shared.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from tl_keras.config.schema import (
    FineTuningPhaseConfig,
    HeadConfig,
    HeadPhaseConfig,
    PhaseConfig,
    SearchConfig,
    TrainingConfig,
)
from tl_keras.data.pixels import load_pictures
from tl_keras.data.splits import Draw
from tl_keras.models.blocks import set_trainable
from tl_keras.models.classifier import Backbone
from tl_keras.models.heads import build_head
from tl_keras.models.source_models import load_source
from tl_keras.transfer.search import search
from tl_keras.transfer.training import LabelledImages, Trainer

BACKBONE, SIDE, IMAGES = "MobileNetV2", 160, 500
DEPTHS, RATES = (0, 1, 2, 3, 4, 5), (1e-4, 3e-4)
PHASE_1 = HeadPhaseConfig(epochs=20, patience=5)
PHASE_2 = FineTuningPhaseConfig(epochs=10, patience=5)


def main() -> None:
    """Search both ways and print the seconds."""
    options = _parser().parse_args()
    labelled = _load(options.images)
    order = np.random.default_rng(0).permutation(IMAGES)
    draw = Draw(np.sort(order[: IMAGES * 4 // 5]), np.sort(order[IMAGES * 4 // 5 :]))
    for name, searched in (("tl_keras", _search), ("plain KerasTuner", _plain)):
        wall, processor = time.perf_counter(), time.process_time()
        best = searched(labelled, draw, options.weights)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(
            f"{name}: {wall:.0f} s, {processor:.0f} s of processors, best loss {best:.3f}",
            flush=True,
        )


def _load(folder: Path) -> LabelledImages:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = [paths[row] for row in np.random.default_rng(0).permutation(len(paths))[:IMAGES]]
    pixels = load_pictures(chosen, np.arange(IMAGES), image_size=SIDE, resize="stretch")
    labels, indices = np.unique([path.parent.name for path in chosen], return_inverse=True)
    return LabelledImages(pixels, indices, len(labels))


def _search(labelled: LabelledImages, draw: Draw, weights: str) -> float:
    backbone = _backbone(weights)
    training = TrainingConfig(phase_1=PHASE_1, phase_2=PHASE_2)
    trainer = Trainer(backbone, labelled, HeadConfig(), training)
    config = SearchConfig(
        oracle="grid",
        max_trials=12,
        cuts=backbone.block_names[-1:],
        unfrozen_blocks=DEPTHS,
        learning_rates=RATES,
        folds=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        study = search(trainer, [draw], config, PHASE_2, Path(folder), lambda cut: 0.0)
    return float(study.trials["validation_loss"].min())


class _Guide(keras_tuner.HyperModel):
    """The two phases of the Keras guide to transfer learning."""

    def __init__(self, labelled: LabelledImages, draw: Draw, weights: str) -> None:
        super().__init__()
        self._weights, self._classes = weights, labelled.classes
        self._train, self._validation = (
            (labelled.pixels[rows].astype(np.float32), labelled.one_hot(rows))
            for rows in (draw.train, draw.validation)
        )

    def build(self, hp: Any) -> keras.Model:
        self._backbone = _backbone(self._weights)
        head = build_head(
            self._backbone.channels, self._classes, hidden_units=(), dropout=HeadConfig().dropout
        )
        depth = hp.Choice("depth", list(DEPTHS))
        with hp.conditional_scope("depth", [unfrozen for unfrozen in DEPTHS if unfrozen]):
            hp.Choice("rate", list(RATES))
        return self._backbone.augmented(depth, head, "none")

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> float:
        depth = hp.get("depth")
        phases: list[tuple[int, PhaseConfig]] = [(0, PHASE_1)]
        if depth:
            rate = hp.get("rate")
            changed = PHASE_2.model_copy(update={"learning_rate": rate})
            phases.append((depth, changed))
        return min(self._phase(model, unfrozen, phase) for unfrozen, phase in phases)

    def _phase(self, model: keras.Model, unfrozen: int, phase: PhaseConfig) -> float:
        set_trainable(self._backbone.model, self._backbone.blocks, unfrozen)
        model.compile(
            keras.optimizers.Adam(phase.learning_rate),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        stop = keras.callbacks.EarlyStopping(patience=phase.patience, restore_best_weights=True)
        history = model.fit(
            *self._train,
            validation_data=self._validation,
            epochs=phase.epochs,
            callbacks=[stop],
            verbose=0,
        )
        return float(min(history.history["val_loss"]))


class _Plain(keras_tuner.GridSearch):
    """Without TensorBoard's callback, which asks for a package of its own."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        model = self.hypermodel.build(trial.hyperparameters)
        return float(self.hypermodel.fit(trial.hyperparameters, model))


def _plain(labelled: LabelledImages, draw: Draw, weights: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        guide = _Guide(labelled, draw, weights)
        # The default objective is the loss that `run_trial` returns, to be made small.
        tuner = _Plain(guide, max_trials=12, directory=folder, overwrite=True)
        tuner.search(verbose=0)
        return float(tuner.oracle.get_best_trials(1)[0].score)


def _backbone(weights: str) -> Backbone:
    model, _ = load_source(BACKBONE, image_size=SIDE, weights=weights)
    return Backbone.wrap(BACKBONE, None, model)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, required=True, help="folder with one per class")
    parser.add_argument("--weights", default="bundled", help="of MobileNetV2")
    return parser


if __name__ == "__main__":
    main()
