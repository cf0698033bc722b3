"""The strategies that are compared, as runs with a recipe each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tl_keras.config.schema import ExperimentConfig
from tl_keras.models.classifier import Depth
from tl_keras.transfer.training import Recipe

AUGMENTATIONS = ("none", "light", "strong")


@dataclass(frozen=True)
class Run:
    """One strategy with one seed and one training size.

    Attributes:
        strategy: as in the configuration.
        seed: of the draw of images and of the training.
        train_per_class: training images per class; None is all.
        unfrozen_blocks: the depth asked for, for fine_tuning only.
    """

    strategy: str
    seed: int
    train_per_class: int | None
    unfrozen_blocks: Depth | None = None

    @property
    def run_id(self) -> str:
        """Unique in its experiment, and a valid folder name."""
        depth = "" if self.unfrozen_blocks is None else f"-{self.unfrozen_blocks}"
        size = "all" if self.train_per_class is None else self.train_per_class
        return f"{self.strategy}{depth}-n{size}-s{self.seed}"


def plan_runs(config: ExperimentConfig, blocks: int | None = None) -> tuple[Run, ...]:
    """Every run of an experiment, in the order in which they are made.

    Args:
        config: of the experiment.
        blocks: that can be unfrozen, once a searched cut is known.
    """
    depths = fitting_depths(config.fine_tuning.unfrozen_blocks, blocks)
    return tuple(
        Run(strategy, seed, size, depth)
        for size in config.data.training_sizes
        for strategy in config.strategies
        for depth in (depths if strategy == "fine_tuning" else (None,))
        for seed in range(config.seeds)
    )


def fitting_depths(depths: Sequence[Depth], blocks: int | None) -> tuple[Depth, ...]:
    """The depths that a backbone of so many blocks has, each once; deeper ones are "all" of it."""
    if blocks is None:
        return tuple(depths)
    fitted: list[Depth] = ["all" if d == "all" or d > blocks else d for d in depths]
    return tuple(dict.fromkeys(fitted))


def recipes_for(run: Run, config: ExperimentConfig, winner: Recipe | None) -> tuple[Recipe, ...]:
    """What to train for a run; of several recipes, validation chooses one.

    Args:
        run: any but majority_class and linear_probe, which are not trained by steps.
        config: of the experiment.
        winner: of the search, for the strategy searched.
    """
    if run.strategy == "searched":
        if winner is None:
            raise ValueError("The strategy searched needs the search's winner")
        return (winner,)
    training = config.training
    from_scratch = run.strategy == "from_scratch"
    chosen = training.augmentation
    recipe = Recipe(
        unfrozen_blocks="all" if from_scratch else run.unfrozen_blocks or 0,
        augmentation=chosen,
        hidden_units=config.head.hidden_units,
        last_phase=training.from_scratch if from_scratch else training.phase_2,
        from_scratch=from_scratch,
    )
    levels = AUGMENTATIONS if chosen == "search" else (chosen,)
    return tuple(replace(recipe, augmentation=level) for level in levels)
