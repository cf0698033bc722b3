"""Numbers of a configuration that the images allow, found by trying them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tl_keras.config.schema import ExperimentConfig

# Where groups are kept whole, a trial may take a second.
_SECONDS = 1.0
_FRACTIONS = tuple(share / 100 for share in range(1, 100))

Fits = Callable[[ExperimentConfig], bool]


def numbers_that_fit(config: ExperimentConfig, fits: Fits) -> str:
    """A sentence on which numbers would do in place of those that ask for too many images.

    Each is the largest that was tried and does while all other keys stay.

    Args:
        config: that asks for too many.
        fits: whether the images can be divided as a configuration says.
    """
    deadline = time.monotonic() + _SECONDS
    candidates = {key: numbers for key, numbers in _candidates(config).items() if numbers}
    found = {}
    for key, numbers in candidates.items():
        largest = _largest(key, numbers, config, fits, deadline)
        if largest is not None:
            found[key] = largest
    if found:
        words = ", or ".join(f"{key} at most {number:g}" for key, number in found.items())
        return f"With these images one of these would do: {words} ({_sets(found, 1)})."
    together = _together(config, candidates, fits, deadline)
    if together:
        return f"With these images it takes several lower numbers together: {_sets(together)}."
    if time.monotonic() > deadline:
        return "A lower number may do; none was found in a second."
    return "No lower number would do: these classes need more images, or groups of them."


def _together(
    config: ExperimentConfig,
    candidates: Mapping[str, Sequence[float]],
    fits: Fits,
    deadline: float,
) -> dict[str, float | None]:
    """Several lower numbers that do together; none where even the least do not."""
    size, validation = "data.train_per_class", "data.validation_per_class"
    if size in candidates and config.data.validation_per_class is not None:
        own = _with_all(config, {validation: None})
        largest = _largest(size, candidates[size], own, fits, deadline)
        if largest is not None:
            return {size: largest, validation: None}
    least: dict[str, float | None] = {key: numbers[0] for key, numbers in candidates.items()}
    return least if least and fits(_with_all(config, least)) else {}


def _sets(numbers: Mapping[str, float | None], most: int | None = None) -> str:
    texts = {key: "null" if number is None else f"{number:g}" for key, number in numbers.items()}
    return " ".join(f"--set {key}={text}" for key, text in list(texts.items())[:most])


def _candidates(config: ExperimentConfig) -> dict[str, Sequence[float]]:
    """Rising numbers below those that are asked for, by key."""
    data, folds = config.data, config.estimate.folds
    size = max((size for size in data.training_sizes if size is not None), default=None)
    candidates: dict[str, Sequence[float]] = {}
    if size is not None:
        candidates["data.train_per_class"] = range(1, size)
    # without the key it is never more than that
    most = data.validation_per_class or min(size or 10, 10)
    candidates["data.validation_per_class"] = range(1, most)
    if folds is None:
        below = [share for share in _FRACTIONS if share < data.test_fraction]
        candidates["data.test_fraction"] = below
    else:
        candidates["estimate.folds"] = range(2, folds)
    return candidates


def _largest(
    key: str, candidates: Sequence[float], config: ExperimentConfig, fits: Fits, deadline: float
) -> float | None:
    """The largest of rising numbers that fits, where all below it do; None if none does."""
    first, end = 0, len(candidates)
    while first < end and time.monotonic() < deadline:
        middle = (first + end) // 2
        if fits(_with_all(config, {key: candidates[middle]})):
            first = middle + 1
        else:
            end = middle
    return candidates[first - 1] if first else None


def _with_all(config: ExperimentConfig, numbers: Mapping[str, Any]) -> ExperimentConfig:
    for key, number in numbers.items():
        section, _, name = key.partition(".")
        changed = getattr(config, section).model_copy(update={name: number})
        config = config.model_copy(update={section: changed})
    return config
