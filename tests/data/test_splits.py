"""Splits: stratified, nested, reproducible, and no group on two sides."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.config.schema import DataConfig
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Draw, Splits, labelled_images_per_class, make_splits
from tl_keras.errors import DataError


def table_of(
    counts: dict[str, int] | None = None,
    *,
    labels: list[str] | None = None,
    groups: list[str] | None = None,
    split: list[str] | None = None,
) -> ImageTable:
    if labels is None:
        labels = [label for label, count in (counts or {}).items() for _ in range(count)]
    classes = tuple(sorted(set(labels)))
    ids = [f"{number:05d}.png" for number in range(len(labels))]
    frame = pd.DataFrame(
        {
            "image_id": ids,
            "path": ids,
            "label": labels,
            "class_index": [classes.index(label) for label in labels],
            "group": groups or ids,
            "split": pd.Series(split or None, range(len(ids)), object),
        }
    )
    return ImageTable(frame, classes, None, pd.DataFrame({"path": [], "reason": []}))


def config(**keys: Any) -> DataConfig:
    return DataConfig(folder="photos", **keys)


def per_class(table: ImageTable, positions: np.ndarray) -> list[int]:
    found: list[int] = np.bincount(
        table.frame["class_index"].to_numpy()[positions], minlength=len(table.classes)
    ).tolist()
    return found


def assert_disjoint(table: ImageTable, splits: Splits) -> None:
    group = table.frame["group"].to_numpy()
    for draw in splits.draws.values():
        parts = [set(group[side]) for side in (splits.test_of(0), draw.train, draw.validation)]
        assert sum(map(len, parts)) == len(set.union(*parts))


def random_grouped_table(seed: int) -> ImageTable:
    """Groups of 1 to 6 images, most of one class and some of several."""
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 6))
    labels, groups = [], []
    for group in range(int(random.integers(20, 60)) * classes):
        main = group % classes
        for _ in range(int(random.integers(1, 7))):
            label = main if random.random() < 0.8 else int(random.integers(classes))
            labels.append(f"class {label}")
            groups.append(f"part {group}")
    order = random.permutation(len(labels))
    return table_of(labels=[labels[i] for i in order], groups=[groups[i] for i in order])


def test_test_split_takes_the_fraction_of_each_class() -> None:
    table = table_of({"a": 150, "b": 41, "c": 15, "d": 3})
    splits = make_splits(table, config(validation_per_class=1), 1)
    # 0.3 * 150 = 45, 0.3 * 41 = 12.3, 0.3 * 15 = 4.5 (halves upwards), 0.3 * 3 = 0.9
    assert per_class(table, splits.test_of(0)) == [45, 12, 5, 1]


def test_test_split_has_at_least_one_image_of_each_class() -> None:
    table = table_of({"a": 50, "b": 4})
    splits = make_splits(table, config(test_fraction=0.1), 1)
    assert per_class(table, splits.test_of(0)) == [5, 1]


def test_test_split_keeps_to_its_maximum() -> None:
    table = table_of({"a": 150, "b": 40, "c": 10})
    splits = make_splits(table, config(max_test_per_class=8), 1)
    assert per_class(table, splits.test_of(0)) == [8, 8, 3]


def test_what_a_maximum_keeps_out_of_the_test_split_is_trained_on() -> None:
    table = table_of({"a": 40, "b": 40})
    draw = make_splits(table, config(test_fraction=0.5, max_test_per_class=5), 1).draws[0, None]
    assert per_class(table, np.concatenate([draw.train, draw.validation])) == [35, 35]


def test_test_split_depends_on_split_seed_alone() -> None:
    table = table_of({"a": 60, "b": 60})
    reference = make_splits(table, config(train_per_class=5), 1).test_of(0)
    other_runs = make_splits(table, config(train_per_class=(10, 20)), 4).test_of(0)
    np.testing.assert_array_equal(reference, other_runs)
    other_seed = make_splits(table, config(train_per_class=5, split_seed=1), 1).test_of(0)
    assert set(reference) != set(other_seed)


def test_grouped_test_split_does_not_depend_on_sizes() -> None:
    table = random_grouped_table(7)
    small, large = (make_splits(table, config(train_per_class=k), 1).test_of(0) for k in (2, 20))
    np.testing.assert_array_equal(small, large)


def test_drawn_numbers_are_exact() -> None:
    table = table_of({"a": 60, "b": 90})
    splits = make_splits(table, config(train_per_class=20), 3)
    assert list(splits.draws) == [(0, 20), (1, 20), (2, 20)]
    for draw in splits.draws.values():
        assert per_class(table, draw.train) == [20, 20]
        assert per_class(table, draw.validation) == [10, 10]
    assert_disjoint(table, splits)


def test_seeds_draw_different_images() -> None:
    splits = make_splits(table_of({"a": 60, "b": 90}), config(train_per_class=20), 2)
    assert set(splits.draws[0, 20].train) != set(splits.draws[1, 20].train)
    assert set(splits.draws[0, 20].validation) != set(splits.draws[1, 20].validation)


def test_same_seeds_draw_the_same_images() -> None:
    table = random_grouped_table(3)
    first, second = (make_splits(table, config(train_per_class=5), 2) for _ in range(2))
    pd.testing.assert_frame_equal(first.manifest, second.manifest)


def test_draws_are_these_with_every_version() -> None:
    # Written down: a change here means that nobody's results can be repeated.
    splits = make_splits(table_of({"a": 8, "b": 8}), config(train_per_class=2), 1)
    assert splits.test_of(0).tolist() == [2, 3, 11, 13]
    assert splits.draws[0, 2].train.tolist() == [4, 7, 10, 14]
    assert splits.draws[0, 2].validation.tolist() == [0, 5, 9, 15]


def test_draws_from_the_splits_of_a_source_are_these_with_every_version() -> None:
    data = config(train_per_class=3, validation_per_class=2, max_test_per_class=2)
    splits = make_splits(table_of({"a": 20, "b": 20}, split=SOURCE * 2), data, 1)
    assert splits.test_of(0).tolist() == [16, 18, 36, 39]
    assert splits.draws[0, 3].train.tolist() == [3, 5, 7, 23, 26, 31]
    assert splits.draws[0, 3].validation.tolist() == [12, 13, 32, 35]


def test_default_validation_is_the_smaller_of_10_and_the_training_size() -> None:
    table = table_of({"a": 80, "b": 80})
    splits = make_splits(table, config(train_per_class=(2, 10, 30)), 1)
    sizes = {size: len(draw.validation) // 2 for (_, size), draw in splits.draws.items()}
    assert sizes == {2: 2, 10: 10, 30: 10}


def test_smaller_draws_lie_inside_larger_ones() -> None:
    for seed in range(10):
        table = random_grouped_table(seed)
        splits = make_splits(table, config(train_per_class=(1, 3, 9)), 2)
        for run in range(2):
            small, middle, large = (splits.draws[run, size] for size in (1, 3, 9))
            assert set(small.train) < set(middle.train) < set(large.train)
            assert set(small.validation) < set(middle.validation) < set(large.validation)


def test_labelled_images_of_a_seed_are_those_of_its_largest_size() -> None:
    splits = make_splits(table_of({"a": 60, "b": 60}), config(train_per_class=(2, 20)), 2)
    draw = splits.draws[1, 20]
    assert set(splits.labelled(1)) == {*draw.train, *draw.validation}


def test_given_validation_size_is_the_same_images_for_all_sizes() -> None:
    table = table_of({"a": 80, "b": 80})
    splits = make_splits(table, config(train_per_class=(2, 30), validation_per_class=7), 1)
    assert per_class(table, splits.draws[0, 2].validation) == [7, 7]
    np.testing.assert_array_equal(splits.draws[0, 2].validation, splits.draws[0, 30].validation)


def test_all_images_are_used_without_a_training_size() -> None:
    table = table_of({"a": 100, "b": 20, "c": 4})
    splits = make_splits(table, config(), 2)
    draw = splits.draws[1, None]
    # After the test split 70, 14 and 3 are left: a quarter of them, at most 10, at least 1.
    assert per_class(table, draw.validation) == [10, 3, 1]
    assert per_class(table, draw.train) == [60, 11, 2]
    assert_disjoint(table, splits)


@pytest.mark.parametrize("seed", range(30))
def test_groups_never_cross(seed: int) -> None:
    table = random_grouped_table(seed)
    sizes: Any = (None, 8, (1, 4, 8))[seed % 3]
    splits = make_splits(table, config(train_per_class=sizes, split_seed=seed), 3)
    assert_disjoint(table, splits)
    shares = np.array(per_class(table, splits.test_of(0))) / np.array(
        per_class(table, np.arange(len(table.frame)))
    )
    np.testing.assert_allclose(shares, 0.3, atol=0.04)
    for (_, size), draw in splits.draws.items():
        if size is not None:
            assert set(per_class(table, draw.train)) == {size}
            assert set(per_class(table, draw.validation)) == {size}


def test_whole_groups_go_to_the_test_split() -> None:
    table = random_grouped_table(5)
    splits = make_splits(table, config(train_per_class=5), 1)
    group = table.frame["group"].to_numpy()
    in_test = np.isin(group, group[splits.test_of(0)])
    np.testing.assert_array_equal(np.flatnonzero(in_test), splits.test_of(0))


def test_maximum_of_a_grouped_test_split_is_kept() -> None:
    table = table_of({"a": 40, "b": 40}, groups=[str(number // 8) for number in range(80)])
    data = config(max_test_per_class=5, train_per_class=2)
    splits = make_splits(table, data, 1)
    assert per_class(table, splits.test_of(0)) == [5, 5]
    assert_disjoint(table, splits)


def test_three_groups_are_one_for_each_part() -> None:
    table = table_of({"a": 30, "b": 30}, groups=[str(number // 10) for number in range(60)])
    splits = make_splits(table, config(train_per_class=10), 3)
    assert per_class(table, splits.test_of(0)) == [10, 10]
    for draw in splits.draws.values():
        assert per_class(table, draw.train) == per_class(table, draw.validation) == [10, 10]
    assert_disjoint(table, splits)


SOURCE = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4


def test_splits_of_the_source_win() -> None:
    table = table_of({"a": 20, "b": 20}, split=SOURCE * 2)
    splits = make_splits(table, config(train_per_class=6), 1)
    part = np.array(SOURCE * 2)
    # The default would be 6.
    assert per_class(table, splits.draws[0, 6].validation) == [4, 4]
    assert set(part[splits.test_of(0)]) == {"test"}
    assert per_class(table, splits.test_of(0)) == [4, 4]
    draws = make_splits(table, config(train_per_class=6, validation_per_class=3), 4).draws
    for draw in draws.values():
        assert set(part[draw.train]) == {"train"}
        assert set(part[draw.validation]) == {"validation"}
        assert per_class(table, draw.validation) == [3, 3]


def test_validation_comes_out_of_train_where_the_source_has_none() -> None:
    split = (["train"] * 16 + ["test"] * 4) * 2
    table = table_of({"a": 20, "b": 20}, split=split)
    splits = make_splits(table, config(), 1)
    assert per_class(table, splits.test_of(0)) == [4, 4]
    assert per_class(table, splits.draws[0, None].validation) == [4, 4]
    assert per_class(table, splits.draws[0, None].train) == [12, 12]


def test_test_comes_out_of_train_where_the_source_has_none() -> None:
    split = (["train"] * 20 + ["validation"] * 12) * 2
    table = table_of({"a": 32, "b": 32}, split=split)
    splits = make_splits(table, config(), 1)
    assert set(np.array(split)[splits.test_of(0)]) == {"train"}
    assert per_class(table, splits.test_of(0)) == [6, 6]
    assert per_class(table, splits.draws[0, None].train) == [14, 14]
    assert per_class(table, splits.draws[0, None].validation) == [10, 10]


def test_two_groups_suffice_where_the_source_gives_validation_images() -> None:
    split = ["train"] * 20 + ["validation"] * 4
    groups = [f"{label}{number // 10}" for label in "ab" for number in range(24)]
    table = table_of({"a": 24, "b": 24}, split=split * 2, groups=groups)
    splits = make_splits(table, config(), 1)
    assert per_class(table, splits.test_of(0)) == [10, 10]
    assert per_class(table, splits.draws[0, None].train) == [10, 10]


def test_maximum_holds_for_the_source_test_split() -> None:
    table = table_of({"a": 20, "b": 20}, split=SOURCE * 2)
    splits = make_splits(table, config(train_per_class=2, max_test_per_class=3), 1)
    assert per_class(table, splits.test_of(0)) == [3, 3]


def test_manifest_has_one_row_per_image_and_use() -> None:
    table = table_of({"a": 20, "b": 20})
    splits = make_splits(table, config(train_per_class=(2, 4), test_fraction=0.25), 2)
    manifest = splits.manifest
    assert list(manifest.columns) == ["seed", "train_per_class", "part", "image_id", "class_index"]
    # Test 2 * 5; per seed 2 * (2 + 2) and 2 * (4 + 4).
    assert len(manifest) == 10 + 2 * (8 + 16)
    test = manifest[manifest["part"] == "test"]
    assert test["seed"].isna().all()
    assert test["train_per_class"].isna().all()
    chosen = manifest.query("seed == 1 and train_per_class == 4 and part == 'train'")
    expected = table.frame.iloc[splits.draws[1, 4].train]
    assert list(chosen["image_id"]) == list(expected["image_id"])
    assert list(chosen["class_index"]) == list(expected["class_index"])
    assert str(manifest["seed"].dtype) == str(manifest["train_per_class"].dtype) == "Int64"


def test_manifest_leaves_the_size_open_where_all_are_used() -> None:
    manifest = make_splits(table_of({"a": 20, "b": 20}), config(), 1).manifest
    assert manifest["train_per_class"].isna().all()
    assert manifest["seed"].notna().sum() == 28


def test_labelled_images_are_training_and_validation_images() -> None:
    draw = Draw(np.arange(30), np.arange(30, 45))
    assert labelled_images_per_class(draw, 3) == 15.0


@pytest.mark.parametrize(
    ("counts", "keys", "message"),
    [
        (
            {"a": 60, "dent": 30},
            {"train_per_class": 20},
            r'class "dent" has 30, needs 39 \(9 for test, 10 for validation, 20 for training\)',
        ),
        ({"a": 60, "dent": 2}, {}, r"needs 3 \(1 for test, 1 for validation, 1 for training\)"),
        ({"a": 60, "dent": 1}, {}, "has 1, needs 3"),
        ({"a": 9, "b": 9}, {"train_per_class": (1, 9)}, 'class "a" has 9.*; class "b" has 9'),
        (dict.fromkeys("abcdefghijklm", 3), {"train_per_class": 2}, "and 3 more classes"),
    ],
)
def test_too_few_images(counts: dict[str, int], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_splits(table_of(counts), config(**keys), 1)


def test_too_few_images_in_the_source_splits() -> None:
    table = table_of({"a": 20, "b": 20}, split=SOURCE * 2)
    message = r'"a" has 12 training and 4 validation images.*needs 12 and 5'
    with pytest.raises(DataError, match=message) as refused:
        make_splits(table, config(train_per_class=12, validation_per_class=5), 1)
    assert "test_fraction" not in str(refused.value), "the source's test split stands"


def test_class_without_validation_images_in_the_source() -> None:
    split = [*SOURCE, *(part for part in SOURCE if part != "validation")]
    table = table_of({"a": 20, "b": 16}, split=split)
    with pytest.raises(DataError, match=r'"b" has 12 training and 0 validation.*needs 1 and 1'):
        make_splits(table, config(), 1)


def test_class_without_test_images_in_the_source() -> None:
    table = table_of({"a": 20, "b": 16}, split=SOURCE + SOURCE[:16])
    with pytest.raises(DataError, match="the test split has none of b"):
        make_splits(table, config(), 1)


def test_class_in_too_few_groups() -> None:
    table = table_of({"a": 30, "b": 30}, groups=[str(number // 15) for number in range(60)])
    message = r"at least 3 groups.*too few groups: a \(2\), b \(2\)"
    with pytest.raises(DataError, match=message) as refused:
        make_splits(table, config(train_per_class=2), 1)
    assert "copies" not in str(refused.value), "none were found"


def test_groups_that_leave_too_few_images() -> None:
    table = table_of({"a": 30, "b": 30}, groups=[str(number // 10) for number in range(60)])
    message = r'groups are kept whole.*class "a": 10 of 4 for validation, 10 of 11 for training'
    with pytest.raises(DataError, match=message):
        make_splits(table, config(train_per_class=11, validation_per_class=4), 1)


def test_group_in_two_splits_of_the_source() -> None:
    groups = [str(number // 13) for number in range(40)]
    table = table_of({"a": 20, "b": 20}, split=SOURCE * 2, groups=groups)
    with pytest.raises(DataError, match=r"of 3 groups in several: 0, 1, 2\. Correct"):
        make_splits(table, config(), 1)
