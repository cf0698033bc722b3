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


def test_images_of_one_group_lie_in_one_half() -> None:
    """Two groups: each is read where the other is best, however the images are ordered."""
    losses = np.array([[0.0, 5.0, 0.0, 5.0], [7.0, 1.0, 7.0, 1.0]])
    groups = np.array(["b", "a", "b", "a"])
    assert cross_fitted_losses(losses, groups).tolist() == [7.0, 5.0, 7.0, 5.0]


def test_copies_of_images_gain_nothing_by_choosing_for_each_other() -> None:
    rng = np.random.default_rng(0)
    alone, copied, unaware = [], [], []
    for _ in range(100):
        losses = rng.exponential(1.0, (50, 10))
        alone.append(cross_fitted_losses(losses).mean())
        three = losses.repeat(3, axis=1)
        copied.append(cross_fitted_losses(three, np.repeat(np.arange(10), 3)).mean())
        unaware.append(cross_fitted_losses(three).mean())
    assert np.mean(copied) == pytest.approx(np.mean(alone), abs=1e-9)
    assert np.mean(unaware) < 0.8 * np.mean(copied)


def test_groups_of_one_image_change_nothing() -> None:
    losses = np.random.default_rng(1).random((5, 9))
    named = np.array(list("qwertyuio"))
    np.testing.assert_array_equal(cross_fitted_losses(losses, named), cross_fitted_losses(losses))


def test_a_single_group_has_no_other_to_choose_by() -> None:
    losses = np.array([[0.5, 0.1], [0.25, 0.2], [0.75, 0.9]])
    assert cross_fitted_losses(losses, np.zeros(2)).tolist() == [0.25, 0.2]
