"""Figures with their 95% intervals, as JSON types."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Figure = dict[str, Any]


def proportion(hits: NDArray[np.bool_]) -> Figure | None:
    """A share with its Wilson interval: `estimate`, `low`, `high`, `n`; None of nothing."""
    if len(hits) == 0:
        return None
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, method="wilson")
    low, high = float(found.low), float(found.high)
    return {"estimate": float(hits.mean()), "low": low, "high": high, "n": len(hits)}


def around(estimate: float, draws: NDArray[np.float64]) -> Figure:
    """An estimate with the middle 95% of its resampled values: `estimate`, `low`, `high`."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "estimate": estimate,
        "low": min(float(low), estimate),
        "high": max(float(high), estimate),
    }
