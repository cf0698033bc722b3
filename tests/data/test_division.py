"""Folds as test splits: every image is tested once, and nothing crosses over."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.config.files import parse_config
from tl_keras.config.schema import DataConfig
from tl_keras.data.division import divide, make_fold_splits
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Splits, make_splits
from tl_keras.errors import DataError


def table_of(
    counts: list[int], groups: list[str] | None = None, split: list[str] | None = None
) -> ImageTable:
    labels = np.repeat(np.arange(len(counts)), counts)
    ids = [f"{number:04d}.png" for number in range(len(labels))]
    frame = pd.DataFrame(
        {
            "image_id": ids,
            "path": ids,
            "label": labels.astype(str),
            "class_index": labels,
            "group": groups or ids,
            "split": pd.Series(split or None, range(len(ids)), object),
        }
    )
    classes = tuple(map(str, range(len(counts))))
    return ImageTable(frame, classes, None, pd.DataFrame({"path": [], "reason": []}))


def data(**keys: Any) -> DataConfig:
    return DataConfig(folder="photos", **keys)


def assert_no_group_crosses(table: ImageTable, splits: Splits) -> None:
    group = table.frame["group"].to_numpy()
    for (seed, _), draw in splits.draws.items():
        parts = [set(group[side]) for side in (splits.test_of(seed), draw.train, draw.validation)]
        assert sum(map(len, parts)) == len(set.union(*parts))


def test_every_image_is_tested_once_in_each_repeat() -> None:
    table = table_of([30, 20])
    splits = make_fold_splits(table, data(), 5, 2)
    assert list(splits.draws) == [(seed, None) for seed in range(10)]
    for first in (0, 5):
        tested = np.concatenate([splits.test_of(first + fold) for fold in range(5)])
        np.testing.assert_array_equal(np.sort(tested), np.arange(50))
    assert set(splits.test_of(0)) != set(splits.test_of(5)), "a repeat is a new division"
    np.testing.assert_array_equal(splits.tested, np.arange(50))


def test_folds_are_stratified_and_all_others_are_used() -> None:
    table = table_of([30, 20])
    splits = make_fold_splits(table, data(validation_per_class=2), 5, 1)
    for seed in range(5):
        draw, test = splits.draws[seed, None], splits.test_of(seed)
        assert np.bincount(table.frame["class_index"].to_numpy()[test]).tolist() == [6, 4]
        assert len(draw.validation) == 4
        used = np.concatenate([test, draw.train, draw.validation])
        np.testing.assert_array_equal(np.sort(used), np.arange(50))


def test_sizes_are_nested_within_a_fold() -> None:
    splits = make_fold_splits(table_of([30, 20]), data(train_per_class=(3, 8)), 5, 1)
    for seed in range(5):
        assert set(splits.draws[seed, 3].train) <= set(splits.draws[seed, 8].train)
        assert len(splits.draws[seed, 8].train) == 16


def test_groups_are_kept_whole() -> None:
    groups = [f"part{number // 3}" for number in range(90)]
    table = table_of([45, 45], groups)
    splits = make_fold_splits(table, data(), 5, 2)
    assert_no_group_crosses(table, splits)


def test_the_manifest_names_the_fold_of_every_test_image() -> None:
    manifest = make_fold_splits(table_of([10, 10]), data(), 2, 1).manifest
    test = manifest[manifest["part"] == "test"]
    assert test["seed"].value_counts().to_dict() == {0: 10, 1: 10}
    assert test["train_per_class"].isna().all()
    shared = make_splits(table_of([10, 10]), data(), 2).manifest
    assert shared.loc[shared["part"] == "test", "seed"].isna().all()


def test_divisions_depend_on_the_seed_alone() -> None:
    table = table_of([30, 20])
    first, again = (make_fold_splits(table, data(), 5, 1) for _ in range(2))
    pd.testing.assert_frame_equal(first.manifest, again.manifest)
    other = make_fold_splits(table, data(split_seed=1), 5, 1)
    assert set(first.test_of(0)) != set(other.test_of(0))


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_source_that_divides_its_images_is_refused(part: str) -> None:
    table = table_of([10, 10], split=["train"] * 15 + [part] * 5)
    with pytest.raises(DataError, match=f"gives 5 {part} images. Set estimate.method to seeds"):
        make_fold_splits(table, data(), 2, 1)


def test_a_source_with_training_images_alone_is_divided() -> None:
    splits = make_fold_splits(table_of([10, 10], split=["train"] * 20), data(), 2, 1)
    assert len(splits.tested) == 20


def test_a_class_of_fewer_groups_than_folds_is_refused() -> None:
    with pytest.raises(DataError, match=r"at least 5 images, .* got fewer: 1 \(4\)"):
        make_fold_splits(table_of([10, 4]), data(), 5, 1)


def test_a_class_of_as_many_images_as_folds_is_tested_in_each() -> None:
    splits = make_fold_splits(table_of([10, 5]), data(), 5, 1)
    assert [np.count_nonzero(splits.test_of(seed) >= 10) for seed in range(5)] == [1] * 5


def test_every_fold_tests_every_class_though_groups_mix_them() -> None:
    # The first divisions of these groups have a fold without one of the classes.
    groups = [*"003445", *"1223445"]
    splits = make_fold_splits(table_of([6, 7], groups), data(validation_per_class=1), 3, 1)
    assert [set(splits.test_of(seed) >= 6) for seed in range(3)] == [{False, True}] * 3


def test_too_few_images_to_train_on_names_no_key_of_the_other_method() -> None:
    with pytest.raises(DataError, match="too few images") as refused:
        make_fold_splits(table_of([10, 10]), data(train_per_class=8), 5, 1)
    assert "test_fraction" not in str(refused.value)


def test_the_configuration_says_how() -> None:
    raw: dict[str, Any] = {"name": "a", "data": {"folder": "photos"}}
    table = table_of([30, 20])
    assert set(divide(table, parse_config(raw)).tests) == {0, 1, 2}
    folded = divide(table, parse_config({**raw, "estimate": {"method": "k_fold"}}))
    assert set(folded.tests) == set(range(10))
