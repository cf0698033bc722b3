"""Figures with their 95% intervals, as JSON types."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.dependence import shared_groups
from tl_keras.evaluation.intervals import share_interval

Figure = dict[str, Any]


def proportion(hits: NDArray[np.bool_], groups: NDArray[np.integer] | None = None) -> Figure | None:
    """A share with its `share_interval`: `estimate`, `low`, `high`, `n`; None of nothing.

    Args:
        hits: bool (n,).
        groups: int (n,), the group of each; None where each is its own. Where any is shared the
            figure has `groups`, their number.
    """
    if len(hits) == 0:
        return None
    low, high = share_interval(hits, groups)
    figure = {"estimate": float(hits.mean()), "low": low, "high": high, "n": len(hits)}
    return figure | number_of_groups(groups)


def number_of_groups(groups: NDArray[np.integer] | None) -> Figure:
    """`groups`, how many different ones there are, where any is shared; else nothing."""
    if groups is None or shared_groups(groups, len(groups)) is None:
        return {}
    return {"groups": len(np.unique(groups))}


def around(estimate: float, draws: NDArray[np.float64]) -> Figure:
    """An estimate with the middle 95% of its resampled values: `estimate`, `low`, `high`."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "estimate": estimate,
        "low": min(float(low), estimate),
        "high": max(float(high), estimate),
    }
