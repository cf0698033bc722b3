"""Losses of validation images that did not choose the epoch."""

import numpy as np
import pytest

from tl_keras.transfer.selection_losses import cross_fitted_losses


def test_without_a_choice_among_epochs_nothing_changes() -> None:
    losses = np.array([[0.5, 1.5, 0.25, 3.0]], np.float32)
    np.testing.assert_allclose(cross_fitted_losses(losses), losses[0])


def test_an_epoch_that_is_best_for_all_images_is_everyones() -> None:
    losses = np.array([[2.0, 2.1, 2.2, 2.3], [0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(cross_fitted_losses(losses), losses[1])


def test_of_two_images_each_is_read_where_the_other_is_best() -> None:
    losses = np.array([[0.0, 5.0], [7.0, 1.0]])
    assert cross_fitted_losses(losses).tolist() == [7.0, 5.0]


def test_the_gain_from_choosing_among_noise_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    chosen, fitted = [], []
    for _ in range(200):
        losses = rng.exponential(1.0, (50, 30))
        chosen.append(losses.mean(axis=1).min())
        fitted.append(cross_fitted_losses(losses).mean())
    assert np.mean(chosen) < 0.7
    # the standard error of the mean of 200 x 30 losses is 0.013
    assert np.mean(fitted) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("images", [2, 5, 8])
def test_it_is_never_less_than_the_loss_of_the_best_epoch(images: int) -> None:
    for seed in range(50):
        losses = np.random.default_rng(seed).random((6, images))
        assert cross_fitted_losses(losses).mean() >= losses.mean(axis=1).min() - 1e-12


def test_a_loss_that_is_no_number_is_never_chosen() -> None:
    losses = np.array([[np.nan, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]])
    fitted = cross_fitted_losses(losses)
    assert fitted[1:].tolist() != [2.0, 3.0, 4.0], "a half without the broken image chooses it"
    assert not np.isnan(fitted).any()


def test_a_single_image_has_no_other_to_choose_by() -> None:
    assert cross_fitted_losses(np.array([[0.5], [0.25], [0.75]])).tolist() == [0.25]


def test_the_same_losses_give_the_same() -> None:
    losses = np.random.default_rng(1).random((5, 9))
    np.testing.assert_array_equal(cross_fitted_losses(losses), cross_fitted_losses(losses))
