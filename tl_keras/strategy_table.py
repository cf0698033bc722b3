"""The strategies that an experiment compares, as a table: facts alone, without TensorFlow.

Everything that asks what a strategy is asks its row. To add one: a row here, and a module beside
those in `tl_keras.experiment.strategies` that makes its runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StrategySpec:
    """A row of the table.

    Attributes:
        name: in configurations and tables.
        label: for people.
        trains: what is trained, in words.
        module: dotted path of what makes its runs, as `tl_keras.experiment.strategies` describes.
        borrows: whether it starts from the source weights.
        by_steps: whether it is trained by gradient steps, and so has epochs, augmentation and the
            class weights of the configuration.
        unfrozen: which blocks of the network train: "none"; "all"; "asked", one run for each depth
            of `fine_tuning.unfrozen_blocks`; or "found", by the search.
        chooses_blocks: whether it reads the blocks that cross-validation finds good, up to the cut.
        trivial: whether it learns nothing from pixels: it is no candidate for the choice and
            nothing to export.
        quick: whether it works on frozen features, so that parts of the training images cost
            seconds and give a learning curve.
        yardstick: whether the answer compares the choice, unless it is one, with its best depth.
        by_default: whether an experiment that names no strategies compares it.
        noun: for sentences, where the label is none.
    """

    name: str
    label: str
    trains: str
    module: str
    borrows: bool = True
    by_steps: bool = True
    unfrozen: Literal["none", "all", "asked", "found"] = "none"
    chooses_blocks: bool = False
    trivial: bool = False
    quick: bool = False
    yardstick: bool = False
    by_default: bool = False
    noun: str | None = None

    @property
    def takes_seconds(self) -> bool:
        """Whether a run of it is no training worth a worker of its own."""
        return self.quick or self.trivial

    @property
    def changes_backbone(self) -> bool:
        """Whether its backbone may be a source for other experiments."""
        return self.unfrozen != "none"

    @property
    def asks_depths(self) -> bool:
        """Whether it has runs for each depth that the configuration asks for."""
        return self.unfrozen == "asked"

    @property
    def searches(self) -> bool:
        """Whether a search finds what it trains, and how deep."""
        return self.unfrozen == "found"

    @property
    def has_depths(self) -> bool:
        """Whether its runs differ in how many blocks train, which their names then say."""
        return self.asks_depths or self.searches


_BY_STEPS = "tl_keras.experiment.strategies.by_steps"

STRATEGIES = {
    spec.name: spec
    for spec in (
        StrategySpec(
            "majority_class",
            "majority class",
            "nothing: every answer is the class shares",
            "tl_keras.experiment.strategies.majority_class",
            borrows=False,
            by_steps=False,
            trivial=True,
            by_default=True,
        ),
        StrategySpec(
            "from_scratch",
            "from scratch",
            "the whole network, from random weights",
            _BY_STEPS,
            borrows=False,
            unfrozen="all",
            yardstick=True,
            by_default=True,
            noun="training from scratch",
        ),
        StrategySpec(
            "linear_probe",
            "linear probe",
            "logistic regressions on the frozen blocks that cross-validation finds good, averaged",
            "tl_keras.experiment.strategies.linear_probe",
            by_steps=False,
            chooses_blocks=True,
            quick=True,
            yardstick=True,
            by_default=True,
        ),
        StrategySpec(
            "feature_extraction",
            "feature extraction",
            "a new head on the frozen backbone (phase 1)",
            _BY_STEPS,
            quick=True,
            yardstick=True,
            by_default=True,
        ),
        StrategySpec(
            "fine_tuning",
            "fine-tuning",
            "then the top blocks, or all, at a small rate (phase 2)",
            _BY_STEPS,
            unfrozen="asked",
            yardstick=True,
            by_default=True,
        ),
        StrategySpec(
            "searched",
            "searched",
            "the winner of a search over cut, blocks, rate, head and augmentation",
            _BY_STEPS,
            unfrozen="found",
        ),
    )
}

# What the others are compared with.
REFERENCE = "feature_extraction"
# What advice may be, from borrowing everything as it is to changing all of it.
PROBING, HEAD_ONLY, FINE_TUNING = "linear_probe", "feature_extraction", "fine_tuning"


def borrowing(names: tuple[str, ...]) -> bool:
    """Whether any of these strategies uses the source weights."""
    return any(STRATEGIES[name].borrows for name in names)


def names_where(wanted: Callable[[StrategySpec], bool]) -> tuple[str, ...]:
    """Names of the strategies whose row is wanted, in the order of the table."""
    return tuple(name for name, spec in STRATEGIES.items() if wanted(spec))
