"""Numbers of a configuration that the images allow, found by trying them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tl_keras.config.schema import ExperimentConfig
from tl_keras.invocation import settings as given

# Where groups are kept whole, a trial may take a second.
_SECONDS = 2.0
_FRACTIONS = tuple(share / 100 for share in range(1, 100))
_SIZE, _VALIDATION = "data.train_per_class", "data.validation_per_class"
_TEST, _FOLDS = "data.test_fraction", "estimate.folds"

Fits = Callable[[ExperimentConfig], bool]
Numbers = Mapping[str, Any]


def numbers_that_fit(config: ExperimentConfig, fits: Fits, rarest: int) -> str:
    """A sentence on which numbers would do in place of those that ask for too many images.

    Each is the largest that does while all other keys stay; where time ran out before all larger
    ones were tried, it says so.

    Args:
        config: that asks for too many.
        fits: whether the images can be divided as a configuration says.
        rarest: images of the class that has the fewest.
    """
    trials = _Trials(config, fits, rarest, time.monotonic() + _SECONDS)
    found = {key: trials.largest(key) for key in trials.candidates}
    alone = {key: number for key, number in found.items() if number is not None}
    if alone:
        words = ", or ".join(f"{key} {number}" for key, number in alone.items())
        which = "one of these" if len(alone) > 1 else "this"
        first = next(iter(alone))
        sets = trials.settings({first: alone[first].value})
        return f"With these images {which} would do: {words} ({sets})."
    together = next(trials.together(), None)
    if together:
        sets = trials.settings(together)
        return f"With these images it takes several lower numbers together: {sets}."
    if trials.over:
        return f"A lower number may do; none was found in {_SECONDS:g} seconds."
    return "No lower number would do: these classes need more images, or groups of them."


@dataclass(frozen=True)
class _Largest:
    """A number that does, and whether all larger ones were tried."""

    value: float
    known: bool

    def __str__(self) -> str:
        return f"at most {self.value:g}" if self.known else f"{self.value:g}, perhaps more"


@dataclass(frozen=True)
class _Trials:
    """Other numbers in a configuration, tried until time is over."""

    config: ExperimentConfig
    fits: Fits
    rarest: int
    deadline: float

    @property
    def over(self) -> bool:
        return time.monotonic() > self.deadline

    @property
    def candidates(self) -> dict[str, Sequence[float]]:
        """Rising numbers below those that are asked for, by key."""
        data, folds = self.config.data, self.config.estimate.folds
        size = max((size for size in data.training_sizes if size is not None), default=None)
        # without the key it is never more than that
        most = data.validation_per_class or min(size or 10, 10)
        below: dict[str, Sequence[float]] = {
            _SIZE: range(1, min(size or 1, self.rarest)),
            _VALIDATION: range(1, min(most, self.rarest)),
        }
        if folds is None:
            below[_TEST] = [share for share in _FRACTIONS if share < data.test_fraction]
        else:
            below[_FOLDS] = range(2, min(folds, self.rarest + 1))
        return {key: numbers for key, numbers in below.items() if numbers}

    def largest(self, key: str, others: Numbers | None = None) -> _Largest | None:
        """The largest number of a key that fits beside others; None if none does."""
        numbers, others = self.candidates[key], others or {}

        def fit(place: int) -> bool:
            return self.fits(_with_all(self.config, {**others, key: numbers[place]}))

        first, end = 0, len(numbers)
        while first < end and not self.over:
            middle = (first + end) // 2
            first, end = (middle + 1, end) if fit(middle) else (first, middle)
        # With whole groups a number may do although a smaller one does not.
        for place in reversed(range(first, len(numbers))):
            if self.over:
                return _Largest(numbers[first - 1], known=False) if first else None
            if fit(place):
                return _Largest(numbers[place], known=True)
        return _Largest(numbers[first - 1], known=True) if first else None

    def settings(self, numbers: Numbers) -> str:
        """To paste; of a list of training sizes also with those that fit."""
        asked = self.config.data.train_per_class
        sizes = asked if isinstance(asked, tuple) and _SIZE in numbers else ()
        for end in range(len(sizes), 0, -1):
            some = {**numbers, _SIZE: sizes[:end]}
            if self.fits(_with_all(self.config, some)):
                return f"{given(numbers)}; of the sizes asked for these fit: {given(some)}"
        return given(numbers)

    def together(self) -> Iterator[dict[str, Any]]:
        """Several numbers that do together: first with as much to test on as was asked for."""
        candidates = self.candidates
        own = {} if self.config.data.validation_per_class is None else {_VALIDATION: None}
        if own:
            yield from self._with_a_size(own)
        least = own | ({_SIZE: 1} if _SIZE in candidates else {})
        for key in (_TEST, _FOLDS):
            if key in candidates and (found := self.largest(key, least)):
                yield from self._with_a_size(own | {key: found.value})

    def _with_a_size(self, others: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """These numbers, and the largest training size beside them."""
        if _SIZE not in self.candidates:
            if self.fits(_with_all(self.config, others)):
                yield others
        elif found := self.largest(_SIZE, others):
            yield {_SIZE: found.value} | others


def _with_all(config: ExperimentConfig, numbers: Numbers) -> ExperimentConfig:
    for key, number in numbers.items():
        section, _, name = key.partition(".")
        changed = getattr(config, section).model_copy(update={name: number})
        config = config.model_copy(update={section: changed})
    return config
