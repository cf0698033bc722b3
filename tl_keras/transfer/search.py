"""A KerasTuner search over what to unfreeze and how fast, two phases in each trial."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import keras_tuner
import pandas as pd

from tl_keras.config.schema import PhaseConfig, SearchConfig
from tl_keras.data.splits import Draw
from tl_keras.models.classifier import Depth
from tl_keras.transfer.training import Recipe, Trainer

OBJECTIVE = "validation_loss"


@dataclass(frozen=True)
class Trial:
    """One configuration with its raw scores, a row of `trials.csv`.

    Attributes:
        unfrozen_blocks: as text: a number or "all".
        learning_rate: of phase 2; None where nothing is unfrozen.
        hidden_units: of one hidden layer in the head; 0 is none.
        epochs_allowed: of phase 2; None where nothing is unfrozen.
        epochs: trained, both phases together.
        validation_loss: mean cross-entropy of the weights kept; what the search minimises.
        validation_accuracy: of the same weights.
    """

    unfrozen_blocks: str
    learning_rate: float | None
    hidden_units: int
    augmentation: str
    epochs_allowed: int | None
    epochs: int
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Study:
    """A finished search: its trials in their order, and the recipe with the lowest loss."""

    trials: pd.DataFrame
    winner: Recipe


def search(
    trainer: Trainer,
    draw: Draw,
    config: SearchConfig,
    phase_2: PhaseConfig,
    folder: Path,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> Study:
    """Search the configured space on one draw, scored on its validation images only.

    Each finished trial is kept in `folder`. A search that was killed asks the oracle, which is
    seeded, for the same trials again and finds the finished ones there, so that it needs nothing
    of KerasTuner's own files, which a kill may leave half-written.

    Args:
        trainer: with the images.
        draw: training and validation images of all trials.
        config: the space, the oracle and the number of trials.
        phase_2: length and patience of the second phase; the rate is searched.
        folder: of this search alone.
        on_trial: called after each trial.

    Raises:
        Exception: whatever a trial or `on_trial` raised; it ends the search.
    """
    tuner = TwoPhaseTuner(trainer, draw, config, phase_2, folder, on_trial)
    try:
        tuner.search(verbose=0)
    except keras_tuner.errors.FatalError as error:
        raise (error.__cause__ or error) from None
    trials = tuner.trials
    best = min(trials, key=lambda trial: trial.validation_loss)
    table = pd.DataFrame([asdict(trial) for trial in trials])
    table.insert(0, "trial", range(1, len(table) + 1))
    return Study(table.assign(chosen=[trial is best for trial in trials]), tuner.recipe(best))


class TwoPhaseTuner(keras_tuner.Tuner):
    """A tuner whose trials train the head first and then the unfrozen blocks.

    `run_trial` is replaced as a whole: the stock one needs TensorBoard and trains one phase.
    """

    def __init__(
        self,
        trainer: Trainer,
        draw: Draw,
        config: SearchConfig,
        phase_2: PhaseConfig,
        folder: Path,
        on_trial: Callable[[Trial], None],
    ) -> None:
        self._trainer, self._draw, self._config = trainer, draw, config
        self._phase_2, self._folder, self._on_trial = phase_2, folder, on_trial
        self.trials: list[Trial] = []
        super().__init__(
            oracle=_oracle(config, phase_2),
            directory=str(folder),
            project_name="keras_tuner",
            overwrite=True,
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train one configuration, or read it where it has been trained before."""
        try:
            result = self._result_of(trial.hyperparameters.values)
            # Some oracles ask for a configuration again.
            if result not in self.trials:
                self.trials.append(result)
                self._on_trial(result)
        except Exception as error:
            # KerasTuner would count it as a bad configuration and go on.
            raise keras_tuner.errors.FatalError(f"A trial failed: {error}") from error
        return {OBJECTIVE: result.validation_loss}

    def recipe(self, trial: Trial) -> Recipe:
        """The trial's configuration, with the whole length of phase 2."""
        return self._recipe(
            _depth(trial.unfrozen_blocks),
            trial.augmentation,
            trial.hidden_units,
            trial.learning_rate,
            self._phase_2.epochs,
        )

    def _result_of(self, values: dict[str, Any]) -> Trial:
        values = self._that_matter(values)
        name = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        path = self._folder / f"trial-{name}.json"
        if path.exists():
            return Trial(**json.loads(path.read_text()))
        result = self._train(values)
        half = path.with_suffix(".part")
        half.write_text(json.dumps(asdict(result)))
        half.replace(path)
        return result

    def _that_matter(self, values: dict[str, Any]) -> dict[str, Any]:
        """Without the values that change nothing, such as a rate where nothing is unfrozen."""
        keys = ["unfrozen_blocks", "hidden_units", "augmentation"]
        if values["unfrozen_blocks"] == "0":
            return {key: values[key] for key in keys}
        epochs = values.get("tuner/epochs", self._phase_2.epochs)
        return {key: values[key] for key in (*keys, "learning_rate")} | {"epochs": epochs}

    def _train(self, values: dict[str, Any]) -> Trial:
        depth = _depth(values["unfrozen_blocks"])
        rate, epochs = values.get("learning_rate"), values.get("epochs")
        augmentation, units = values["augmentation"], values["hidden_units"]
        started = time.perf_counter()
        recipe = self._recipe(depth, augmentation, units, rate, epochs or self._phase_2.epochs)
        trained = self._trainer.train(recipe, self._draw, self._config.seed)
        positions = self._draw.validation
        predicted = self._trainer.probabilities(trained, positions).argmax(axis=1)
        right = predicted == self._trainer.images.class_indices[positions]
        return Trial(
            unfrozen_blocks=str(depth),
            learning_rate=rate,
            hidden_units=units,
            augmentation=augmentation,
            epochs_allowed=epochs,
            epochs=len(trained.history),
            validation_loss=trained.validation_loss,
            validation_accuracy=float(right.mean()),
            seconds=time.perf_counter() - started,
        )

    def _recipe(
        self, depth: Depth, augmentation: str, units: int, rate: float | None, epochs: int
    ) -> Recipe:
        changes = {"epochs": epochs, "learning_rate": rate or self._phase_2.learning_rate}
        phase = self._phase_2.model_copy(update=changes)
        return Recipe(depth, augmentation, (units,) if units else (), phase)


