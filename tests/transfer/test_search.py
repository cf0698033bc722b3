"""The search: its trials, its table, its winner, and how it goes on after a kill."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from tl_keras.config.schema import PhaseConfig, SearchConfig
from tl_keras.data.rows import whole
from tl_keras.data.splits import Draw
from tl_keras.errors import ConfigError
from tl_keras.oracle_table import FORESEEABLE
from tl_keras.transfer.recipe import Recipe, Trained
from tl_keras.transfer.search import OneByOne, Study, Training, TwoPhaseTuner
from tl_keras.transfer.trainer import LabelledImages, Trainer
from tl_keras.transfer.trials import Trial

# KerasTuner asks for the current thread by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")

ORACLES = pytest.mark.parametrize("oracle", ["random", "bayesian", "hyperband", "grid"])
PHASE_2 = PhaseConfig(epochs=4, learning_rate=1e-3, patience=4)
DRAW = Draw(train=np.arange(4), validation=np.array([4, 5, 6, 7]))
FOLDS = [Draw(np.arange(size), np.array([9])) for size in (0, 10, 50)]
BLOCKS = ("a", "b", "c", "d")
MILLISECONDS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}


class Scripted:
    """In place of a trainer: a loss from a formula, so that a training takes no time."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.recipes: list[Recipe] = []
        self.draws: list[Draw] = []
        self.seeds: list[int] = []
        self.stop_after = stop_after

    @staticmethod
    def loss(recipe: Recipe) -> float:
        """Least for two blocks at a rate of 0.01, without a hidden layer."""
        depth = len(BLOCKS) if recipe.unfrozen_blocks == "all" else int(recipe.unfrozen_blocks)
        rate = abs(np.log10(recipe.last_phase.learning_rate) + 2) if depth else 0.5
        return float(1 + abs(depth - 2) + rate + 0.1 * len(recipe.hidden_units))

    def train(self, recipe: Recipe, draw: Draw, seed: int) -> Trained:
        if len(self.recipes) == self.stop_after:
            raise RuntimeError("the disk is full")
        self.recipes.append(recipe)
        self.draws.append(draw)
        self.seeds.append(seed)
        harder = len(draw.train) / 100
        losses = np.array([-0.1, -0.1, 0.1, 0.1]) + self.loss(recipe) + harder
        row = {"epoch": 1, "validation_loss": losses.mean(), "validation_accuracy": 0.75}
        row["kept"] = True
        depth = recipe.unfrozen_blocks
        return Trained(
            recipe=recipe,
            head_weights=[],
            backbone_weights={},
            history=pd.DataFrame([row]),
            validation_losses=losses,
            selection_losses=losses,
            phase_1_seconds=0.0,
            phase_2_seconds=0.0,
            unfrozen_layers=0,
            trainable_parameters=10 * (len(BLOCKS) if depth == "all" else int(depth)),
        )


def settings(**keys: Any) -> SearchConfig:
    space = {
        "cuts": ("d",),
        "unfrozen_blocks": (0, 2, "all"),
        "learning_rates": (0.001, 0.01),
        "layer_decays": (1.0,),
        "max_trials": 20,
        "choice": "best",
    }
    return SearchConfig.model_validate(space | keys)


def study(
    folder: Path,
    trainer: Scripted,
    on_trial: Callable[[Trial], None] = lambda trial: None,
    draws: Sequence[Draw] = (DRAW,),
    pooling: Callable[[str], str] = lambda cut: "mean",
    **keys: Any,
) -> Study:
    trainings = OneByOne(cast(Trainer, trainer))
    search = TwoPhaseTuner(
        trainings, BLOCKS, draws, settings(**keys), PHASE_2, folder, on_trial, pooling
    )
    return search.finish(MILLISECONDS.__getitem__)


def without_seconds(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["seconds", "milliseconds_per_image"])


