"""From probabilities to decisions: a rule with a threshold, photos for a person, and strangers.

All of it is computed by `tl_keras.evaluation.exact_softmax`, so that an exported graph decides as
this does, on the border too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.exact_softmax import NUMPY, Arithmetic, exact_calibrated, exact_sum

REVIEW, ACCEPT, UNKNOWN = "review", "accept", "unknown"

# No doubt: what is much smaller some processors take for 0.
_LEAST_DOUBT = np.float32(1e-30)


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
        stranger_share: A photo is unknown where the share of photos like the labelled ones that
            are as unlike them is below this; 0: no photo is.
    """

    classes: tuple[str, ...]
    temperature: float
    class_factors: tuple[float, ...]
    positive: tuple[str, ...] = ()
    threshold: float | None = None
    review_limit: float | None = None
    stranger_share: float = 0.0

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "DecisionRule":
        """The one that a `decision.json` describes."""
        rule = stored["rule"]
        lists = {name: tuple(rule[name]) for name in ("classes", "class_factors", "positive")}
        return cls(**{**rule, **lists})

    def calibrated(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities, (n, classes), of those that the model gives."""
        return np.asarray(self._calibrated(_narrow(probabilities)), np.float64)

    def confidence(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probability of the model's answer, its most probable class, (n,)."""
        return np.asarray(self.judged(_narrow(probabilities))[0], np.float64)

    def score(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of the calibrated probabilities of the positive classes, (n,)."""
        calibrated = self._calibrated(_narrow(probabilities))
        return np.asarray(_sum_of(calibrated, self.is_positive), np.float64)

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """Which classes are, (classes,)."""
        return np.array([name in self.positive for name in self.classes])

    def flagged(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each photo counts as positive, (n,); needs a threshold."""
        if self.threshold is None:
            raise ValueError("a rule without a threshold flags nothing; name positive classes.")
        return self.score(probabilities) >= self.threshold

    def doubt(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """What deciding without a look is expected to cost, (n,), up to a factor (Chow 1970).

        Without a threshold the probability that the answer is wrong. With one, for the less costly
        of both decisions, the probability that it is wrong times the cost that the threshold
        implies: of a miss 1 - threshold, of a false alarm the threshold. It is largest at it.
        """
        given = _narrow(probabilities)
        return np.asarray(self._doubt(given, self._calibrated(given), NUMPY), np.float64)

    def reviewed(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each photo is for a person, (n,)."""
        limit = math.inf if self.review_limit is None else self.review_limit
        return self.doubt(probabilities) > limit

    def unknown(self, familiar: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each photo is taken for a stranger, (n,), by its p-value of being like others."""
        return ~self._known(_narrow(familiar))

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

    @property
    def names(self) -> tuple[str, str, str, str]:
        """The words of the decisions that `judged` numbers: those of `words`, review, unknown."""
        positive, negative = self.words()
        return negative, positive, REVIEW, UNKNOWN

    def decisions(
        self,
        probabilities: NDArray[np.floating],
        familiar: NDArray[np.floating] | None = None,
    ) -> list[str]:
        """A word for each photo, one of `names`.

        Args:
            probabilities: (n, classes).
            familiar: (n,), 0..1, low for photos unlike the labelled ones; None where the model
                does not say, which makes none unknown.
        """
        unlike = None if familiar is None else _narrow(familiar)
        return [self.names[each] for each in self.judged(_narrow(probabilities), unlike)[1]]

    def judged(
        self, probabilities: Any, familiar: Any | None = None, library: Arithmetic = NUMPY
    ) -> tuple[Any, Any]:
        """As `confidence` and `decisions` say, by the operations of a library.

        Args:
            probabilities: float32 (n, classes).
            familiar: float32 (n,), or None.
            library: of these.

        Returns:
            Confidences, float32 (n,), and the places of the decisions in `names`, int32 (n,). A
            stranger is unknown, whatever else holds; a photo for a person is not flagged.
        """
        where, calibrated = library.where, self._calibrated(probabilities, library)
        confidence = exact_sum(where(self._answered(probabilities, library), calibrated, 0.0))
        threshold = math.inf if self.threshold is None else self.threshold
        limit = math.inf if self.review_limit is None else self.review_limit
        flagged = _sum_of(calibrated, self.is_positive) >= _rounded_up(threshold)
        reviewed = self._doubt(probabilities, calibrated, library) > -_rounded_up(-limit)
        decision = where(reviewed, np.int32(2), where(flagged, np.int32(1), np.int32(0)))
        if familiar is not None and self.stranger_share > 0:
            decision = where(self._known(familiar), decision, np.int32(3))
        return confidence, decision

    def _known(self, familiar: Any) -> Any:
        return familiar >= _rounded_up(self.stranger_share)

    def _calibrated(self, probabilities: Any, library: Arithmetic = NUMPY) -> Any:
        factors = np.array(self.class_factors)
        return exact_calibrated(probabilities, self.temperature, factors, library)

    def _answered(self, probabilities: Any, library: Arithmetic) -> Any:
        """Which class is the most probable one, (n, classes)."""
        places = library.first_largest(probabilities)[:, None]
        return places == np.arange(len(self.classes), dtype=np.int32)

    def _doubt(self, probabilities: Any, calibrated: Any, library: Arithmetic) -> Any:
        if self.threshold is None:
            answered = self._answered(probabilities, library)
            return exact_sum(library.where(answered, 0.0, calibrated))
        miss = _sum_of(calibrated, self.is_positive) * np.float32(1 - self.threshold)
        alarm = _sum_of(calibrated, ~self.is_positive) * np.float32(self.threshold)
        doubt = library.where(miss < alarm, miss, alarm)
        return library.where(doubt > _LEAST_DOUBT, doubt, 0.0)


def _narrow(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _sum_of(calibrated: Any, classes: NDArray[np.bool_]) -> Any:
    return exact_sum(calibrated * classes.astype(np.float32))


def _rounded_up(border: float) -> np.float32:
    """The least 32-bit number that is no less: what reaches it reaches the border.

    Numbers that some processors take for 0 are left out.
    """
    nearest, smallest = np.float32(border), np.finfo(np.float32).smallest_normal
    if abs(border) < smallest:
        return smallest if border > 0 else np.float32(0)
    return nearest if float(nearest) >= border else np.nextafter(nearest, np.float32(np.inf))


def _word(own: list[str], others: list[str], otherwise: str) -> str:
    if len(own) == 1:
        # a class of a name that stands for something else here
        return f"class {own[0]}" if own[0] in (REVIEW, UNKNOWN) else own[0]
    return f"not {others[0]}" if len(others) == 1 else otherwise
