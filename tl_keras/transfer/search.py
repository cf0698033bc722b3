"""A KerasTuner search over cut, depth, rates and head, with two phases in each trial."""

import functools
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import keras_tuner
import pandas as pd

from tl_keras.config.schema import PhaseConfig, SearchConfig
from tl_keras.data.splits import Draw
from tl_keras.digests import keep_json, whole_json
from tl_keras.models.pooling import MEAN
from tl_keras.oracle_table import FORESEEABLE
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


@dataclass(frozen=True)
class Training:
    """One configuration on one fold.

    Attributes:
        name: for people.
        recipe: what is trained.
        draw: the images.
        seed: of the training.
        path: where its score is kept.
    """

    name: str
    recipe: Recipe
    draw: Draw
    seed: int
    path: Path

    def score(self, trainer: Trainer) -> FoldScore:
        """Train it."""
        started = time.perf_counter()
        trained = trainer.train(self.recipe, self.draw, self.seed)
        return FoldScore.of(trained, time.perf_counter() - started)

    def keep(self, score: FoldScore) -> None:
        """Write its score, so that a kill costs no more than what is being trained."""
        keep_json(self.path, asdict(score))


class Trainings(Protocol):
    """Where the trainings of a search are made."""

    def begin(self, training: Training) -> None:
        """Have one made and its score kept, now or later."""

    def wait(self, enough: Callable[[], bool]) -> None:
        """Return when enough of what was begun is there."""


@dataclass(frozen=True)
class OneByOne:
    """Trainings made by a trainer of this process, each when somebody waits for it."""

    trainer: Trainer
    _begun: deque[Training] = field(default_factory=deque, init=False)

    def begin(self, training: Training) -> None:
        """Note it."""
        self._begun.append(training)

    def wait(self, enough: Callable[[], bool]) -> None:
        """Make them in their order."""
        while not enough():
            training = self._begun.popleft()
            training.keep(training.score(self.trainer))


class TwoPhaseTuner(keras_tuner.Tuner):
    """A search of the configured space, scored on validation images only.

    Its trials train the head first and then the unfrozen blocks: `run_trial` is replaced as a
    whole, as the stock one needs TensorBoard and trains one phase.

    Each finished training is kept in a folder. A search that was killed asks the oracle, which is
    seeded, for the same trials again and finds what is finished there, so that it needs nothing
    of KerasTuner's own files, which a kill may leave half-written.

    Trials that do not depend on the scores of others are all begun at the start; of those that
    do, the folds of one. So the result is the same whatever number is made at a time.
    """

    def __init__(
        self,
        trainings: Trainings,
        blocks: Sequence[str],
        draws: Sequence[Draw],
        config: SearchConfig,
        phase_2: PhaseConfig,
        folder: Path,
        on_trial: Callable[[Trial], None] = lambda trial: None,
        pooling: Callable[[str], str] = lambda cut: MEAN,
    ) -> None:
        """Begin all trials that are certain to be asked for.

        Args:
            trainings: make them.
            blocks: of the whole backbone, from input to output.
            draws: the folds: training and validation images of every trial.
            config: the space, the oracle and the number of trials; its cuts are names of blocks.
            phase_2: length and patience of the second phase; the rate is searched.
            folder: of this search alone.
            on_trial: called after each trial.
            pooling: from a cut to the kind that a head there has.

        Raises:
            ConfigError: no depth lies within a cut.
        """
        self._trainings, self._draws, self._config = trainings, draws, config
        self._phase_2, self._folder, self._on_trial = phase_2, folder, on_trial
        self._pooling = functools.cache(pooling)
        self._blocks, self._places = blocks, places(config, blocks)
        self._begun: set[Path] = set()
        self.trials: dict[str, Trial] = {}
        super().__init__(
            oracle=make_oracle(config, phase_2, self._places),
            directory=str(folder),
            project_name="keras_tuner",
            overwrite=True,
        )
        if config.oracle in FORESEEABLE:
            self._begin_all()

    def _begin_all(self) -> None:
        oracle = make_oracle(self._config, self._phase_2, self._places)
        with TemporaryDirectory() as folder:
            lister = _Lister(oracle=oracle, directory=folder, project_name="foreseen")
            lister.search(verbose=0)
        for values in lister.asked:
            self._begin(self._that_matter(values))

    def finish(self, milliseconds: Callable[[str], float]) -> Study:
        """Search to the end.

        Args:
            milliseconds: from a cut to the time per image of a classifier that ends there.

        Raises:
            Exception: whatever a trial or `on_trial` raised.
        """
        try:
            self.search(verbose=0)
        except keras_tuner.errors.FatalError as error:
            raise (error.__cause__ or error) from None
        trials = list(self.trials.values())
        chosen = choose(trials, self._config.choice, self._blocks)
        speeds = {cut: milliseconds(cut) for cut in dict.fromkeys(trial.cut for trial in trials)}
        table = pd.DataFrame([asdict(trial) for trial in trials]).assign(
            milliseconds_per_image=[speeds[trial.cut] for trial in trials],
            within_one_se=within_one_se(trials),
            chosen=[trial is chosen for trial in trials],
        )
        table.insert(0, "trial", range(1, len(table) + 1))
        return Study(table, self.recipe(chosen))

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train one configuration, or read it where it has been trained before."""
        try:
            values = self._that_matter(trial.hyperparameters.values)
            name = _name(values)
            # Some oracles ask for a configuration again.
            if name not in self.trials:
                kind, scores = self._pooling(values["cut"]), self._scores(values)
                self.trials[name] = Trial(**values, pooling=kind, **summed_up(scores))
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

    def _scores(self, values: dict[str, Any]) -> list[FoldScore]:
        """Train on every fold, or read what came of it."""
        self._begin(values)
        paths = [training.path for training in self._trainings_of(values)]
        self._trainings.wait(lambda: all(path.exists() for path in paths))
        return [FoldScore(**whole_json(path)) for path in paths]

    def _begin(self, values: dict[str, Any]) -> None:
        for training in self._trainings_of(values):
            if training.path not in self._begun and not training.path.exists():
                self._begun.add(training.path)
                self._trainings.begin(training)

    def _trainings_of(self, values: dict[str, Any]) -> list[Training]:
        """Of a trial: one for each fold."""
        recipe, seed = self._recipe(values), self._config.seed
        stem = f"trial-{_name(values)}"
        return [
            Training(
                f"a trial of the search, fold {fold}",
                recipe,
                draw,
                seed,
                self._folder / f"{stem}-fold{fold}.json",
            )
            for fold, draw in enumerate(self._draws, start=1)
        ]

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
            pooling=self._pooling(values["cut"]),
        )


class _Lister(keras_tuner.Tuner):
    """Hears what an oracle asks for, and answers that all are alike."""

    def __init__(self, **keys: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        super().__init__(**keys)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        self.asked.append(trial.hyperparameters.values)
        return {OBJECTIVE: 0.0}


def _name(values: dict[str, Any]) -> str:
    """Of a configuration, the same for the same values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
