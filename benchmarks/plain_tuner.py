"""A plain KerasTuner search around the guide's script: every trial trains a head, then fine-tunes.

It imports nothing of the package that it is compared with.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from benchmarks.plain_keras import (
    Classifier,
    Photos,
    best_epoch,
    build,
    fine_tune,
    pipeline,
    train_head,
)


class GuideModel(keras_tuner.HyperModel):
    """The guide's model; how many blocks to unfreeze and how fast is searched."""

    def __init__(
        self,
        *,
        image_size: int,
        classes: int,
        weights: str | None,
        depths: Sequence[str],
        rates: Sequence[float],
        head_epochs: int,
        head_rate: float,
        epochs: int,
    ) -> None:
        super().__init__()
        self._architecture = image_size, classes, weights
        self._depths, self._rates = list(depths), list(rates)
        self._head_epochs, self._head_rate, self._epochs = head_epochs, head_rate, epochs

    def build(self, hp: keras_tuner.HyperParameters) -> Classifier:
        """Declare the space and build the model, which does not depend on it."""
        hp.Choice("blocks", self._depths, ordered=False)
        unfrozen = [depth for depth in self._depths if depth != "0"]
        # Without a second phase there is no rate to choose, and no trial to waste on it.
        with hp.conditional_scope("blocks", unfrozen):
            hp.Choice("rate", self._rates)
        return build(*self._architecture)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: Classifier, *data: Any, **kwargs: Any
    ) -> dict[str, float]:
        """Train both phases; the best epoch of either counts."""
        del kwargs
        phase_1 = train_head(model, *data, epochs=self._head_epochs, rate=self._head_rate)
        histories = [phase_1]
        if (blocks := hp.get("blocks")) != "0":
            rate = hp.get("rate")
            phase_2 = fine_tune(model, *data, blocks=_depth(blocks), epochs=self._epochs, rate=rate)
            histories.append(phase_2)
        return best_epoch(histories)


class GuideTuner(keras_tuner.GridSearch):
    """KerasTuner without its checkpoints of every epoch, and without TensorBoard."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Build and fit, as the documentation of `Tuner.run_trial` shows."""
        keras.backend.clear_session()
        hp = trial.hyperparameters
        return self.hypermodel.fit(hp, self.hypermodel.build(hp), *args, **kwargs)


def search(
    model: GuideModel, train: Photos, validation: Photos, *, batch_size: int, folder: Path
) -> dict[str, float]:
    """Search the whole grid: number of trials, and scores of the best one."""
    tuner = GuideTuner(
        model,
        objective=keras_tuner.Objective("val_loss", "min"),
        directory=str(folder),
        project_name="guide",
    )
    tuner.search(
        pipeline(train, batch_size, shuffle=True), pipeline(validation, batch_size), verbose=0
    )
    best = tuner.oracle.get_best_trials()[0]
    return {
        "trials": len(tuner.oracle.trials),
        "loss": float(best.score),
        "accuracy": float(best.metrics.get_best_value("val_accuracy")),
    }


def _depth(text: str) -> int | str:
    return text if text == "all" else int(text)
