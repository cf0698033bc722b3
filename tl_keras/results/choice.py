"""Which of an experiment's runs is handed over: what was advised, until validation clearly objects.

The lowest of several validation losses is a bad guide with few validation photos: it is the more
often luck, the more was tried, and early stopping flatters what fits most freely. The advice rests
on all labelled photos, cross-validated, so it stands until another strategy has a loss lower by
more than chance explains, and no lower accuracy (measured in results/reference/advice.csv, rules
"an experiment's choice" and "the lowest validation loss").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.evaluation.dependence import standard_error
from tl_keras.results.summary_tables import largest_size
from tl_keras.results.test_results import by_strategy, strategy_name
from tl_keras.strategy_table import STRATEGIES, names_where

# By how many standard errors another strategy must be better.
CLEARLY = 2.0


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
    def accuracy(self) -> float:
        return float(self.runs["validation_accuracy"].mean())

    @property
    def middle_run(self) -> str:
        ordered = self.runs.sort_values(["selection_loss", "seed"])["run_id"]
        return str(ordered.iloc[(len(ordered) - 1) // 2])


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
    losses: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray],
    advised: Callable[[Mapping[Any, Any]], bool],
) -> Choice:
    """Choose on validation photos alone, among the runs of the largest training size.

    What learns nothing from pixels is no candidate unless it is alone.

    Args:
        runs: as `runs.csv`.
        losses: by run_id, float (validation images,), of which `selection_loss` is the mean.
        groups: by run_id, (validation images,), the group of each of them.
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
    gain, error = _gain(best.runs, kept.runs, losses, groups)
    numbers = f"{best.loss:.3f} for {kept.loss:.3f}, standard error of the difference {error:.3f}"
    clearly = gain > CLEARLY * error
    # Probes are cautious: a lower loss may be surer answers and no better ones.
    if clearly and best.accuracy >= kept.accuracy:
        words = (
            f"{best.name} takes the place of {kept.name}, which was advised: its loss on "
            f"validation photos is lower by more than two standard errors ({numbers})"
        )
        return Choice(best.middle_run, kept.name, True, _sentence(words))
    but = "answers fewer of them correctly" if clearly else "by less than two standard errors"
    words = (
        f"{kept.name} is what was advised; {best.name} has a lower loss on validation photos, but "
        f"{but} ({numbers})"
    )
    return Choice(kept.middle_run, kept.name, False, _sentence(words))


def _gain(
    better: pd.DataFrame,
    other: pd.DataFrame,
    losses: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray],
) -> tuple[float, float]:
    """How much lower a loss is in the mean over images, and the standard error of that.

    Both strategies of a seed have the same validation images. The images of one group, and one
    image in several seeds, count as one observation (the cluster-robust standard error); one
    observation alone has an infinite one.
    """
    pairs = other[["seed", "run_id"]].merge(better[["seed", "run_id"]], on="seed")
    ids = list(zip(pairs["run_id_x"], pairs["run_id_y"], strict=True))
    differences = np.concatenate([losses[a] - losses[b] for a, b in ids])
    group = pd.factorize(np.concatenate([groups[a] for a, _ in ids]))[0]
    error = standard_error(differences, group)
    return float(differences.mean()), float("inf") if np.isnan(error) else error


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."
