"""Predictions of several runs on images that may be the same; weights worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions


def predictions(images: list[int], labels: list[int]) -> Predictions:
    probabilities = np.full((len(images), 2), 0.5, np.float32)
    return Predictions(np.array(images), np.array(labels), probabilities)


def test_an_image_counts_once_however_many_runs_held_it_out() -> None:
    runs = [predictions([3, 4], [0, 1]), predictions([4, 5], [1, 0])]
    pooled = HeldOut.pooled(runs, np.array([2 / 3, 1 / 3]))
    assert pooled.n_images == 3
    assert pooled.weights == pytest.approx([1, 0.5, 0.5, 1])


def test_an_image_counts_once_beside_another_of_its_class() -> None:
    runs = [predictions([3, 4], [0, 0]), predictions([4, 6], [0, 1]), predictions([4], [0])]
    pooled = HeldOut.pooled(runs, np.array([2 / 3, 1 / 3]))
    # two images of class 0, one of which three runs held out; counting rows would give each 1/2
    assert pooled.weights == pytest.approx([1, 1 / 3, 1 / 3, 1, 1 / 3])


def test_classes_weigh_by_their_shares_among_the_photos_to_come() -> None:
    pooled = HeldOut.pooled([predictions([0, 1, 2, 3], [0, 0, 1, 1])], np.array([0.9, 0.1]))
    assert pooled.weights == pytest.approx([1.8, 1.8, 0.2, 0.2])


def test_a_part_keeps_its_weights() -> None:
    pooled = HeldOut.pooled([predictions([0, 1, 2, 3], [0, 0, 1, 1])], np.array([0.9, 0.1]))
    part = pooled.part(pooled.labels == 1)
    assert part.images.tolist() == [2, 3]
    assert part.weights == pytest.approx([0.2, 0.2])


def test_rows_of_one_image_are_resampled_together() -> None:
    runs = [predictions([3, 4], [0, 1]), predictions([4, 5], [1, 0])]
    pooled = HeldOut.pooled(runs, np.array([2 / 3, 1 / 3]))
    draws = pooled.resampled_weights(4000, seed=0)
    assert np.array_equal(draws[:, 1], draws[:, 2])
    assert not np.allclose(draws[:, 0], draws[:, 3])
    assert draws.mean(axis=0) == pytest.approx(pooled.weights, abs=0.05)


def grouped(images: list[int], groups: list[int]) -> Predictions:
    run = predictions(images, [image % 2 for image in images])
    return replace(run, groups=np.array(groups))


def test_images_of_a_group_are_resampled_together() -> None:
    pooled = HeldOut.pooled(
        [grouped([0, 1, 2, 3], [7, 7, 8, 9]), grouped([1, 4], [7, 8])], np.array([0.5, 0.5])
    )
    draws = pooled.resampled_weights(2000, seed=0) / pooled.weights
    assert draws[:, 1] == pytest.approx(draws[:, 0])
    assert draws[:, 4] == pytest.approx(draws[:, 0])
    assert draws[:, 5] == pytest.approx(draws[:, 2])
    assert not np.allclose(draws[:, 0], draws[:, 3])
    assert (pooled.n_images, pooled.n_groups) == (5, 3)


def test_images_that_share_no_group_are_their_own_groups() -> None:
    alone = HeldOut.pooled([predictions([3, 5, 8], [0, 1, 0])], np.array([0.5, 0.5]))
    named = HeldOut.pooled([grouped([3, 5, 8], [2, 1, 0])], np.array([0.5, 0.5]))
    assert named.groups.tolist() == alone.groups.tolist() == [3, 5, 8]
    assert named.evenly_grouped == alone.evenly_grouped == 3
    assert named.effective_images(np.array([True, True, False])) == 3


def test_groups_that_answer_as_one_count_as_one_image_each() -> None:
    images = list(range(12))
    pooled = HeldOut.pooled([grouped(images, [k // 3 for k in images])], np.array([0.5, 0.5]))
    right = np.repeat([True, False, True, True], 3)
    assert pooled.effective_images(right) == pytest.approx(4)
    # two runs that held the same images out tell no more
    twice = HeldOut.pooled([grouped(images, [k // 3 for k in images])] * 2, np.array([0.5, 0.5]))
    assert twice.effective_images(np.tile(right, 2)) == pytest.approx(4)


def test_uneven_groups_weigh_as_fewer() -> None:
    pooled = HeldOut.pooled([grouped([0, 1, 2, 3], [5, 5, 5, 6])], np.array([0.5, 0.5]))
    assert pooled.evenly_grouped == pytest.approx(16 / 10)
    assert pooled.part(pooled.groups == 5).evenly_grouped == 1
