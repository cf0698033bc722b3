"""From probabilities to decisions: a threshold, and a band of photos for a person to look at."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.calibration import calibrate

REVIEW, ACCEPT = "review", "accept"


@dataclass(frozen=True)
class DecisionRule:
    """How a decision follows from the probabilities that a model gives.

    Attributes:
        classes: Names in the order of the probabilities.
        temperature: As in `calibrate`.
        class_factors: As in `calibrate`, one per class.
        positive: The classes to be found; empty without a threshold.
        threshold: The score, 0..1, from which on a photo counts as positive; None: its answer is
            the most probable class.
        review_limit: A photo whose doubt is above it is for a person; None: no photo is.
    """

    classes: tuple[str, ...]
    temperature: float
    class_factors: tuple[float, ...]
    positive: tuple[str, ...] = ()
    threshold: float | None = None
    review_limit: float | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "DecisionRule":
        """The one that a `decision.json` describes."""
        rule = stored["rule"]
        lists = {name: tuple(rule[name]) for name in ("classes", "class_factors", "positive")}
        return cls(**{**rule, **lists})

    def calibrated(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities, (n, classes), of those that the model gives."""
        return calibrate(probabilities, self.temperature, np.array(self.class_factors))

    def confidence(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probability of the model's answer, its most probable class, (n,)."""
        answers = np.asarray(probabilities).argmax(axis=1)
        return self.calibrated(probabilities)[np.arange(len(answers)), answers]

    def score(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of the calibrated probabilities of the positive classes, (n,)."""
        return np.asarray(self.calibrated(probabilities)[:, self.is_positive].sum(axis=1))

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """Which classes are, (classes,)."""
        return np.array([name in self.positive for name in self.classes])

    def flagged(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each photo counts as positive, (n,); needs a threshold."""
        return self.score(probabilities) >= self._threshold()

    def doubt(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """What deciding without a look is expected to cost, (n,), up to a factor (Chow 1970).

        Without a threshold the probability that the answer is wrong. With one, for the less costly
        of both decisions, the probability that it is wrong times the cost that the threshold
        implies: of a miss 1 - threshold, of a false alarm the threshold. It is largest at it.
        """
        calibrated = self.calibrated(probabilities)
        if self.threshold is None:
            answers = np.asarray(probabilities).argmax(axis=1)
            others = np.arange(len(self.classes)) != answers[:, np.newaxis]
            return np.asarray((calibrated * others).sum(axis=1))
        score, rest = (
            calibrated[:, part].sum(axis=1) for part in (self.is_positive, ~self.is_positive)
        )
        return np.minimum(score * (1 - self.threshold), rest * self.threshold)

    def reviewed(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each photo is for a person, (n,)."""
        limit = math.inf if self.review_limit is None else self.review_limit
        return self.doubt(probabilities) > limit

    def band(self) -> tuple[float, float] | None:
        """Scores between which photos are for a person; None without threshold or review."""
        if self.review_limit is None or self.threshold is None or not 0 < self.threshold < 1:
            return None
        low = self.review_limit / (1 - self.threshold)
        high = 1 - self.review_limit / self.threshold
        return (low, high) if low < high else None

    def words(self) -> tuple[str, str]:
        """What photos from the threshold on are called, and what those below it.

        The class, where a side has one; else "not" and the other side's class; else "positive"
        and "negative". Without a threshold both are "accept".
        """
        if self.threshold is None:
            return ACCEPT, ACCEPT
        found = [name for name in self.classes if name in self.positive]
        rest = [name for name in self.classes if name not in self.positive]
        return _word(found, rest, "positive"), _word(rest, found, "negative")

    def decisions(self, probabilities: NDArray[np.floating]) -> list[str]:
        """A word for each photo: one of `words`, or "review"."""
        positive, negative = self.words()
        flagged = (
            np.zeros(len(probabilities), bool)
            if self.threshold is None
            else self.flagged(probabilities)
        )
        plain = np.where(flagged, positive, negative)
        return [str(word) for word in np.where(self.reviewed(probabilities), REVIEW, plain)]

    def _threshold(self) -> float:
        if self.threshold is None:
            raise ValueError("a rule without a threshold flags nothing; name positive classes.")
        return self.threshold


def _word(own: list[str], others: list[str], otherwise: str) -> str:
    if len(own) == 1:
        return own[0]
    return f"not {others[0]}" if len(others) == 1 else otherwise


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

    >>> cost_threshold(miss_cost=9, false_alarm_cost=1)
    0.1
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
        positives: Validation photos of positive classes that it rests on.
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
    conformal prediction, Vovk et al. 2005), so k is floor((n + 1) (1 - target)). With too few
    photos for k = 1 it is the smallest score all the same, and `expected_recall` says what that
    gives.

    Args:
        scores: (n,), of positive photos that fitted nothing, n at least 1.
        weights: (n,), above 0; 1 for a photo that occurs once.
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
