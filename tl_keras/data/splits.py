"""A test split, and per seed a draw of training and validation images.

Groups are kept whole: images of one group are never on two sides of a split. What is drawn
depends on the images' ids, the configuration and the seeds alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_keras.config.schema import DataConfig
from tl_keras.data.group_choice import Counts, Wish, choose_groups
from tl_keras.data.sources import ImageTable
from tl_keras.data.test_split import Pools, Positions, make_pools
from tl_keras.errors import TooFewImagesError

_DEFAULT_VALIDATION = 10
# First words of the seeds; 0 and 1 belong to the test split.
_VALIDATION_GROUPS, _VALIDATION_IMAGES, _TRAINING_IMAGES = 2, 3, 4


@dataclass(frozen=True)
class Draw:
    """Training and validation images of one run: ascending row positions of the table's frame."""

    train: Positions
    validation: Positions


@dataclass(frozen=True)
class Splits:
    """All splits of an experiment.

    Attributes:
        manifest: One row per image and use: seed (missing for a test split that all seeds
            share), train_per_class (missing for test splits, and where it means all), part
            ("train", "validation" or "test"), image_id, class_index.
        tests: By seed, ascending row positions of the test images; the same for every seed, or
            its fold.
        draws: By seed and train_per_class.
    """

    manifest: pd.DataFrame
    tests: dict[int, Positions]
    draws: dict[tuple[int, int | None], Draw]

    def test_of(self, seed: int) -> Positions:
        """Ascending row positions of the images that the runs of a seed are tested on."""
        return self.tests[seed]

    @property
    def tested(self) -> Positions:
        """Ascending row positions of the images that any run is tested on."""
        return np.unique(np.concatenate(list(self.tests.values())))

    def labelled(self, seed: int) -> Positions:
        """Row positions of a seed's training and validation images, in its largest size."""
        own = [draw for (drawn, _), draw in self.draws.items() if drawn == seed]
        largest = max(own, key=lambda draw: len(draw.train))
        return np.concatenate([largest.train, largest.validation])


def labelled_images_per_class(draw: Draw, classes: int) -> float:
    """Training and validation images of a draw per class; the mean where classes differ."""
    return (len(draw.train) + len(draw.validation)) / classes


def make_splits(table: ImageTable, data: DataConfig, seeds: int) -> Splits:
    """Divide the images of an experiment.

    The test split is stratified and drawn by `split_seed`; splits that the source gives come
    first, and of these `max_test_per_class` keeps a random part. For each seed the validation
    images are drawn from the rest, then the training images; smaller draws lie inside larger
    ones of the same seed.

    Args:
        table: The images.
        data: The keys on splits.
        seeds: Number of draws for each training size; their seeds are 0..seeds-1.

    Raises:
        DataError: if a class has too few images or groups, or a group lies in several of the
            splits that the source gives.
    """
    pools = make_pools(table, data)
    draws = {
        (seed, size): draw
        for seed in range(seeds)
        for size, draw in draw_sizes(pools, data, seed).items()
    }
    manifest = manifest_of(table.frame, {None: pools.test}, draws)
    return Splits(manifest, dict.fromkeys(range(seeds), pools.test), draws)


def draw_sizes(pools: Pools, data: DataConfig, seed: int) -> dict[int | None, Draw]:
    """Draw a seed's training and validation images, by training size.

    Args:
        pools: What to draw from.
        data: The keys on splits.
        seed: Of the draw.

    Raises:
        DataError: if a class has too few images or groups.
    """
    needs = [_need(pools, data, size) for size in data.training_sizes]
    return dict(zip(data.training_sizes, _draws_of_seed(pools, needs, seed), strict=True))


@dataclass(frozen=True)
class _Need:
    """Images per class of one training size, (classes,); `train` is None for all."""

    train: Counts | None
    validation: Counts

    @property
    def least_train(self) -> Counts:
        return np.ones_like(self.validation) if self.train is None else self.train