@ORACLES
def test_every_oracle_fills_the_table_with_raw_scores(tmp_path: Path, oracle: str) -> None:
    trainer = Scripted()
    trials = study(tmp_path, trainer, oracle=oracle, max_trials=4).trials
    assert list(trials.columns) == [
        "trial",
        "cut",
        "unfrozen_blocks",
        "learning_rate",
        "layer_decay",
        "hidden_units",
        "augmentation",
        "epochs_allowed",
        "pooling",
        "folds",
        "epochs",
        "validation_loss",
        "validation_loss_se",
        "validation_accuracy",
        "trainable_parameters",
        "seconds",
        "milliseconds_per_image",
        "within_one_se",
        "chosen",
    ]
    assert list(trials["trial"]) == list(range(1, len(trials) + 1))
    expected = {Scripted.loss(recipe) + 0.04 for recipe in trainer.recipes}
    assert sorted(set(trials["validation_loss"])) == pytest.approx(sorted(expected))
    # of four images, 0.1 above and below their mean
    np.testing.assert_allclose(trials["validation_loss_se"], 0.1 / np.sqrt(3))
    assert set(trials["validation_accuracy"]) == {0.75}
    assert set(trials["epochs"]) == {1}
    assert (trials["seconds"] >= 0).all()


def test_every_cut_has_its_kind_of_pooling(tmp_path: Path) -> None:
    trainer, kinds = Scripted(), {"b": "mean_std", "d": "mean"}
    asked: list[str] = []

    def kind_of(cut: str) -> str:
        asked.append(cut)
        return kinds[cut]

    result = study(tmp_path, trainer, pooling=kind_of, cuts=("b", "d"), unfrozen_blocks=(0, 2))
    assert {(recipe.cut, recipe.pooling) for recipe in trainer.recipes} == set(kinds.items())
    assert result.trials["pooling"].equals(result.trials["cut"].map(kinds))
    assert result.winner.pooling == kinds[str(result.winner.cut)]
    # each once, for it takes probes to tell
    assert sorted(asked) == ["b", "d"]


@ORACLES
def test_winner_has_the_least_validation_loss(tmp_path: Path, oracle: str) -> None:
    result = study(tmp_path, Scripted(), oracle=oracle)
    chosen = result.trials[result.trials["chosen"]]
    assert list(chosen["validation_loss"]) == [result.trials["validation_loss"].min()]
    winner = result.winner
    assert str(winner.unfrozen_blocks) == chosen["unfrozen_blocks"].item()
    assert Scripted.loss(winner) + 0.04 == pytest.approx(result.trials["validation_loss"].min())


def test_winner_trains_the_whole_second_phase(tmp_path: Path) -> None:
    winner = study(tmp_path, Scripted(), oracle="hyperband").winner
    assert (winner.last_phase.epochs, winner.last_phase.patience) == (4, 4)
    assert not winner.from_scratch


@pytest.mark.parametrize("oracle", ["random", "bayesian", "grid"])
def test_search_stops_at_max_trials(tmp_path: Path, oracle: str) -> None:
    assert len(study(tmp_path, Scripted(), oracle=oracle, max_trials=3).trials) == 3


@pytest.mark.parametrize("oracle", ["random", "grid"])
def test_small_space_is_tried_once_and_no_longer(tmp_path: Path, oracle: str) -> None:
    trials = study(tmp_path, Scripted(), oracle=oracle).trials
    tried = set(zip(trials["unfrozen_blocks"], trials["learning_rate"].fillna(0), strict=True))
    assert len(trials) == len(tried) == 5
    assert tried == {("0", 0), ("2", 0.001), ("2", 0.01), ("all", 0.001), ("all", 0.01)}


@pytest.mark.parametrize("oracle", ["random", "grid"])
def test_whole_space_is_covered(tmp_path: Path, oracle: str) -> None:
    keys: dict[str, Any] = {
        "hidden_units": (0, 8),
        "augmentations": ("none", "light"),
        "max_trials": 50,
    }
    trials = study(tmp_path, Scripted(), oracle=oracle, **keys).trials
    assert len(trials) == 5 * 2 * 2
    assert set(trials["hidden_units"]) == {0, 8}
    assert set(trials["augmentation"]) == {"none", "light"}


