"""From probabilities to decisions: a rule with a threshold and a band of photos for a person."""

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
