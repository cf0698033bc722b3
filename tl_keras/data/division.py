"""The division of its images that an experiment asks for: one test split, or folds."""

from dataclasses import replace

import numpy as np

from tl_keras.config.schema import DataConfig, ExperimentConfig
from tl_keras.data.fitting_numbers import numbers_that_fit
from tl_keras.data.folds import ATTEMPTS, stratified_folds
from tl_keras.data.listing import some_of
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Splits, draw_sizes, make_splits, manifest_of
from tl_keras.data.test_split import Pools, Positions, make_pools, pools_of_source
from tl_keras.errors import DataError, TooFewImagesError

# First word of the divisions' seeds; smaller ones belong to the test split and the draws.
_FOLDS = 5


def divide(table: ImageTable, config: ExperimentConfig) -> Splits:
    """Divide the images as `config.estimate` says.

    Raises:
        DataError: if a class has too few images or groups, with the numbers that would do; or the
            source's own splits do not go with what is asked for.
    """
    try:
        return _as_asked(table, config)
    except TooFewImagesError as error:
        rarest = int(np.bincount(table.labels, minlength=len(table.classes)).min())
        fitting = numbers_that_fit(config, _Trying(table).fits, rarest)
        raise TooFewImagesError(f"{error} {fitting}") from error


def _as_asked(table: ImageTable, config: ExperimentConfig) -> Splits:
    folds, repeats = config.estimate.folds, config.estimate.repeats
    if folds is None or repeats is None:
        return make_splits(table, config.data, config.seeds)
    return make_fold_splits(table, config.data, folds, repeats)


class _Trying:
    """Tries other numbers; what is tested is divided once for all that leave it as it is."""

    def __init__(self, table: ImageTable) -> None:
        self._table = table
        self._pools: dict[tuple[float | None, ...], dict[int, Pools]] = {}
        self._failed = 0

    def fits(self, config: ExperimentConfig) -> bool:
        """Whether the images can be divided as a configuration says."""
        try:
            pools = self._divided(config)
            # the seed that failed last is the likeliest to fail
            for seed in sorted(pools, key=lambda seed: seed != self._failed):
                self._failed = seed
                draw_sizes(pools[seed], config.data, seed)
        except DataError:
            return False
        return bool(pools)

    def _divided(self, config: ExperimentConfig) -> dict[int, Pools]:
        """By seed; none where that cannot be."""
        data, folds, repeats = config.data, config.estimate.folds, config.estimate.repeats
        key = data.test_fraction, folds
        if key not in self._pools:
            self._pools[key] = {}
            self._pools[key] = (
                dict.fromkeys(range(config.seeds), make_pools(self._table, data))
                if folds is None or repeats is None
                else fold_pools(self._table, data, folds, repeats)
            )
        return self._pools[key]


def make_fold_splits(table: ImageTable, data: DataConfig, folds: int, repeats: int) -> Splits:
    """Divide all images into stratified folds that keep groups whole, several times anew.

    Run repeat * folds + fold is tested on that fold. Its training and validation images are drawn
    from the other folds as `make_splits` draws them from what the test split leaves.

    Args:
        table: The images, without a division by the source.
        data: The keys on splits; `split_seed` is that of the divisions.
        folds: Of each division, at least 2.
        repeats: Divisions.

    Raises:
        DataError: if the source divides its images, or a class has too few images or groups.
    """
    pools = fold_pools(table, data, folds, repeats)
    tests = {seed: own.test for seed, own in pools.items()}
    draws = {
        (seed, size): draw
        for seed, own in pools.items()
        for size, draw in draw_sizes(own, data, seed).items()
    }
    return Splits(manifest_of(table.frame, tests, draws), tests, draws)


def fold_pools(table: ImageTable, data: DataConfig, folds: int, repeats: int) -> dict[int, Pools]:
    """What each run of a cross-validation is tested on, and what its images are drawn from.

    Args and errors are those of `make_fold_splits`.
    """
    pools = pools_of_source(table)
    _check_undivided(pools)
    return {
        repeat * folds + fold: replace(pools, test=test, train=np.setdiff1d(pools.train, test))
        for repeat in range(repeats)
        for fold, test in enumerate(_divided(pools, folds, data.split_seed, repeat))
    }


def _check_undivided(pools: Pools) -> None:
    given = {"test": pools.test, "validation": pools.validation}
    counts = [
        f"{len(rows)} {part}" for part, rows in given.items() if rows is not None and len(rows)
    ]
    if counts:
        raise DataError(
            "estimate.method k_fold divides all images itself, so the source must not; it gives "
            f"{' and '.join(counts)} images. Set estimate.method to seeds, or leave the source's "
            "division out (the column split, or the folders train, validation and test)."
        )


def _divided(pools: Pools, folds: int, split_seed: int, repeat: int) -> list[Positions]:
    """Row positions of each fold."""
    rows = pools.train
    labels, groups = pools.class_of[rows], pools.group_of[rows]
    _check_groups(pools, folds)
    for attempt in range(ATTEMPTS):
        words = (_FOLDS, split_seed, repeat, attempt)
        seed = int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)
        held_out = [rows[held] for _, held in stratified_folds(labels, groups, folds, seed)]
        if held_out and all(np.all(pools.count(held)) for held in held_out):
            return held_out
    raise TooFewImagesError(
        f"no division into {folds} folds was found in which every fold has images of every class "
        "while groups are kept whole. Add images of other groups, or group less."
    )


def _check_groups(pools: Pools, folds: int) -> None:
    _, counts = pools.groups_at(pools.train)
    groups = np.count_nonzero(counts, axis=0)
    if np.any(groups < folds):
        named = [f"{pools.labels[c]} ({groups[c]})" for c in np.flatnonzero(groups < folds)]
        raise TooFewImagesError(
            f"every class must have at least {folds} images, of {folds} groups where images are "
            f"grouped, so that every fold tests it; got fewer: {some_of(named)}."
        )
