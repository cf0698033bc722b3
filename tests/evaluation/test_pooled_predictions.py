"""Predictions of several runs on images that may be the same; weights worked out by hand."""

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
