"""Choosing whole groups of images for one side of a split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

_MOST_ATTEMPTS = 64
_GROUPS_TRIED_ALTOGETHER = 20_000


@dataclass(frozen=True)
class Wish:
    """What the chosen groups should hold, and what must stay behind.

    Attributes:
        images: (classes,), images to choose; as near as whole groups allow.
        at_least: (classes,), images to choose at the very least.
        leave_images: (classes,), images that must not be chosen.
        leave_groups: Groups with images of a class that must not be chosen, for every class.
    """

    images: Counts
    at_least: Counts
    leave_images: Counts
    leave_groups: int = 0


def random_order(size: int, *seeds: int) -> NDArray[np.intp]:
    """Shuffle 0..size-1 by the seeds: the same order with every version of numpy.

    The raw numbers of a bit generator are covered by numpy's promise of a stable stream; the
    methods of `Generator` are not.
    """
    keys = np.random.PCG64(np.random.SeedSequence(seeds)).random_raw(size)
    return np.argsort(keys, kind="stable")


def choose_groups(counts: Counts, wish: Wish, *seeds: int) -> NDArray[np.bool_]:
    """Choose groups at random so that their images come near a wish in every class.

    Takes groups in random order while that brings the total nearer to the wish, repeats this
    with other orders, and keeps the best. Groups of one image each are met exactly.

    Args:
        counts: (groups, classes), images of each group in each class.
        wish: What to choose. Where it is impossible, the choice that lacks least is returned.
        seeds: Whole numbers from 0; the same ones give the same choice.

    Returns:
        (groups,), True for the chosen ones.
    """
    attempts = max(4, min(_MOST_ATTEMPTS, _GROUPS_TRIED_ALTOGETHER // max(len(counts), 1)))
    best, best_faults = np.zeros(len(counts), bool), None
    for attempt in range(attempts):
        order = random_order(len(counts), *seeds, attempt)
        chosen = _attempt(counts, wish, order)
        faults = _faults(counts, wish, chosen)
        if best_faults is None or faults < best_faults:
            best, best_faults = chosen, faults
        if best_faults == (0, 0.0):
            break
    return best


def _attempt(counts: Counts, wish: Wish, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(counts), bool)
    if np.all(counts.sum(axis=1) == 1):
        ordered = counts[order]
        rank = np.cumsum(ordered, axis=0) * ordered
        chosen[order] = np.any((rank > 0) & (rank <= wish.images), axis=1)
        return chosen
    taken = np.zeros(counts.shape[1], np.int64)
    left, groups_left = counts.sum(axis=0), np.count_nonzero(counts, axis=0)
    for group in order:
        nearer = _distance(taken + counts[group], wish) < _distance(taken, wish)
        if nearer and _leaves_enough(counts[group], left, groups_left, wish):
            chosen[group] = True
            taken += counts[group]
            left -= counts[group]
            groups_left -= counts[group] > 0
    for group in order:
        lacking = taken < wish.at_least
        if not chosen[group] and np.any(counts[group][lacking]):
            chosen[group] = True
            taken += counts[group]
    for group in order:
        rest = taken - counts[group]
        spare = np.all(rest >= np.minimum(wish.at_least, taken))
        if chosen[group] and spare and _distance(rest, wish) < _distance(taken, wish):
            chosen[group] = False
            taken = rest
    return chosen


def _leaves_enough(group: Counts, left: Counts, groups_left: Counts, wish: Wish) -> bool:
    touched = group > 0
    images = left - group >= wish.leave_images
    groups = groups_left - 1 >= wish.leave_groups
    return bool(np.all((images & groups)[touched]))


def _distance(taken: Counts, wish: Wish) -> float:
    # Relative to what is wanted, so that a rare class counts as much as a common one.
    return float(np.sum(np.abs(taken - wish.images) / np.maximum(wish.images, 1)))


def _faults(counts: Counts, wish: Wish, chosen: NDArray[np.bool_]) -> tuple[int, float]:
    taken, left = counts[chosen].sum(axis=0), counts[~chosen].sum(axis=0)
    groups_left = np.count_nonzero(counts[~chosen], axis=0)
    lacking = (
        np.maximum(wish.at_least - taken, 0)
        + np.maximum(wish.leave_images - left, 0)
        + np.maximum(wish.leave_groups - groups_left, 0)
    )
    return int(lacking.sum()), _distance(taken, wish)
