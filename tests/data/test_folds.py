"""Folds of labelled images."""

import numpy as np
import pytest

from tl_keras.data.folds import fold_draws, stratified_folds
from tl_keras.data.splits import Draw

LABELS = np.tile(np.arange(3), 10)
ALONE = np.arange(30)
DRAW = Draw(train=np.arange(0, 30, 2), validation=np.arange(1, 18, 2))


def test_every_image_is_held_out_once_and_classes_are_even() -> None:
    folds = stratified_folds(LABELS, ALONE, 3, 0)
    assert len(folds) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in folds])), ALONE)
    for train, held in folds:
        assert not set(train) & set(held)
        assert np.ptp(np.bincount(LABELS[held])) <= 1


def test_groups_are_kept_whole() -> None:
    groups = np.arange(30) // 6
    for train, held in stratified_folds(LABELS, groups, 3, 0):
        assert not set(groups[train]) & set(groups[held])


def test_there_are_no_more_folds_than_groups() -> None:
    assert len(stratified_folds(LABELS, np.arange(30) // 15, 5, 0)) == 2
    assert stratified_folds(LABELS, np.zeros(30), 5, 0) == []
    assert len(stratified_folds(np.repeat([0, 1], [2, 10]), np.arange(12), 5, 0)) == 2


@pytest.mark.parametrize("seed", range(10))
def test_every_training_side_has_every_class_though_groups_mix_them(seed: int) -> None:
    labels, groups = np.array([1, 0, 1, 0, 0, 1]), np.array([0, 1, 1, 1, 2, 3])
    folds = stratified_folds(labels, groups, 2, seed)
    assert [set(labels[train]) for train, _ in folds] == [{0, 1}, {0, 1}]


@pytest.mark.parametrize("seed", [0, 1])
def test_seed_decides_the_division(seed: int) -> None:
    first, second = (stratified_folds(LABELS, ALONE, 3, seed) for _ in range(2))
    other = stratified_folds(LABELS, ALONE, 3, seed + 1)
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, other, strict=True))


def test_draws_divide_the_labelled_images_alone() -> None:
    draws = fold_draws(DRAW, LABELS, ALONE, 3, 0)
    labelled = np.union1d(DRAW.train, DRAW.validation)
    for draw in draws:
        both = np.concatenate([draw.train, draw.validation])
        np.testing.assert_array_equal(np.sort(both), labelled)
        np.testing.assert_array_equal(draw.train, np.sort(draw.train))
    held = np.concatenate([draw.validation for draw in draws])
    np.testing.assert_array_equal(np.sort(held), labelled)


def test_one_fold_is_the_draw_itself() -> None:
    assert fold_draws(DRAW, LABELS, ALONE, 1, 0) == (DRAW,)


def test_groups_too_few_for_folds_leave_the_draw() -> None:
    assert fold_draws(DRAW, LABELS, np.zeros(30), 3, 0) == (DRAW,)
