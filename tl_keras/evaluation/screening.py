"""How well photos to be found are told from the rest, with what is wrong counted in costs."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from tl_keras.evaluation.figures import Figure, around, proportion
from tl_keras.evaluation.variation import resample_images


def rates(positive: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> dict[str, Figure | None]:
    """Recall, false-alarm rate and precision, each a `proportion`.

    Args:
        positive: bool (n,), the truth.
        flagged: bool (n,), the decision.
    """
    return {
        "recall": proportion(flagged[positive]),
        "false_alarm_rate": proportion(flagged[~positive]),
        "precision": proportion(positive[flagged]),
    }


def photo_costs(
    positive: NDArray[np.bool_],
    flagged: NDArray[np.bool_],
    miss_cost: float,
    false_alarm_cost: float,
    share: float | None = None,
) -> NDArray[np.float64]:
    """What the decision on each photo costs, (n,); their mean is the expected cost of a photo.

    Args:
        positive: bool (n,), the truth.
        flagged: bool (n,), the decision.
        miss_cost: Of a positive photo that is not flagged.
        false_alarm_cost: Of another that is.
        share: Of positive photos where the decision is made; None: as here.
    """
    costs = np.where(positive, ~flagged * miss_cost, flagged * false_alarm_cost)
    here = positive.mean()
    if share is None or here in (0, 1):
        return np.asarray(costs, np.float64)
    return np.asarray(costs * np.where(positive, share / here, (1 - share) / (1 - here)))


def cost_per_100(
    costs: NDArray[np.float64], unseen: tuple[float, float], resamples: int = 10_000
) -> Figure:
    """Mean of `photo_costs` (or of a difference) per 100 photos, with its 95% interval.

    Args:
        costs: (n,), n at least 1.
        unseen: The lowest and the highest that a photo can cost: half an unseen photo of each
            keeps the interval from closing where all are alike (`tl_keras.evaluation.variation`).
        resamples: Of the bootstrap over photos.
    """
    mean = 100 * float(costs.mean())
    generator = np.random.default_rng(0)
    draws = 100 * resample_images(costs[np.newaxis], unseen, 0.5, resamples, generator)
    return around(mean, draws)


def auroc(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> Figure | None:
    """Chance that a positive photo scores higher than another one; None where a group is empty.

    The 95% interval is the fifth method of Newcombe (2006), "Confidence intervals for an effect
    size measure based on the Mann-Whitney statistic. Part 2": it keeps a width where all pairs are
    in the right order.

    Args:
        positive: bool (n,).
        scores: (n,).
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) == 0:
        return None
    found, z, half = float(roc_auc_score(positive, scores)), norm.ppf(0.975), (m + n) / 2

    def excess(area: float) -> float:
        spread = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + (half - 1) * spread) / (m * n)
        return float((found - area) ** 2 - z**2 * variance)

    # at 0 and 1 the variance vanishes, so that an estimate there is a root of its own
    low = 0.0 if found == 0 else float(brentq(excess, 0, min(found, 1 - 1e-9)))
    high = 1.0 if found == 1 else float(brentq(excess, max(found, 1e-9), 1))
    return {"estimate": found, "low": low, "high": high, "n": m + n}


def average_precision(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> Figure | None:
    """Mean precision over the recalls that are reached; None where a group is empty.

    The 95% interval takes the variance of Boyd, Eng and Page (2013), "Area under the
    precision-recall curve: point estimates and confidence intervals", that of a proportion of the
    positive photos, and solves for it as Wilson does, so that it keeps a width at 1.

    Args:
        positive: bool (n,).
        scores: (n,).
    """
    m = int(positive.sum())
    if m in (0, len(positive)):
        return None
    found, z = float(average_precision_score(positive, scores)), float(norm.ppf(0.975))
    centre = (found + z**2 / (2 * m)) / (1 + z**2 / m)
    half = z * np.sqrt(found * (1 - found) / m + z**2 / (4 * m**2)) / (1 + z**2 / m)
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return {"estimate": found, "low": min(low, found), "high": max(high, found), "n": len(positive)}


def threshold_table(
    positive: NDArray[np.bool_],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    miss_cost: float,
    false_alarm_cost: float,
    share: float | None = None,
) -> pd.DataFrame:
    """What every threshold gives, a row each.

    Args:
        positive: bool (n,).
        scores: (n,).
        weights: (n,), of the photos.
        thresholds: A photo with that score or more is flagged.
        miss_cost: As in `photo_costs`.
        false_alarm_cost: As in `photo_costs`.
        share: As in `photo_costs`; None is the share among the weighted photos.

    Returns:
        Columns `threshold`, `recall`, `false_alarm_rate`, `precision`, `cost_per_100`; NaN where
        undefined. Precision is that among these photos.
    """
    positives, others = weights * positive, weights * ~positive
    common = positives.sum() / weights.sum() if share is None else share
    rows = []
    for threshold in thresholds:
        flagged = scores >= threshold
        hits, alarms = float(positives[flagged].sum()), float(others[flagged].sum())
        recall, rate = _ratio(hits, positives.sum()), _ratio(alarms, others.sum())
        cost = common * (1 - recall) * miss_cost + (1 - common) * rate * false_alarm_cost
        rows.append((threshold, recall, rate, _ratio(hits, hits + alarms), 100 * cost))
    columns = ["threshold", "recall", "false_alarm_rate", "precision", "cost_per_100"]
    return pd.DataFrame(rows, columns=columns)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