@ORACLES
def test_without_unfrozen_blocks_there_is_no_rate(tmp_path: Path, oracle: str) -> None:
    trials = study(tmp_path, Scripted(), oracle=oracle).trials
    frozen = trials["unfrozen_blocks"] == "0"
    assert frozen.any()
    assert trials.loc[frozen, ["learning_rate", "epochs_allowed"]].isna().all(axis=None)
    assert trials.loc[~frozen, ["learning_rate", "epochs_allowed"]].notna().all(axis=None)


@ORACLES
def test_no_configuration_is_trained_twice(tmp_path: Path, oracle: str) -> None:
    trainer = Scripted()
    study(tmp_path, trainer, oracle=oracle)
    frozen = [recipe for recipe in trainer.recipes if recipe.unfrozen_blocks == 0]
    assert len(frozen) == 1
    assert len(set(trainer.recipes)) == len(trainer.recipes)


@ORACLES
def test_no_configuration_is_in_the_table_twice(tmp_path: Path, oracle: str) -> None:
    trials = study(tmp_path, Scripted(), oracle=oracle).trials
    keys = ["unfrozen_blocks", "learning_rate", "epochs_allowed"]
    assert not trials.duplicated(keys).any()


def test_space_of_frozen_backbones_alone_is_searched(tmp_path: Path) -> None:
    trials = study(tmp_path, Scripted(), unfrozen_blocks=(0,), hidden_units=(0, 8)).trials
    assert list(trials["hidden_units"].sort_values()) == [0, 8]


def test_trial_trains_what_its_row_says(tmp_path: Path) -> None:
    trainer = Scripted()
    keys: dict[str, Any] = {"hidden_units": (0, 8), "augmentations": ("none", "light")}
    trials = study(tmp_path, trainer, oracle="grid", **keys).trials
    for row, recipe in zip(trials.itertuples(), trainer.recipes, strict=True):
        assert row.unfrozen_blocks == str(recipe.unfrozen_blocks)
        assert row.hidden_units == (recipe.hidden_units or (0,))[0]
        assert row.augmentation == recipe.augmentation
        if recipe.unfrozen_blocks:
            assert row.learning_rate == recipe.last_phase.learning_rate
            assert row.epochs_allowed == recipe.last_phase.epochs == 4


def test_hyperband_lets_the_best_train_for_longer(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"unfrozen_blocks": (2, "all"), "learning_rates": (0.001, 0.003, 0.01)}
    trials = study(tmp_path, Scripted(), oracle="hyperband", **keys).trials
    assert set(trials["epochs_allowed"]) == {2, 4}
    best = trials[trials["validation_loss"] == trials["validation_loss"].min()]
    assert list(best["epochs_allowed"]) == [2, 4]


def test_hyperband_in_a_space_smaller_than_its_first_round(tmp_path: Path) -> None:
    trials = study(tmp_path, Scripted(), oracle="hyperband", unfrozen_blocks=(2,)).trials
    assert list(trials["epochs_allowed"]) == [2, 2, 4]


def test_every_trial_has_the_seed_of_the_search(tmp_path: Path) -> None:
    trainer = Scripted()
    study(tmp_path, trainer, seed=6)
    assert set(trainer.seeds) == {6}


