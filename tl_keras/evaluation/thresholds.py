"""Thresholds of a calibrated score: by costs, for a recall, and of doubt for a review."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def cost_threshold(
    miss_cost: float,
    false_alarm_cost: float,
    share: float | None = None,
    calibrated_share: float | None = None,
) -> float:
    """The calibrated score from which on flagging is expected to cost less (Elkan 2001).

    Args:
        miss_cost: Of a positive photo that is not flagged, above 0.
        false_alarm_cost: Of another photo that is flagged, above 0.
        share: Of positive photos where the rule is used, 0..1 exclusive; None: as calibrated.
        calibrated_share: Share that the scores were calibrated for; needed with `share`.

    >>> cost_threshold(miss_cost=3, false_alarm_cost=1)
    0.25
    """
    odds = false_alarm_cost / miss_cost
    if share is not None and calibrated_share is not None:
        odds *= (1 - share) / share * calibrated_share / (1 - calibrated_share)
    return odds / (1 + odds)


@dataclass(frozen=True)
class RecallThreshold:
    """A threshold for a recall.

    Attributes:
        threshold: A score; a photo with that score or more is flagged.
        expected_recall: At least this, on average over draws of validation photos.
        positives: Validation photos of positive classes, or groups of them, that it rests on.
        positives_needed: As few would do for the recall asked for.
    """

    threshold: float
    expected_recall: float
    positives: int
    positives_needed: int


def recall_threshold(
    scores: NDArray[np.float64], weights: NDArray[np.float64], target: float
) -> RecallThreshold:
    """The highest threshold whose expected recall is at least the target.

    With n positive photos and one new one, each is the k-th smallest with the same probability: a
    threshold at the k-th smallest score misses the new one with at most k / (n + 1) (split
    conformal prediction, Vovk et al. 2005), so k is floor((n + 1) (1 - target)). Where photos come
    in groups, it is the groups that are exchangeable with a new one, and n is their number (Dunn,
    Wasserman and Ramdas 2023, "Distribution-free prediction sets for two-layer hierarchical
    models"). With too few
    photos for k = 1 it is the smallest score all the same, and `expected_recall` says what that
    gives.

    Args:
        scores: (n,), of positive photos that fitted nothing, n at least 1.
        weights: (n,), above 0; 1 for a photo that occurs once, or for a whole group.
        target: 0..1 exclusive.
    """
    # in case 1 / (1 - target) is a rounding error above a whole number
    slack = 1e-9
    n = weights.sum()
    place = math.floor((n + 1) * (1 - target) + slack)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) >= max(place, 1) - slack
    first = int(reached.argmax()) if reached.any() else 0
    return RecallThreshold(
        threshold=float(scores[order[first]]),
        expected_recall=float(1 - max(place, 1) / (n + 1)),
        positives=round(n),
        positives_needed=math.ceil(target / (1 - target) - slack),
    )


def cheapest_thresholds(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    weights: NDArray[np.float64],
    miss_cost: float,
    false_alarm_cost: float,
) -> NDArray[np.float64]:
    """Between which thresholds it would have cost least, for each row of weights.

    Any threshold between the scores of two neighbouring photos costs the same. Of several such
    gaps that cost the same it is the lowest.

    Args:
        scores: (n,), n at least 1.
        positive: bool (n,).
        weights: (resamples, n), of the photos.
        miss_cost: As in `cost_threshold`.
        false_alarm_cost: As in `cost_threshold`.

    Returns:
        (resamples, 2): the scores below and above the gap, or 0 or 1 beyond all of them.
    """
    order = np.argsort(scores, kind="stable")
    # cost of moving the threshold above a photo: a miss more, or a false alarm less
    steps = np.where(positive[order], miss_cost, -false_alarm_cost) * weights[:, order]
    costs = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(steps, axis=1)], axis=1)
    ordered = scores[order]
    # photos of one score cannot lie on both sides
    costs[:, 1:-1][:, ordered[1:] == ordered[:-1]] = np.inf
    place = costs.argmin(axis=1)
    below, above = np.append(0.0, ordered), np.append(ordered, 1.0)
    return np.stack([below[place], above[place]], axis=1)


def review_limit(
    doubt: NDArray[np.float64], weights: NDArray[np.float64], share: float
) -> float | None:
    """The doubt above which at most a share of the photos lies; None for a share of 0."""
    if share == 0:
        return None
    return float(np.quantile(doubt, 1 - share, weights=weights, method="inverted_cdf"))