def _space(config: SearchConfig) -> keras_tuner.HyperParameters:
    """The whole space, declared before the first trial, as oracles need it."""
    space = keras_tuner.HyperParameters()
    depths = [str(depth) for depth in config.unfrozen_blocks]
    space.Choice("unfrozen_blocks", depths, ordered=False)
    space.Choice("hidden_units", list(config.hidden_units))
    space.Choice("augmentation", list(config.augmentations), ordered=False)
    unfrozen = [depth for depth in depths if depth != "0"]
    if unfrozen:
        # Without unfrozen blocks there is no second phase and no rate to choose.
        with space.conditional_scope("unfrozen_blocks", unfrozen):
            space.Choice("learning_rate", list(config.learning_rates))
    return space


def _configurations(config: SearchConfig) -> int:
    """Of the space, which has no rate where nothing is unfrozen."""
    rates = sum(len(config.learning_rates) if depth else 1 for depth in config.unfrozen_blocks)
    return rates * len(config.hidden_units) * len(config.augmentations)


class _Hyperband(keras_tuner.oracles.HyperbandOracle):
    """Hyperband with rounds no larger than the space.

    The original stops once it has tried a small space, before its first round is full: nothing
    would ever train for longer than the first round allows.
    """

    def __init__(self, configurations: int, **options: Any) -> None:
        self._configurations = configurations
        super().__init__(**options)

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        largest = math.ceil(self._configurations / self.factor**round_num)
        return min(super()._get_size(bracket_num, round_num), largest)


def _oracle(config: SearchConfig, phase_2: PhaseConfig) -> keras_tuner.Oracle:
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": _space(config),
        # A seed of 0 means a random one to the oracles.
        "seed": config.seed + 1,
    }
    if config.oracle == "hyperband":
        epochs = max(phase_2.epochs, 3)
        oracle = _Hyperband(_configurations(config), max_epochs=epochs, **common)
    else:
        kind = {
            "random": keras_tuner.oracles.RandomSearchOracle,
            "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
            "grid": keras_tuner.oracles.GridSearchOracle,
        }[config.oracle]
        oracle = kind(max_trials=config.max_trials, **common)
    # After 20 draws that were tried before, they would stop short of the end of a small space.
    oracle._max_collisions = 1000
    return oracle


def _depth(text: str) -> Depth:
    return "all" if text == "all" else cast(Depth, int(text))
