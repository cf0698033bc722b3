"""Any two strategies of the same size compared, and what it would take to tell them apart."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from tl_keras.evaluation.comparison import verdict
from tl_keras.results.test_results import TestResults, by_strategy, strategy_name
from tl_keras.strategy_table import REFERENCE

# The keys of a strategy and its runs.
Strategy = tuple[dict[str, Any], pd.DataFrame]

COLUMNS = (
    "train_per_class",
    "a",
    "a_unfrozen_blocks",
    "a_name",
    "b",
    "b_unfrozen_blocks",
    "b_name",
    "difference",
    "difference_low",
    "difference_high",
    "interval_method",
    "verdict",
    "sentence",
    "images_needed",
    "seeds_needed",
    "needed",
)


def comparison_table(runs: pd.DataFrame, results: TestResults) -> pd.DataFrame:
    """One row per pair of strategies of a training size, paired by seed and test image.

    Args:
        runs: as `runs.csv`.
        results: predictions of the same runs.

    Returns:
        The size; of both strategies its key, depth and name; test accuracy of a less that of b
        with its 95% interval; the verdict and its sentence; about how many test images or seeds
        (with folds: runs) would be needed to tell, missing where no number is known, and
        `needed`, a sentence on these where the verdict is "not distinguishable". Strategy a comes
        later in the runs than b, but feature extraction is always b, as in the summary.
    """
    by_size: dict[int | None, list[Strategy]] = {}
    for keys, group in by_strategy(runs):
        size = None if pd.isna(keys["train_per_class"]) else int(keys["train_per_class"])
        by_size.setdefault(size, []).append((keys, group))
    rows = [
        {"train_per_class": size, **_names("a", a), **_names("b", b), **compared}
        for size, strategies in by_size.items()
        for (b, runs_b), (a, runs_a) in map(_in_order, combinations(strategies, 2))
        if (compared := compare(runs_a, runs_b, results, strategy_name(a), strategy_name(b)))
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(
        dict.fromkeys(("train_per_class", "images_needed", "seeds_needed"), "Int64")
    )


def _in_order(pair: tuple[Strategy, Strategy]) -> tuple[Strategy, Strategy]:
    earlier, later = pair
    return (later, earlier) if later[0]["strategy"] == REFERENCE else pair


def compare(
    a: pd.DataFrame, b: pd.DataFrame, results: TestResults, name_a: str, name_b: str
) -> dict[str, object]:
    """The columns from `difference` to `needed` for two strategies; none without a common seed.

    Args:
        a: rows of `runs.csv` of one strategy, depth and size, one per seed.
        b: of another of the same size.
        results: predictions of these runs.
        name_a: for people.
        name_b: for people.
    """
    found = results.difference(a, b)
    if found is None:
        return {}
    difference, needed = found
    said = verdict(difference, name_a, name_b)
    unclear = said.outcome == "not distinguishable"
    return {
        "difference": difference.estimate,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "interval_method": difference.method,
        "verdict": said.outcome,
        "sentence": said.sentence,
        "images_needed": needed.images,
        "seeds_needed": needed.seeds,
        "needed": needed.sentence(difference) if unclear else None,
    }


def _names(side: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    return {
        side: keys["strategy"],
        f"{side}_unfrozen_blocks": keys["unfrozen_blocks"],
        f"{side}_name": strategy_name(keys),
    }
