"""The strategies that are compared, as runs with a recipe each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tl_keras.augmentation_table import AUGMENTATIONS
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import ConfigError
from tl_keras.models.backbone import Depth
from tl_keras.models.pooling import MEAN
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.recipe import Recipe


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
        # A range has a colon, which some file systems refuse.
        blocks = str(self.unfrozen_blocks).replace(":", "-to-")
        depth = "" if self.unfrozen_blocks is None else f"-{blocks}"
        size = "all" if self.train_per_class is None else self.train_per_class
        return f"{self.strategy}{depth}-n{size}-s{self.seed}"


def plan_runs(config: ExperimentConfig, blocks: Sequence[str] | None = None) -> tuple[Run, ...]:
    """Every run of an experiment, in the order in which they are made.

    Args:
        config: of the experiment.
        blocks: names of those that can be unfrozen, once a searched cut is known.

    Raises:
        ConfigError: fine-tuning is to train none of these blocks.
    """
    depths: tuple[Depth, ...] = config.fine_tuning.unfrozen_blocks
    if blocks is not None:
        depths = fitting_depths(depths, blocks)
    asked = [name for name in config.strategies if STRATEGIES[name].asks_depths]
    if blocks is not None and not depths and asked:
        raise ConfigError(
            f"fine_tuning.unfrozen_blocks must have a depth below the cut at {blocks[-1]}, which "
            f"the probes chose; got {', '.join(map(str, config.fine_tuning.unfrozen_blocks))}. Add "
            'a number or "all", or set backbone.cut.'
        )
    return tuple(
        Run(strategy, seed, size, depth)
        for size in config.data.training_sizes
        for strategy in config.strategies
        for depth in (depths if strategy in asked else (None,))
        for seed in range(config.draws)
    )


def fitting_depths(depths: Sequence[Depth], blocks: Sequence[str]) -> tuple[Depth, ...]:
    """The depths that a backbone up to a cut has, each once.

    Args:
        depths: as in the configuration; numbers beyond the blocks are "all" of them, and ranges
            that end above the cut are left out.
        blocks: names from the input to the cut.
    """
    fitted: list[Depth] = []
    for depth in depths:
        if isinstance(depth, int):
            fitted.append(depth if depth <= len(blocks) else "all")
        elif depth == "all" or depth.partition(":")[2] in blocks:
            fitted.append(depth)
    return tuple(dict.fromkeys(fitted))


def recipes_for(
    run: Run, config: ExperimentConfig, cut: str | None = None, pooling: str = MEAN
) -> tuple[Recipe, ...]:
    """What to train for a run; of several recipes, validation chooses one.

    Args:
        run: of a strategy that is trained by steps and does not search.
        config: of the experiment.
        cut: the block whose output feeds the head; None is the last one. From scratch the whole
            network is trained all the same.
        pooling: the kind, of what the head reads.
    """
    training, from_scratch = config.training, not STRATEGIES[run.strategy].borrows
    chosen = training.augmentation
    recipe = Recipe(
        unfrozen_blocks="all" if from_scratch else run.unfrozen_blocks or 0,
        augmentation=chosen,
        hidden_units=config.head.hidden_units,
        last_phase=training.from_scratch if from_scratch else training.phase_2,
        from_scratch=from_scratch,
        cut=None if from_scratch else cut,
        layer_decay=1.0 if from_scratch else training.layer_decay,
        pooling=pooling,
    )
    levels = tuple(AUGMENTATIONS) if chosen == "search" else (chosen,)
    return tuple(replace(recipe, augmentation=level) for level in levels)
