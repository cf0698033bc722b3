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
        counts: (groups, classes), images of each group in each class; none is chosen without any.
        wish: What to choose. Where it is impossible, the choice that lacks least is returned.
        seeds: Whole numbers from 0; the same ones give the same choice.

    Returns:
        (groups,), True for the chosen ones.
    """
    attempts = max(4, min(_MOST_ATTEMPTS, _GROUPS_TRIED_ALTOGETHER // max(len(counts), 1)))
    if np.all(counts.sum(axis=1) <= 1):
        # another order would choose as many of each class
        return _of_one_image(counts, wish, random_order(len(counts), *seeds, 0))
    best, least = np.zeros(len(counts), bool), None
    # the first order often does
    for some in (range(1), range(1, attempts)):
        orders = np.stack([random_order(len(counts), *seeds, attempt) for attempt in some])
        chosen = _chosen(counts, wish, orders)
        lacking, distance = _faults(counts, wish, chosen)
        first = np.lexsort((distance, lacking))[0]
        faults = int(lacking[first]), float(distance[first])
        if least is None or faults < least:
            best, least = chosen[first], faults
        if least == (0, 0.0):
            break
    return best


def _of_one_image(counts: Counts, wish: Wish, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(counts), bool)
    ordered = counts[order]
    rank = np.cumsum(ordered, axis=0) * ordered
    chosen[order] = np.any((rank > 0) & (rank <= wish.images), axis=1)
    return chosen


def _chosen(counts: Counts, wish: Wish, orders: NDArray[np.intp]) -> NDArray[np.bool_]:
    """The groups that each of some orders, (orders, groups), chooses; (orders, groups)."""
    chosen, each = np.zeros(orders.shape, bool), np.arange(len(orders))
    taken = np.zeros((len(orders), counts.shape[1]), np.int64)
    left = np.tile(counts.sum(axis=0), (len(orders), 1))
    groups_left = np.tile(np.count_nonzero(counts, axis=0), (len(orders), 1))
    away = _distance(taken, wish)
    for group in orders.T:
        nearer = _distance(taken + counts[group], wish) < away
        if not nearer.any():
            continue
        take = nearer & _leaves_enough(counts[group], left, groups_left, wish)
        chosen[each, group] = take
        moved = counts[group] * take[:, np.newaxis]
        taken += moved
        left -= moved
        groups_left -= moved > 0
        away = _distance(taken, wish)
    for group in orders.T:
        lacking = taken < wish.at_least
        if not lacking.any():
            break
        take = ~chosen[each, group] & np.any((counts[group] > 0) & lacking, axis=1)
        chosen[each, group] |= take
        taken += counts[group] * take[:, np.newaxis]
    for group in orders.T:
        if not chosen[each, group].any():
            continue
        rest = taken - counts[group]
        spare = np.all(rest >= np.minimum(wish.at_least, taken), axis=1)
        drop = chosen[each, group] & spare & (_distance(rest, wish) < _distance(taken, wish))
        chosen[each, group] &= ~drop
        taken = np.where(drop[:, np.newaxis], rest, taken)
    return chosen


def _leaves_enough(
    group: Counts, left: Counts, groups_left: Counts, wish: Wish
) -> NDArray[np.bool_]:
    images = left - group >= wish.leave_images
    groups = groups_left - 1 >= wish.leave_groups
    return np.asarray(np.all((images & groups) | (group == 0), axis=1))


def _distance(taken: Counts, wish: Wish) -> NDArray[np.float64]:
    # Relative to what is wanted, so that a rare class counts as much as a common one.
    return np.asarray(np.sum(np.abs(taken - wish.images) / np.maximum(wish.images, 1), axis=1))


def _faults(
    counts: Counts, wish: Wish, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What each choice, (choices, groups), lacks, and how far it is from the wish."""
    taken = chosen @ counts
    groups_left = ~chosen @ (counts > 0).astype(np.int64)
    lacking = (
        np.maximum(wish.at_least - taken, 0)
        + np.maximum(wish.leave_images - (counts.sum(axis=0) - taken), 0)
        + np.maximum(wish.leave_groups - groups_left, 0)
    )
    return lacking.sum(axis=1), _distance(taken, wish)
