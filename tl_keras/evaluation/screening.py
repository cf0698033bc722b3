"""How well photos to be found are told from the rest, with what is wrong counted in costs."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from tl_keras.evaluation.dependence import effective_size, shared_groups
from tl_keras.evaluation.figures import Figure, around, number_of_groups, proportion
from tl_keras.evaluation.variation import resample_images

# The group of each photo; None where each is its own.
Groups = NDArray[np.integer] | None


def rates(
    positive: NDArray[np.bool_], flagged: NDArray[np.bool_], groups: Groups = None
) -> dict[str, Figure | None]:
    """Recall, false-alarm rate and precision, each a `proportion`.

    Args:
        positive: bool (n,), the truth.
        flagged: bool (n,), the decision.
        groups: int (n,), the group of each; None where each is its own.
    """
    return {
        "recall": proportion(flagged[positive], _of(groups, positive)),
        "false_alarm_rate": proportion(flagged[~positive], _of(groups, ~positive)),
        "precision": proportion(positive[flagged], _of(groups, flagged)),
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
    costs: NDArray[np.float64],
    unseen: tuple[float, float],
    groups: Groups = None,
    resamples: int = 10_000,
) -> Figure:
    """Mean of `photo_costs` (or of a difference) per 100 photos, with its 95% interval.

    Args:
        costs: (n,), n at least 1.
        unseen: The lowest and the highest that a photo can cost: half an unseen photo of each
            keeps the interval from closing where all are alike (`tl_keras.evaluation.variation`).
        groups: As of `rates`.
        resamples: Of the bootstrap over photos.
    """
    mean = 100 * float(costs.mean())
    size = effective_size(costs, shared_groups(groups, len(costs)), unseen)
    generator = np.random.default_rng(0)
    draws = 100 * resample_images(costs[np.newaxis], unseen, 0.5, resamples, generator, size)
    return around(mean, draws)


def auroc(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], groups: Groups = None
) -> Figure | None:
    """Chance that a positive photo scores higher than another one; None where a group is empty.

    The 95% interval is the fifth method of Newcombe (2006), "Confidence intervals for an effect
    size measure based on the Mann-Whitney statistic. Part 2": it keeps a width where all pairs are
    in the right order. With groups it is that of as many photos as tell as much about how a photo
    of either kind ranks among those of the other (DeLong et al. 1988).

    Args:
        positive: bool (n,).
        scores: (n,).
        groups: As of `rates`.
    """
    if positive.all() or not positive.any():
        return None
    m, n = (
        effective_size(_ranks(sign * scores[part], sign * scores[~part]), _shared_by(groups, part))
        for part, sign in ((positive, 1), (~positive, -1))
    )
    found, z, half = float(roc_auc_score(positive, scores)), norm.ppf(0.975), (m + n) / 2

    def excess(area: float) -> float:
        spread = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + (half - 1) * spread) / (m * n)
        return float((found - area) ** 2 - z**2 * variance)

    # at 0 and 1 the variance vanishes, so that an estimate there is a root of its own
    low = 0.0 if found == 0 else float(brentq(excess, 0, min(found, 1 - 1e-9)))
    high = 1.0 if found == 1 else float(brentq(excess, max(found, 1e-9), 1))
    figure = {"estimate": found, "low": low, "high": high, "n": len(positive)}
    return figure | number_of_groups(groups)


def average_precision(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], groups: Groups = None
) -> Figure | None:
    """Mean precision over the recalls that are reached; None where a group is empty.

    The 95% interval takes the variance of Boyd, Eng and Page (2013), "Area under the
    precision-recall curve: point estimates and confidence intervals", that of a proportion of the
    positive photos, and solves for it as Wilson does, so that it keeps a width at 1. With groups
    these are as many as tell as much about the precision at the score of a positive photo.

    Args:
        positive: bool (n,).
        scores: (n,).
        groups: As of `rates`.
    """
    if positive.all() or not positive.any():
        return None
    own = scores[positive]
    found, z = float(average_precision_score(positive, scores)), float(norm.ppf(0.975))
    precisions = _as_high(own, own) / _as_high(own, scores)
    m = effective_size(precisions, _shared_by(groups, positive))
    centre = (found + z**2 / (2 * m)) / (1 + z**2 / m)
    half = z * np.sqrt(found * (1 - found) / m + z**2 / (4 * m**2)) / (1 + z**2 / m)
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    figure = {"estimate": found, "low": min(low, found), "high": max(high, found)}
    return figure | {"n": len(positive)} | number_of_groups(groups)


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


def _of(groups: Groups, rows: NDArray[np.bool_]) -> Groups:
    return None if groups is None else groups[rows]


def _shared_by(groups: Groups, rows: NDArray[np.bool_]) -> Groups:
    return shared_groups(_of(groups, rows), int(rows.sum()))


def _ranks(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the others that each score is above, a tie half, (n,)."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return np.asarray((below + up_to) / (2 * len(others)))


def _as_high(thresholds: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """How many of the scores are at least each threshold, (thresholds,)."""
    return np.asarray(len(scores) - np.searchsorted(np.sort(scores), thresholds, "left"))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