def _need(pools: Pools, data: DataConfig, size: int | None) -> _Need:
    available = pools.count(pools.train)
    most = min(_DEFAULT_VALIDATION, size or _DEFAULT_VALIDATION)
    if data.validation_per_class is not None:
        validation = np.full_like(available, data.validation_per_class)
    elif pools.validation is not None:
        validation = np.clip(pools.count(pools.validation), 1, most)
    elif size is not None:
        validation = np.full_like(available, most)
    else:
        validation = np.clip(available // 4, 1, most)
    need = _Need(None if size is None else np.full_like(available, size), validation)
    _check_enough(pools, need)
    return need


def _check_enough(pools: Pools, need: _Need) -> None:
    have, train, validation = pools.count(pools.train), need.least_train, need.validation
    if pools.validation is None:
        test = pools.count(pools.test)
        short = have < train + validation
        lines = [
            f'class "{pools.labels[c]}" has {test[c] + have[c]}, needs '
            f"{test[c] + validation[c] + train[c]} ({test[c]} for test, {validation[c]} for "
            f"validation, {train[c]} for training)"
            for c in np.flatnonzero(short)
        ]
    else:
        held_out = pools.count(pools.validation)
        short = (have < train) | (held_out < validation)
        lines = [
            f'class "{pools.labels[c]}" has {have[c]} training and {held_out[c]} validation '
            f"images in the source's splits, needs {train[c]} and {validation[c]}"
            for c in np.flatnonzero(short)
        ]
    if lines:
        raise TooFewImagesError(f"too few images: {_first(lines)}.")


def _first(lines: list[str], limit: int = 10) -> str:
    more = f"; and {len(lines) - limit} more classes" if len(lines) > limit else ""
    return "; ".join(lines[:limit]) + more


def _draws_of_seed(pools: Pools, needs: list[_Need], seed: int) -> list[Draw]:
    if pools.validation is None:
        # Sizes rise, so what suffices for the last one suffices for all.
        train, validation = _split_off_validation(pools, needs[-1], seed)
    else:
        train, validation = pools.train, pools.validation
    return [
        Draw(
            pools.first_per_class(train, need.train, _TRAINING_IMAGES, seed),
            pools.first_per_class(validation, need.validation, _VALIDATION_IMAGES, seed),
        )
        for need in needs
    ]


def _split_off_validation(pools: Pools, need: _Need, seed: int) -> tuple[Positions, Positions]:
    number, counts = pools.groups_at(pools.train)
    wish = Wish(need.validation, need.validation, need.least_train, 1)
    chosen = choose_groups(counts, wish, _VALIDATION_GROUPS, seed)[number]
    train, validation = pools.train[~chosen], pools.train[chosen]
    in_train, in_validation = pools.count(train), pools.count(validation)
    short = (in_validation < need.validation) | (in_train < need.least_train)
    if np.any(short):
        lines = [
            f'class "{pools.labels[c]}": {in_validation[c]} of {need.validation[c]} for '
            f"validation, {in_train[c]} of {need.least_train[c]} for training"
            for c in np.flatnonzero(short)
        ]
        raise TooFewImagesError(
            f"too few images while groups are kept whole; the best division found: "
            f"{_first(lines)}. Add images of other groups, or group less.{pools.about_copies}"
        )
    return train, validation


def manifest_of(
    frame: pd.DataFrame,
    tests: Mapping[int, Positions] | Mapping[None, Positions],
    draws: Mapping[tuple[int, int | None], Draw],
) -> pd.DataFrame:
    """What every image is used for, as `Splits.manifest`.

    Args:
        frame: The images.
        tests: Test splits by seed; None is one that all seeds share.
        draws: By seed and train_per_class.
    """
    uses: list[tuple[int | None, int | None, str, Positions]]
    uses = [(seed, None, "test", test) for seed, test in tests.items()]
    for (seed, size), draw in draws.items():
        uses += [(seed, size, "train", draw.train), (seed, size, "validation", draw.validation)]
    lengths = [len(positions) for *_, positions in uses]
    images = frame.iloc[np.concatenate([positions for *_, positions in uses])]

    def repeated(values: list[int | None]) -> pd.Series:
        return pd.Series(values, dtype="Int64").repeat(lengths).reset_index(drop=True)

    return pd.DataFrame(
        {
            "seed": repeated([use[0] for use in uses]),
            "train_per_class": repeated([use[1] for use in uses]),
            "part": np.repeat([use[2] for use in uses], lengths),
            "image_id": images["image_id"].to_numpy(),
            "class_index": images["class_index"].to_numpy(),
        }
    )