@ORACLES
def test_same_seed_gives_the_same_trials(tmp_path: Path, oracle: str) -> None:
    first, second = (
        without_seconds(study(tmp_path / name, Scripted(), oracle=oracle, max_trials=4).trials)
        for name in ("first", "second")
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_seed_changes_the_order(tmp_path: Path) -> None:
    orders = {
        tuple(study(tmp_path / str(seed), Scripted(), seed=seed).trials["validation_loss"])
        for seed in range(4)
    }
    assert len(orders) > 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
@ORACLES
def test_killed_search_goes_on_where_it_was(
    tmp_path: Path, oracle: str, stop: type[BaseException]
) -> None:
    whole = study(tmp_path / "whole", Scripted(), oracle=oracle, max_trials=5)
    seen: list[Trial] = []

    def kill(trial: Trial) -> None:
        seen.append(trial)
        if len(seen) == 2:
            raise stop("killed")

    first, second, folder = Scripted(), Scripted(), tmp_path / "killed"
    with pytest.raises(BaseException, match="killed"):
        study(folder, first, kill, oracle=oracle, max_trials=5)
    resumed = study(folder, second, oracle=oracle, max_trials=5)
    assert len(first.recipes) == 2
    assert not set(first.recipes) & set(second.recipes)
    pd.testing.assert_frame_equal(
        without_seconds(resumed.trials), without_seconds(whole.trials), check_exact=True
    )
    assert resumed.winner == whole.winner
    assert list(resumed.trials["seconds"][:2]) == [trial.seconds for trial in seen]


def test_finished_search_trains_nothing_again(tmp_path: Path) -> None:
    first = study(tmp_path, Scripted())
    trainer = Scripted(stop_after=0)
    again = study(tmp_path, trainer)
    pd.testing.assert_frame_equal(again.trials, first.trials, check_exact=True)


def test_half_written_files_of_the_tuner_do_not_matter(tmp_path: Path) -> None:
    first = study(tmp_path, Scripted())
    for path in (tmp_path / "keras_tuner").rglob("*.json"):
        path.write_text("")
    pd.testing.assert_frame_equal(study(tmp_path, Scripted(0)).trials, first.trials)


@pytest.mark.parametrize("finished", [0, 2])
def test_failing_trial_stops_the_search(tmp_path: Path, finished: int) -> None:
    trainer = Scripted(stop_after=finished)
    with pytest.raises(RuntimeError, match="the disk is full"):
        study(tmp_path, trainer)
    assert len(trainer.recipes) == finished


def test_each_trial_is_told(tmp_path: Path) -> None:
    told: list[Trial] = []
    trials = study(tmp_path, Scripted(), told.append).trials
    assert [trial.validation_loss for trial in told] == list(trials["validation_loss"])


def test_trial_is_scored_on_every_fold(tmp_path: Path) -> None:
    trainer = Scripted()
    trials = study(tmp_path, trainer, draws=FOLDS, oracle="grid").trials
    assert [len(draw.train) for draw in trainer.draws] == [0, 10, 50] * len(trials)
    # Of each size a hundredth is added to the loss: 0, 0.1 and 0.5.
    expected = [Scripted.loss(recipe) + 0.2 for recipe in trainer.recipes[::3]]
    np.testing.assert_allclose(trials["validation_loss"], expected)
    np.testing.assert_allclose(
        trials["validation_loss_se"], np.std([0, 0.1, 0.5], ddof=1) / np.sqrt(3)
    )
    assert set(trials["folds"]) == set(trials["epochs"]) == {3}


def test_kill_inside_a_trial_costs_one_fold(tmp_path: Path) -> None:
    whole = study(tmp_path / "whole", Scripted(), draws=FOLDS)
    folder, second = tmp_path / "killed", Scripted()
    with pytest.raises(RuntimeError, match="the disk is full"):
        study(folder, Scripted(stop_after=4), draws=FOLDS)
    resumed = study(folder, second, draws=FOLDS)
    assert len(second.recipes) == 3 * len(whole.trials) - 4
    pd.testing.assert_frame_equal(
        without_seconds(resumed.trials), without_seconds(whole.trials), check_exact=True
    )


def test_cuts_are_searched_with_the_depths_that_they_have(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"cuts": ("b", "d"), "unfrozen_blocks": (0, 1, 3, "all")}
    trainer = Scripted()
    trials = study(tmp_path, trainer, **keys, learning_rates=(0.01,)).trials
    tried = set(zip(trials["cut"], trials["unfrozen_blocks"], strict=True))
    assert tried == {
        *(("b", depth) for depth in ("0", "1", "all")),
        *(("d", depth) for depth in ("0", "1", "3", "all")),
    }
    assert [recipe.cut for recipe in trainer.recipes] == list(trials["cut"])
    assert list(trials["milliseconds_per_image"]) == [MILLISECONDS[cut] for cut in trials["cut"]]


def test_space_without_a_depth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="have a depth within one of the cuts b; got c:d"):
        study(tmp_path, Scripted(), cuts=("b",), unfrozen_blocks=("c:d",))


