"""Which of an experiment's runs is handed over: what was advised, until validation clearly objects.

The lowest of several validation losses is a bad guide with few validation photos: it is the more
often luck, the more was tried, and early stopping flatters what fits most freely. The advice rests
on all labelled photos, cross-validated, so it stands until another strategy has a loss lower by
more than chance explains, and no lower accuracy (measured in results/reference/advice.csv, rules
"an experiment's choice" and "the lowest validation loss"). Photos of a group count as one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from tl_keras.evaluation.dependence import effective_groups, standard_error
from tl_keras.results.summary_tables import largest_size
from tl_keras.results.test_results import by_strategy, strategy_name
from tl_keras.strategy_table import STRATEGIES, names_where

# A difference is clear where a 95% interval does not contain zero. With few groups their spread is
# known badly, and the quantile of Student's t says how badly: 2.4 standard errors with eight.
CLEAR = 0.975
# That holds for differences that are about normal. One that gains a little on most groups may lose
# much on few: a group of ten is missing from eight in four cases of ten, from four in two of three.
LEAST_GROUPS = 8
# Of sums of shares.
_ROUNDING = 1e-9
_PHOTOS = "photos"


@dataclass(frozen=True)
class Choice:
    """The run to explain, to decide with and to export.

    Attributes:
        run_id: of the chosen strategy's runs the one whose loss is in the middle.
        advised: name of the strategy that was advised; None where it was not trained.
        overruled: whether another one was chosen in its place.
        sentence: says so, and why.
    """

    run_id: str
    advised: str | None
    overruled: bool
    sentence: str


@dataclass(frozen=True)
class OnValidation:
    """What a run says of its validation photos.

    Attributes:
        losses: (images,), of which `selection_loss` is the mean.
        right: (images,), whether each is answered correctly, 0..1.
        groups: (images,), the group of each.
    """

    losses: np.ndarray
    right: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class _Strategy:
    name: str
    runs: pd.DataFrame

    @property
    def order(self) -> tuple[float, float]:
        """Mean loss, and of equals the one that trains the fewest parameters."""
        return self.loss, float(self.runs["trainable_parameters"].mean())

    @property
    def loss(self) -> float:
        return float(self.runs["selection_loss"].mean())

    @property
    def middle_run(self) -> str:
        ordered = self.runs.sort_values(["selection_loss", "seed"])["run_id"]
        return str(ordered.iloc[(len(ordered) - 1) // 2])


@dataclass(frozen=True)
class _Difference:
    """Between two strategies on the same photos; both of a seed have the same.

    Attributes:
        lower: (n,), by how much the loss of the first is lower.
        righter: (n,), by how much it is more often right, -1..1.
        groups: int (n,), number of the group; an image in several seeds has one, too.
        unit: what a group is.
    """

    lower: np.ndarray
    righter: np.ndarray
    groups: np.ndarray
    unit: str

    @classmethod
    def between(
        cls, one: pd.DataFrame, other: pd.DataFrame, validation: Mapping[str, OnValidation]
    ) -> "_Difference":
        """Of the runs of two strategies, by seed; what only one of them has does not count."""
        pairs = one[["seed", "run_id"]].merge(other[["seed", "run_id"]], on="seed")
        both = [
            (validation[a], validation[b])
            for a, b in zip(pairs["run_id_x"], pairs["run_id_y"], strict=True)
        ]
        alone = all(len(np.unique(a.groups)) == len(a.groups) for a, _ in both)
        return cls(
            np.concatenate([b.losses - a.losses for a, b in both]),
            np.concatenate([a.right.astype(float) - b.right for a, b in both]),
            pd.factorize(np.concatenate([a.groups for a, _ in both]))[0],
            _PHOTOS if alone else "groups of photos",
        )

    @property
    def count(self) -> int:
        """Groups."""
        return len(np.unique(self.groups))

    @cached_property
    def evenly_grouped(self) -> float:
        """How many groups of one size would weigh as evenly."""
        return effective_groups(np.bincount(self.groups).astype(np.float64))

    @cached_property
    def error(self) -> float:
        """Standard error of the mean loss difference, the cluster-robust one."""
        return standard_error(self.lower, self.groups)

    def objections(self) -> list[str]:
        """What keeps the first, whose loss is lower, from taking the place of the other."""
        if self.evenly_grouped < LEAST_GROUPS:
            uneven = f", which weigh as {self.evenly_grouped:.1f} of one size,"
            which = f"{self.count} {self.unit}{uneven * (self.evenly_grouped < self.count)}"
            return [f"{which} are too few to tell: it takes {LEAST_GROUPS}"]
        quantile = student_t.ppf(CLEAR, self.evenly_grouped - 1)
        by_group = np.bincount(self.groups, self.righter) / np.bincount(self.groups)
        found = {
            "by no more than chance explains": self.lower.mean() <= quantile * self.error,
            # surer answers that are no better lower a loss, too
            "it answers fewer of them correctly": self.righter.mean() < -_ROUNDING,
            # one large group may hold all that it answers better
            "it is less often right in the mean over groups": self.unit != _PHOTOS
            and by_group.mean() < -_ROUNDING,
        }
        return [words for words, holds in found.items() if holds]

    @property
    def numbers(self) -> str:
        """For a sentence."""
        error = "unknown" if np.isnan(self.error) else f"{self.error:.3f}"
        return f"standard error of the difference {error}, {self.count} {self.unit}"


def follows(advice: Mapping[str, Any], run: Mapping[Any, Any], last_block: str) -> bool:
    """Whether a run is what was advised; how deep to fine-tune is left to validation.

    Args:
        advice: as `advice.json`.
        run: a row of `runs.csv`.
        last_block: of the whole backbone.
    """
    cut = last_block if advice["cut"] == "top" else advice["cut"]
    chooses = STRATEGIES[advice["strategy"]].chooses_blocks
    return bool(run["strategy"] == advice["strategy"] and (chooses or run["cut"] == cut))


def choose_run(
    runs: pd.DataFrame,
    validation: Mapping[str, OnValidation],
    advised: Callable[[Mapping[Any, Any]], bool],
) -> Choice:
    """Choose on validation photos alone, among the runs of the largest training size.

    What learns nothing from pixels is no candidate unless it is alone.

    Args:
        runs: as `runs.csv`.
        validation: by run_id.
        advised: whether a row of `runs` is what was advised.
    """
    learned = runs[~runs["strategy"].isin(names_where(lambda spec: spec.trivial))]
    candidates = largest_size(learned if len(learned) else runs)
    strategies = [_Strategy(strategy_name(keys), rows) for keys, rows in by_strategy(candidates)]
    best = min(strategies, key=lambda strategy: strategy.order)  # the first of equals
    told = [s for s in strategies if advised(s.runs.iloc[0].to_dict())]
    if not told:
        words = f"{best.name} has the lowest loss on validation photos ({best.loss:.3f})"
        return Choice(best.middle_run, None, False, _sentence(words))
    kept = min(told, key=lambda strategy: strategy.order)
    if kept is best:
        words = (
            f"{kept.name} is what was advised, and nothing else has a lower loss on validation "
            f"photos ({kept.loss:.3f})"
        )
        return Choice(kept.middle_run, kept.name, False, _sentence(words))
    instead = f"{best.name} takes the place of {kept.name}, which was advised"
    if np.isinf(kept.loss):
        words = f"{instead}: that was trained to no loss that is a number"
        return Choice(best.middle_run, kept.name, True, _sentence(words))
    difference = _Difference.between(best.runs, kept.runs, validation)
    numbers = f"({best.loss:.3f} for {kept.loss:.3f}, {difference.numbers})"
    objections = difference.objections()
    if not objections:
        words = (
            f"{instead}: its loss on validation photos is lower by more than chance explains, and "
            f"it answers no fewer of them correctly {numbers}"
        )
        return Choice(best.middle_run, kept.name, True, _sentence(words))
    words = (
        f"{kept.name} is what was advised; {best.name} has a lower loss on validation photos, but "
        f"{' and '.join(objections)} {numbers}"
    )
    return Choice(kept.middle_run, kept.name, False, _sentence(words))


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."
