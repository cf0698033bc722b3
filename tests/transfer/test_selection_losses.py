"""Losses of validation images that chose neither the epoch nor the temperature."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tl_keras.evaluation.calibration import calibrate
from tl_keras.evaluation.temperature import PRIOR_DEVIATION, tempered_losses
from tl_keras.transfer.selection_losses import CrossFit, cross_fitted_losses

PRIOR = "tl_keras.evaluation.temperature.PRIOR_DEVIATION"


def predictions(losses: np.ndarray) -> np.ndarray:
    """Log-probabilities of two classes, of which the first, the true one, has these losses."""
    losses = np.asarray(losses, np.float64)
    return np.stack([-losses, np.log(-np.expm1(-losses))], axis=-1)


def fitted(losses: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    given = predictions(losses)
    return cross_fitted_losses(given, np.zeros(given.shape[1], int), groups)


@pytest.fixture
def untempered(monkeypatch: pytest.MonkeyPatch) -> None:
    """So sure that every temperature is 1 that the epochs alone are chosen."""
    monkeypatch.setattr(PRIOR, 1e-5)


def answers(n: int, surer: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 4) log-probabilities whose logits are so many times too large, and labels."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (n, 4))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (generator.random((n, 1)) > right.cumsum(axis=1)).sum(axis=1)
    return np.log(calibrate(right, 1 / surer)), labels


# Of the epoch.


@pytest.mark.usefixtures("untempered")
def test_without_a_choice_among_epochs_nothing_changes() -> None:
    losses = np.array([[0.5, 1.5, 0.25, 3.0]])
    np.testing.assert_allclose(fitted(losses), losses[0], rtol=1e-4)


@pytest.mark.usefixtures("untempered")
def test_an_epoch_that_is_best_for_all_images_is_everyones() -> None:
    losses = np.array([[2.0, 2.1, 2.2, 2.3], [0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(fitted(losses), losses[1], rtol=1e-4)


@pytest.mark.usefixtures("untempered")
def test_of_two_images_each_is_read_where_the_other_is_best() -> None:
    losses = np.array([[0.5, 5.0], [7.0, 1.0]])
    np.testing.assert_allclose(fitted(losses), [7.0, 5.0], rtol=1e-4)


@pytest.mark.usefixtures("untempered")
def test_the_gain_from_choosing_among_noise_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    chosen, read = [], []
    for _ in range(200):
        losses = rng.exponential(1.0, (50, 30))
        chosen.append(losses.mean(axis=1).min())
        read.append(fitted(losses).mean())
    assert np.mean(chosen) < 0.7
    # the standard error of the mean of 200 x 30 losses is 0.013
    assert np.mean(read) == pytest.approx(1.0, abs=0.05)


def preferring_the_last(losses: np.ndarray, groups: np.ndarray | None = None) -> CrossFit:
    given = predictions(losses)
    fit = CrossFit.of(np.zeros(given.shape[1], int), groups)
    for epoch in given:
        fit = fit.after(epoch)
    return fit.preferring(given[-1])


@pytest.mark.usefixtures("untempered")
def test_halves_that_find_the_last_epoch_as_good_read_it() -> None:
    rng = np.random.default_rng(0)
    first = rng.uniform(0.5, 1.5, 40)
    # worse by 0.01 in the mean, and by anything from -0.3 to 0.3
    losses = np.stack([first, first + 0.01 + rng.permutation(np.linspace(-0.3, 0.3, 40))])
    fit = preferring_the_last(losses)
    assert np.mean(fit.chosen == 1) > 0.7
    surely = np.stack([first, first + 0.2 + rng.permutation(np.linspace(-0.3, 0.3, 40))])
    assert set(preferring_the_last(surely).chosen) == {0}


@pytest.mark.usefixtures("untempered")
def test_the_loss_where_all_halves_prefer_the_last_epoch_is_its_own() -> None:
    losses = np.array([[0.5, 0.6, 0.7, 0.8], [0.4, 0.9, 0.3, 1.2], [0.6, 0.5, 0.8, 0.7]])
    fit = preferring_the_last(losses)
    last = fit.chosen == 2
    assert last.any()
    np.testing.assert_allclose(fit.least[last], (fit.choosing @ losses[2])[last] / 2)


@pytest.mark.usefixtures("untempered")
def test_groups_that_agree_prefer_nothing_that_is_worse() -> None:
    first = np.full(8, 0.5)
    last = first + np.tile([0.0, 0.2], 4)
    # alone, half of the images are no worse; each group as a whole is worse by 0.1
    assert (preferring_the_last(np.stack([first, last])).chosen == 1).any()
    grouped = preferring_the_last(np.stack([first, last]), np.arange(8) // 2)
    assert set(grouped.chosen) == {0}


def test_a_last_epoch_that_is_no_number_is_not_preferred() -> None:
    given = predictions(np.array([[0.1, 0.2, 0.3], [np.nan, 0.2, 0.3]]))
    fit = CrossFit.of(np.zeros(3, int)).after(given[0]).after(given[1])
    assert set(fit.preferring(given[1]).chosen) == {0}


@pytest.mark.usefixtures("untempered")
@pytest.mark.parametrize("images", [2, 5, 8])
def test_it_is_never_less_than_the_loss_of_the_best_epoch(images: int) -> None:
    for seed in range(20):
        losses = np.random.default_rng(seed).uniform(0.01, 2, (6, images))
        assert fitted(losses).mean() >= losses.mean(axis=1).min() - 1e-4


@pytest.mark.usefixtures("untempered")
@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_an_epoch_with_a_prediction_that_is_no_number_is_never_chosen(broken: float) -> None:
    given = predictions(np.array([[0.1, 0.1, 0.1, 0.1], [1.0, 2.0, 3.0, 4.0]]))
    given[0, 0] = broken
    np.testing.assert_allclose(
        cross_fitted_losses(given, np.zeros(4, int)), [1.0, 2.0, 3.0, 4.0], rtol=1e-4
    )


def test_where_no_epoch_is_a_number_no_loss_is_finite() -> None:
    assert (
        cross_fitted_losses(np.full((3, 4, 2), np.nan), np.zeros(4, int)).tolist() == [np.inf] * 4
    )


def test_a_single_image_has_no_other_to_choose_by() -> None:
    assert fitted(np.array([[0.5], [0.25], [0.75]])) == pytest.approx([0.25])


def test_a_single_group_has_no_other_to_choose_by() -> None:
    losses = np.array([[0.5, 0.1], [0.25, 0.2], [0.75, 0.9]])
    assert fitted(losses, np.zeros(2)) == pytest.approx([0.25, 0.2])


@pytest.mark.usefixtures("untempered")
def test_images_of_one_group_lie_in_one_half() -> None:
    """Two groups: each is read where the other is best, however the images are ordered."""
    losses = np.array([[0.5, 5.0, 0.5, 5.0], [7.0, 1.0, 7.0, 1.0]])
    groups = np.array(["b", "a", "b", "a"])
    np.testing.assert_allclose(fitted(losses, groups), [7.0, 5.0, 7.0, 5.0], rtol=1e-4)


@pytest.mark.usefixtures("untempered")
def test_copies_of_images_gain_nothing_by_choosing_for_each_other() -> None:
    rng = np.random.default_rng(0)
    alone, copied, unaware = [], [], []
    for _ in range(50):
        losses = rng.exponential(1.0, (50, 10))
        alone.append(fitted(losses).mean())
        three = losses.repeat(3, axis=1)
        copied.append(fitted(three, np.repeat(np.arange(10), 3)).mean())
        unaware.append(fitted(three).mean())
    assert np.mean(copied) == pytest.approx(np.mean(alone), abs=1e-6)
    assert np.mean(unaware) < 0.8 * np.mean(copied)


def test_groups_of_one_image_change_nothing() -> None:
    losses = np.random.default_rng(1).uniform(0.01, 2, (5, 9))
    named = np.array(list("qwertyuio"))
    np.testing.assert_array_equal(fitted(losses, named), fitted(losses))


# Of the temperature.


def test_of_two_images_each_is_read_at_the_temperature_that_the_other_fits() -> None:
    """Log-odds of 2 and 8, the second wrong."""
    odds, labels = np.array([2.0, 8.0]), np.array([0, 1])
    logs = -np.logaddexp(0, np.stack([-odds, odds], axis=1))
    read = cross_fitted_losses(logs[np.newaxis], labels)
    for image, other in ((0, 1), (1, 0)):
        sign = 1 if labels[other] == 0 else -1

        def penalised(x: float, margin: float = sign * odds[other]) -> float:
            return float(np.logaddexp(0, -margin / np.exp(x)) + x**2 / (2 * PRIOR_DEVIATION**2))

        x = minimize_scalar(penalised, bounds=(-3, 3), method="bounded").x
        assert read[image] == pytest.approx(
            tempered_losses(logs[[image]], labels[[image]], x)[0], rel=2e-3
        )


def test_the_half_that_chooses_the_epoch_fits_the_temperature_there() -> None:
    """Of two epochs the second, best for all, is too sure; the first must not show."""
    worse, _ = answers(60, 1.0, seed=1)
    sure, labels = answers(60, 1.2)
    both = cross_fitted_losses(np.stack([worse, sure]), labels)
    np.testing.assert_array_equal(both, cross_fitted_losses(sure[np.newaxis], labels))


@pytest.mark.parametrize("surer", [0.4, 3.0])
def test_how_sure_a_strategy_is_changes_nothing_but_by_the_prior(
    surer: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, labels = answers(120, 1.0)
    scaled, _ = answers(120, surer)
    losses = [cross_fitted_losses(given[np.newaxis], labels) for given in (plain, scaled)]
    assert losses[1].mean() == pytest.approx(losses[0].mean(), rel=0.02)
    monkeypatch.setattr(PRIOR, 1e3)
    losses = [cross_fitted_losses(given[np.newaxis], labels) for given in (plain, scaled)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=5e-3)


def test_answers_that_are_three_times_too_sure_are_mended() -> None:
    sure, labels = answers(200, 3.0)
    plain = -sure[np.arange(200), labels].mean()
    right = -answers(200, 1.0)[0][np.arange(200), labels].mean()
    read = cross_fitted_losses(sure[np.newaxis], labels).mean()
    assert plain > 1.3 * right
    assert read == pytest.approx(right, rel=0.03)


def test_a_group_does_not_fit_its_own_temperature() -> None:
    """One group is sure and right, the other sure and wrong: each is read as the other fits."""
    logs = np.log(np.array([[0.95, 0.05]] * 10 + [[0.05, 0.95]] * 10))
    labels, groups = np.zeros(20, int), np.repeat([0, 1], 10)
    read = cross_fitted_losses(logs[np.newaxis], labels, groups)
    assert (read > -logs[:, 0]).all()
    unaware = cross_fitted_losses(logs[np.newaxis], labels)
    assert unaware.mean() < read.mean()


def test_predictions_of_several_divisions_are_read_each_and_averaged() -> None:
    first, labels = answers(40, 2.0)
    second, _ = answers(40, 2.0, seed=3)
    once = cross_fitted_losses(first[np.newaxis], labels)
    twice = cross_fitted_losses(np.stack([first, first])[np.newaxis], labels)
    np.testing.assert_allclose(twice, once, rtol=1e-9)
    both = np.stack([first, second])
    read, swapped = (cross_fitted_losses(given[np.newaxis], labels) for given in (both, both[::-1]))
    np.testing.assert_allclose(swapped, read, rtol=1e-9)
    # a temperature for both: the mean of two that are read at nearly the same one
    apart = [cross_fitted_losses(given[np.newaxis], labels).mean() for given in both]
    assert min(apart) < read.mean() < max(apart)


def test_the_same_predictions_give_the_same() -> None:
    given, labels = answers(9, 2.0)
    first, second = (cross_fitted_losses(given[np.newaxis], labels) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# Of what is kept.


def test_of_many_epochs_only_those_that_a_half_would_choose_are_kept() -> None:
    generator, labels = np.random.default_rng(0), np.zeros(12, int)
    fit = CrossFit.of(labels)
    for _ in range(300):
        fit = fit.after(predictions(generator.exponential(1.0, 12)))
    assert fit.epochs == 300
    assert set(fit.kept) == set(fit.chosen.tolist())
    assert len(fit.kept) <= len(fit.choosing) < 300
    for loss in (0.02, 0.01):
        fit = fit.after(predictions(np.full(12, loss)))
    assert list(fit.kept) == [301]


def test_epochs_to_come_change_nothing_in_what_was_there() -> None:
    generator, labels = np.random.default_rng(0), np.zeros(6, int)
    first = CrossFit.of(labels).after(predictions(generator.exponential(1.0, 6)))
    before = first.losses()
    second = first.after(predictions(np.full(6, 0.01)))
    assert (second.losses() < before).any()
    np.testing.assert_array_equal(first.losses(), before)


# Of groups, as it was seen.


def too_sure_probe(parts: int, seed: int) -> tuple[np.ndarray, ...]:
    """Six classes, parts of ten photos; a probe that is far too sure, and a timid other.

    Returns:
        Log-probabilities of both, labels, parts.
    """
    generator = np.random.default_rng(seed)
    part = np.repeat(np.arange(parts), 10)
    labels = part % 6
    own = np.eye(6)[labels]
    noise = generator.normal(0, 1, (parts, 6))[part] + generator.normal(0, 0.5, (len(part), 6))
    probe, other = 7 * (0.8 * own + noise), 0.3 * (0.4 * own + noise)
    logs = [z - np.log(np.exp(z).sum(axis=1, keepdims=True)) for z in (probe, other)]
    return (*logs, labels, part)


@pytest.mark.parametrize("seed", range(3))
def test_a_probe_that_is_far_too_sure_by_groups_is_read_as_what_it_is_worth(seed: int) -> None:
    probe, other, labels, parts = too_sure_probe(24, seed)
    rows = np.arange(len(labels))
    right = [(given.argmax(axis=1) == labels).mean() for given in (probe, other)]
    assert right[0] > right[1] + 0.05
    assert -probe[rows, labels].mean() > np.log(6) > -other[rows, labels].mean()
    read = [
        cross_fitted_losses(given[np.newaxis], labels, parts).mean() for given in (probe, other)
    ]
    assert read[0] < min(read[1], np.log(6))
