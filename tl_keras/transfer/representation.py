"""What a linear probe reads and how hard it is held: chosen by the loss of held-out images.

Candidates differ in what is read of each feature map (`tl_keras.models.pooling`) and in the penalty
on the length of the coefficients. Each is cross-validated at every block, in the same folds, one
property after the other: on the blocks that are good in one of them alone, that one wins too often.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tl_keras.config.schema import ProbeConfig
from tl_keras.evaluation.dependence import standard_error
from tl_keras.models.pooling import AS_IT_IS, FLIP, MEAN, PLAIN, SPREAD, VIEWS, Pooling
from tl_keras.progress import counted
from tl_keras.transfer.probing import PENALTY, CrossValidated, Folds

# Divisions into folds that candidates are compared by.
LAPS = 1
# Nats that are worth no pass through a network, however sure they are.
NOTHING = 1e-3
# Features (n, features) by block, from input to output, as a pooling gives them.
Read = Callable[[Pooling], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Representation:
    """What a probe reads, and how hard it is held.

    Attributes:
        pooling: of feature maps.
        penalty: on the length of the coefficients of standardised features.
    """

    pooling: Pooling = PLAIN
    penalty: float = PENALTY


@dataclass(frozen=True)
class Candidates:
    """Representations to choose among; the first of each kind is the plainest.

    Attributes:
        kinds: of pooling.
        penalties: on the coefficients.
        views: of the images, keys of `VIEWS`.
    """

    kinds: tuple[str, ...] = (MEAN, SPREAD)
    penalties: tuple[float, ...] = (0.1, 1.0)
    views: tuple[str, ...] = (AS_IT_IS, FLIP)

    @classmethod
    def of(cls, config: ProbeConfig) -> "Candidates":
        """As an experiment asks, in whatever order it names them."""
        everything = cls()
        kinds = _asked(config.pooling, everything.kinds)
        penalties = _asked(config.penalty, everything.penalties)
        views = _asked(config.views, everything.views)
        return cls(
            tuple(kind for kind in (MEAN, SPREAD) if kind in kinds),
            tuple(sorted(penalties)),
            tuple(name for name in VIEWS if name in views),
        )

    @property
    def plainest(self) -> Representation:
        return Representation(Pooling(self.kinds[0], self.views[0]), self.penalties[0])

    @property
    def several(self) -> bool:
        """Whether there is a choice."""
        return any(len(options) > 1 for options in (self.kinds, self.penalties, self.views))

    def of_kinds(self, chosen: Representation) -> list[Representation]:
        """What was chosen so far, with every kind of pooling."""
        pooling = chosen.pooling
        return [replace(chosen, pooling=replace(pooling, kind=kind)) for kind in self.kinds]

    def of_penalties(self, chosen: Representation) -> list[Representation]:
        """What was chosen so far, with every penalty."""
        return [replace(chosen, penalty=penalty) for penalty in self.penalties]

    def of_views(self, chosen: Representation) -> list[Representation]:
        """What was chosen so far, with every set of views, those of fewest passes first."""
        pooling = chosen.pooling
        return [replace(chosen, pooling=replace(pooling, views=views)) for views in self.views]


PLAINEST = Candidates((MEAN,), (PENALTY,), (AS_IT_IS,))


@dataclass(frozen=True)
class Chosen:
    """A representation and what cross-validation says of it.

    Attributes:
        representation: the one to fit probes on.
        found: every block in this representation.
        folds: of the images that were used.
    """

    representation: Representation
    found: CrossValidated
    folds: Folds


def choose_representation(
    read: Read,
    labels: np.ndarray,
    groups: np.ndarray,
    candidates: Candidates,
    *,
    seed: int = 0,
    classes: int | None = None,
) -> Chosen | None:
    """Choose by the cross-entropy of held-out images, inside some labelled images.

    Args:
        read: the features of these images.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group are never on both sides of a division.
        candidates: to choose among.
        seed: of the divisions.
        classes: how many there are in all; None is those of the labels.

    Returns:
        None where a class lies in fewer than two groups.
    """
    folds = Folds.of(labels, groups, seed=seed, classes=classes)
    if folds is None:
        return None
    read = functools.cache(read)
    chosen = candidates.plainest
    if candidates.several:
        race = _Race(folds.first(LAPS), read)
        # What costs the same is chosen by the loss alone; further passes have to earn their time.
        chosen = race.lowest(candidates.of_kinds(chosen))
        chosen = race.lowest(candidates.of_penalties(chosen))
        chosen = race.cheapest(candidates.of_views(chosen))
    blocks = list(read(chosen.pooling).items())
    return Chosen(chosen, folds.cross_validated(blocks, chosen.penalty), folds)


def choose_kind(
    read: Read, labels: np.ndarray, groups: np.ndarray, *, seed: int = 0, classes: int | None = None
) -> str:
    """The kind of pooling that linear probes of everything would take, for what is no such probe.

    Args:
        read: the features of some labelled images.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group are never on both sides of a division.
        seed: of the division.
        classes: how many there are in all; None is those of the labels.

    Returns:
        The plainest where a class lies in fewer than two groups.
    """
    everything = Candidates()
    chosen = everything.plainest
    folds = Folds.of(labels, groups, seed=seed, classes=classes)
    if folds is not None:
        race = _Race(folds.first(LAPS), functools.cache(read))
        chosen = race.lowest(everything.of_kinds(chosen))
    return chosen.pooling.kind


def cheapest_within(
    losses: Sequence[np.ndarray], groups: np.ndarray | None, errors: float = 1.0
) -> tuple[int, np.ndarray, np.ndarray]:
    """The first whose mean loss is within some standard errors of the lowest.

    Args:
        losses: (images,) of each candidate, the cheapest first.
        groups: (images,); None where each image is its own.
        errors: how many.

    Returns:
        Its place; by how much each mean exceeds the lowest, and the standard error of that, over
        images or groups of them.
    """
    stacked = np.stack(losses)
    differences = stacked - stacked[stacked.mean(axis=1).argmin()]
    excess = differences.mean(axis=1)
    error = np.array([standard_error(values, groups) for values in differences])
    within = excess <= np.maximum(errors * np.nan_to_num(error, nan=np.inf), NOTHING)
    return int(within.argmax()), excess, error


@dataclass(frozen=True)
class _Race:
    """Candidates, by the average of the blocks that are good in each.

    Attributes:
        folds: some of those that the chosen one is measured by.
        read: the features.
        known: losses of candidates that have run.
    """

    folds: Folds
    read: Read
    known: dict[Representation, np.ndarray] = field(default_factory=dict)

    def lowest(self, options: Sequence[Representation]) -> Representation:
        """The one with the lowest loss."""
        means = [losses.mean() for losses in self._losses(options)]
        return options[int(np.argmin(means))]

    def cheapest(self, options: Sequence[Representation]) -> Representation:
        """The first whose loss is within one standard error of the lowest."""
        return options[cheapest_within(self._losses(options), self.folds.groups)[0]]

    def _losses(self, options: Sequence[Representation]) -> list[np.ndarray]:
        if len(options) == 1:
            return [np.zeros(len(self.folds.labels))]
        return [self._losses_of(option) for option in options]

    def _losses_of(self, option: Representation) -> np.ndarray:
        if option not in self.known:
            features = self.read(option.pooling)
            held_out = {
                name: self.folds.held_out(values, option.penalty)
                for name, values in counted(features.items(), len(features), "blocks")
            }
            self.known[option] = self.folds.losses(self.folds.average(held_out))
        return self.known[option]


def _asked(asked: Any, known: tuple[Any, ...]) -> tuple[Any, ...]:
    """The options that a key names: one, several, or those that are known."""
    if asked == "search":
        return known
    return asked if isinstance(asked, tuple) else (asked,)