def test_decays_are_searched(tmp_path: Path) -> None:
    trainer = Scripted()
    trials = study(tmp_path, trainer, layer_decays=(0.5, 1.0), oracle="grid").trials
    assert len(trials) == 1 + 2 * 2 * 2
    assert trials["layer_decay"].isna().sum() == 1
    assert [recipe.layer_decay for recipe in trainer.recipes] == list(
        trials["layer_decay"].fillna(1.0)
    )


def test_choice_within_one_standard_error(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"choice": "one_standard_error", "unfrozen_blocks": (0, 2)}
    # Nothing unfrozen is 2.5 above the best; the standard error over folds is 0.15, then 2.6.
    result = study(tmp_path / "far", Scripted(), draws=FOLDS, **keys)
    assert result.winner.unfrozen_blocks == 2
    near = [Draw(np.arange(size), np.array([9])) for size in (0, 10, 800)]
    result = study(tmp_path / "near", Scripted(), draws=near, **keys)
    assert result.winner.unfrozen_blocks == 0
    assert result.trials["within_one_se"].sum() > 1


class LastFirst:
    """Trainings that are made in the reverse of the order in which they were begun."""

    def __init__(self, trainer: Scripted) -> None:
        self._trainer = cast(Trainer, trainer)
        self.begun: list[Training] = []
        self.most = 0

    def begin(self, training: Training) -> None:
        self.begun.append(training)
        self.most = max(self.most, len(self.begun))

    def wait(self, enough: Callable[[], bool]) -> None:
        while not enough():
            training = self.begun.pop()
            training.keep(training.score(self._trainer))


@ORACLES
def test_the_order_in_which_trials_end_changes_nothing(tmp_path: Path, oracle: str) -> None:
    """What a grid or chance asks for is begun at the start; of others the folds of one trial."""
    keys: dict[str, Any] = {"oracle": oracle, "max_trials": 5}
    expected = study(tmp_path / "one", Scripted(), draws=FOLDS, **keys)
    later = LastFirst(Scripted())
    space = settings(**keys)
    folder = tmp_path / "later"
    search = TwoPhaseTuner(later, BLOCKS, FOLDS, space, PHASE_2, folder)
    found = search.finish(MILLISECONDS.__getitem__)
    pd.testing.assert_frame_equal(without_seconds(found.trials), without_seconds(expected.trials))
    assert found.winner == expected.winner
    assert later.most == (15 if oracle in FORESEEABLE else 3)
    assert not later.begun


@pytest.mark.slow
def test_search_with_a_real_trainer_sees_no_image_outside_its_draw(
    tmp_path: Path,
    make_trainer: Callable[..., Trainer],
    images: LabelledImages,
    draw: Draw,
) -> None:
    """And its scores are those of the same recipe trained alone."""
    pixels = whole(images.pixels)
    pixels[24:] = 0
    other = LabelledImages(pixels, images.class_indices.copy(), 3)
    other.class_indices[24:] = 99
    config = settings(
        unfrozen_blocks=(0, 1, "block1:block2"), cuts=("top", "block2"), oracle="grid"
    )
    first, second = (
        TwoPhaseTuner(
            OneByOne(trainer),
            trainer.backbone.block_names,
            [draw],
            config,
            PHASE_2,
            tmp_path / name,
        ).finish(lambda cut: 1.0)
        for name, trainer in (("a", make_trainer()), ("b", make_trainer(labelled=other)))
    )
    pd.testing.assert_frame_equal(without_seconds(first.trials), without_seconds(second.trials))
    alone = make_trainer().train(first.winner, draw, config.seed)
    assert alone.validation_loss == first.trials["validation_loss"].min()
