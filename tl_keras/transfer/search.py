"""A KerasTuner search over cut, depth, rates and head, with two phases in each trial."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras_tuner
import pandas as pd

from tl_keras.config.schema import PhaseConfig, SearchConfig
from tl_keras.data.splits import Draw
from tl_keras.digests import keep_json, whole_json
from tl_keras.transfer.fold_score import FoldScore
from tl_keras.transfer.oracles import make_oracle
from tl_keras.transfer.recipe import Recipe, depth_of
from tl_keras.transfer.search_space import OBJECTIVE, places
from tl_keras.transfer.trainer import Trainer
from tl_keras.transfer.trials import Trial, choose, summed_up, within_one_se


@dataclass(frozen=True)
class Study:
    """A finished search: its trials in their order, and the recipe that was chosen."""

    trials: pd.DataFrame
    winner: Recipe


def search(
    trainer: Trainer,
    draws: Sequence[Draw],
    config: SearchConfig,
    phase_2: PhaseConfig,
    folder: Path,
    milliseconds: Callable[[str], float],
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> Study:
    """Search the configured space, scored on validation images only.

    Each finished training is kept in `folder`. A search that was killed asks the oracle, which is
    seeded, for the same trials again and finds what is finished there, so that it needs nothing
    of KerasTuner's own files, which a kill may leave half-written.

    Args:
        trainer: with the images and the whole backbone.
        draws: the folds: training and validation images of every trial.
        config: the space, the oracle and the number of trials; its cuts are names of blocks.
        phase_2: length and patience of the second phase; the rate is searched.
        folder: of this search alone.
        milliseconds: from a cut to the time per image of a classifier that ends there.
        on_trial: called after each trial.

    Raises:
        ConfigError: no depth lies within a cut.
        Exception: whatever a trial or `on_trial` raised; it ends the search.
    """
    tuner = TwoPhaseTuner(trainer, draws, config, phase_2, folder, on_trial)
    try:
        tuner.search(verbose=0)
    except keras_tuner.errors.FatalError as error:
        raise (error.__cause__ or error) from None
    trials = list(tuner.trials.values())
    chosen = choose(trials, config.choice, trainer.backbone.block_names)
    speeds = {cut: milliseconds(cut) for cut in dict.fromkeys(trial.cut for trial in trials)}
    table = pd.DataFrame([asdict(trial) for trial in trials]).assign(
        milliseconds_per_image=[speeds[trial.cut] for trial in trials],
        within_one_se=within_one_se(trials),
        chosen=[trial is chosen for trial in trials],
    )
    table.insert(0, "trial", range(1, len(table) + 1))
    return Study(table, tuner.recipe(chosen))


class TwoPhaseTuner(keras_tuner.Tuner):
    """A tuner whose trials train the head first and then the unfrozen blocks.

    `run_trial` is replaced as a whole: the stock one needs TensorBoard and trains one phase.
    """

    def __init__(
        self,
        trainer: Trainer,
        draws: Sequence[Draw],
        config: SearchConfig,
        phase_2: PhaseConfig,
        folder: Path,
        on_trial: Callable[[Trial], None],
    ) -> None:
        self._trainer, self._draws, self._config = trainer, draws, config
        self._phase_2, self._folder, self._on_trial = phase_2, folder, on_trial
        self._places = places(config, trainer.backbone.block_names)
        self.trials: dict[str, Trial] = {}
        super().__init__(
            oracle=make_oracle(config, phase_2, self._places),
            directory=str(folder),
            project_name="keras_tuner",
            overwrite=True,
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train one configuration, or read it where it has been trained before."""
        try:
            values = self._that_matter(trial.hyperparameters.values)
            name = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
            # Some oracles ask for a configuration again.
            if name not in self.trials:
                scores = [self._score(name, values, fold) for fold in range(len(self._draws))]
                self.trials[name] = Trial(**values, **summed_up(scores))
                self._on_trial(self.trials[name])
        except Exception as error:
            # KerasTuner would count it as a bad configuration and go on.
            raise keras_tuner.errors.FatalError(f"A trial failed: {error}") from error
        return {OBJECTIVE: self.trials[name].validation_loss}

    def recipe(self, trial: Trial) -> Recipe:
        """The trial's configuration, with the whole length of phase 2."""
        return self._recipe(asdict(trial) | {"epochs_allowed": self._phase_2.epochs})

    def _that_matter(self, values: dict[str, Any]) -> dict[str, Any]:
        """Columns of the trial; None for what changes nothing, as a rate with nothing unfrozen."""
        cut, depth = self._places[values["place"]]
        trains = depth != 0
        epochs = values.get("tuner/epochs", self._phase_2.epochs)
        return {
            "cut": cut,
            "unfrozen_blocks": str(depth),
            "learning_rate": values["learning_rate"] if trains else None,
            "layer_decay": values["layer_decay"] if trains else None,
            "hidden_units": values["hidden_units"],
            "augmentation": values["augmentation"],
            "epochs_allowed": epochs if trains else None,
        }

    def _score(self, name: str, values: dict[str, Any], fold: int) -> FoldScore:
        """Train on one fold, or read what came of it: a kill costs one training at most."""
        path = self._folder / f"trial-{name}-fold{fold + 1}.json"
        if path.exists():
            return FoldScore(**whole_json(path))
        started = time.perf_counter()
        recipe, draw = self._recipe(values), self._draws[fold]
        trained = self._trainer.train(recipe, draw, self._config.seed)
        score = FoldScore.of(trained, time.perf_counter() - started)
        keep_json(path, asdict(score))
        return score

    def _recipe(self, values: dict[str, Any]) -> Recipe:
        """Of a trial's columns."""
        units, rate = values["hidden_units"], values["learning_rate"]
        changes = {
            "epochs": values["epochs_allowed"] or self._phase_2.epochs,
            "learning_rate": rate or self._phase_2.learning_rate,
        }
        return Recipe(
            unfrozen_blocks=depth_of(values["unfrozen_blocks"]),
            augmentation=values["augmentation"],
            hidden_units=(units,) if units else (),
            last_phase=self._phase_2.model_copy(update=changes),
            cut=values["cut"],
            layer_decay=values["layer_decay"] or 1.0,
        )
