"""What worker processes make of an experiment: runs, and trainings of its search."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from tl_keras.data.splits import Draw
from tl_keras.engine.pool import Pool
from tl_keras.engine.tasks import Task
from tl_keras.experiment.make_run import make_run
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.duration import training_seconds
from tl_keras.experiment.strategies.making import making
from tl_keras.keras_settings import needed_keras
from tl_keras.results.store import Outcome
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.fold_score import FoldScore
from tl_keras.transfer.recipe import Recipe
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.search import Training


@dataclass(frozen=True)
class MakeRun:
    """Makes a run.

    Attributes:
        run: the strategy, its seed and size.
        winner: what a search has found for it; None where its strategy does not search.
    """

    run: Run
    winner: Recipe | None = None

    @needed_keras()
    def __call__(self, prepared: Prepared) -> Outcome:
        """Train and evaluate it."""
        if self.winner is not None:
            prepared.bench.winners[self.run] = self.winner
        return make_run(prepared, self.run)


@dataclass(frozen=True)
class Score:
    """Makes a training of a search."""

    training: Training

    @needed_keras()
    def __call__(self, prepared: Prepared) -> FoldScore:
        """Train and score it."""
        return self.training.score(prepared.bench.trainer)


@dataclass(frozen=True)
class PoolTrainings:
    """Trainings of a search, made by a pool.

    Attributes:
        prepared: the experiment.
        pool: of its workers.
    """

    prepared: Prepared
    pool: Pool

    def begin(self, training: Training) -> None:
        """Hand it in; its score is kept as soon as it is there."""
        recipe, draw = training.recipe, training.draw
        depth, epochs = recipe.unfrozen_blocks, recipe.last_phase.epochs
        config, sizes = self.prepared.config, (len(draw.train), len(draw.validation))
        self.pool.submit(
            Task(
                name=training.name,
                call=Score(training),
                done=training.keep,
                seconds=training_seconds(config, depth, epochs, *sizes),
                kind=_kind(recipe),
                key=_key(recipe, draw, training.seed),
            )
        )

    def wait(self, enough: Callable[[], bool]) -> None:
        """Return when it is enough."""
        self.pool.wait(enough)


def run_task(
    prepared: Prepared,
    run: Run,
    done: Callable[[Outcome], None],
    winner: Recipe | None = None,
) -> Task:
    """The task of a run.

    Args:
        prepared: the experiment.
        run: the strategy, its seed and size.
        done: hears what came of it.
        winner: as in `MakeRun`.
    """
    draw, spec = prepared.draw_of(run), STRATEGIES[run.strategy]
    config, sizes = prepared.config, (len(draw.train), len(draw.validation))
    recipes: tuple[Recipe, ...] = () if winner is None else (winner,)
    if spec.by_steps and not spec.searches:
        recipes = prepared.recipes_of(run, draw)
    return Task(
        name=prepared.name_of(run),
        call=MakeRun(run, winner),
        done=done,
        seconds=making(run.strategy).seconds(run, config, *sizes),
        kind=_kind(recipes[0]) if recipes else run.strategy,
        key=_key(recipes[0], draw, run.seed) if len(recipes) == 1 else None,
    )


def _kind(recipe: Recipe) -> Hashable:
    """What recipes have in common that are trained by one traced function."""
    return tuple(value for name, value in vars(recipe).items() if name != "last_phase")


def _key(recipe: Recipe, draw: Draw, seed: int) -> Hashable:
    return recipe, seed, draw.train.tobytes(), draw.validation.tobytes()
