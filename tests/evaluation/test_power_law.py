"""Power laws against known ones, and the coverage of what they foretell."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tl_keras.evaluation.power_law import fit_learning_curve, fit_power_law

SIZES = np.array([5.0, 10.0, 20.0, 40.0])


def law(asymptote: float, scale: float, exponent: float) -> NDArray[np.float64]:
    """Errors at `SIZES`."""
    return asymptote + scale * SIZES**-exponent


def drawn(
    errors: NDArray[np.float64], seeds: int, images: int, seed: int = 0
) -> dict[int, NDArray[np.bool_]]:
    """Answers by size; an image that is easy with few training images is easy with more."""
    generator = np.random.default_rng(seed)
    difficulty = generator.random((seeds, images))
    return {int(n): difficulty > error for n, error in zip(SIZES, errors, strict=False)}


@pytest.mark.parametrize(
    ("asymptote", "scale", "exponent"), [(0.0, 1.0, 0.5), (0.1, 1.5, 1.0), (0.05, 0.4, 0.25)]
)
def test_a_law_without_noise_is_found(asymptote: float, scale: float, exponent: float) -> None:
    errors = law(asymptote, scale, exponent)
    found = fit_power_law(SIZES, errors[np.newaxis], np.full(4, 0.01))
    assert found.exponent[0] == pytest.approx(exponent)
    assert found.asymptote[0] == pytest.approx(asymptote, abs=1e-9)
    assert found.scale[0] == pytest.approx(scale)
    assert found.accuracy(80)[0] == pytest.approx(1 - asymptote - scale * 80**-exponent)


def test_rows_are_fitted_by_themselves() -> None:
    errors = np.stack([law(0.1, 1.5, 1.0), law(0.0, 1.0, 0.5)])
    together = fit_power_law(SIZES, errors, np.full(4, 0.01))
    assert together.exponent == pytest.approx([1.0, 0.5])


def test_two_sizes_give_a_law_without_asymptote() -> None:
    found = fit_power_law(np.array([10.0, 20.0]), np.array([[0.4, 0.2]]), np.ones(2))
    assert (found.asymptote[0], found.exponent[0]) == (0.0, pytest.approx(1.0))
    assert found.accuracy(40)[0] == pytest.approx(0.9)


def test_errors_that_rise_give_a_level_law() -> None:
    found = fit_power_law(SIZES, np.array([[0.1, 0.2, 0.3, 0.4]]), np.ones(4))
    assert found.scale[0] == 0
    assert found.accuracy(80)[0] == pytest.approx(0.75)


def test_measured_accuracies_are_kept_as_they_are() -> None:
    curve = fit_learning_curve(drawn(law(0.1, 1.0, 0.5), 3, 200))
    assert curve.sizes.tolist() == SIZES.tolist()
    expected = [v.mean() for v in drawn(law(0.1, 1.0, 0.5), 3, 200).values()]
    assert curve.accuracies == pytest.approx(expected)
    assert (curve.n_seeds, curve.n_images) == (3, 200)


def test_the_gain_is_that_of_the_law_and_lies_in_its_interval() -> None:
    curve = fit_learning_curve(drawn(law(0.02, 1.0, 0.7), 3, 2000))
    gain = curve.gain(40, 80)
    assert gain.low <= gain.estimate <= gain.high
    true = 40**-0.7 - 80**-0.7
    assert gain.estimate == pytest.approx(true, abs=0.02)


def test_fewer_images_widen_the_interval() -> None:
    narrow, wide = (
        fit_learning_curve(drawn(law(0.1, 1.0, 0.5), 3, images)).at(80) for images in (2000, 50)
    )
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_a_curve_that_is_always_right_stays_there_and_is_not_certain() -> None:
    always = {5: np.ones((3, 40), bool), 10: np.ones((3, 40), bool)}
    ahead = fit_learning_curve(always).at(20)
    assert ahead.estimate == 1
    assert ahead.low < 0.999


def test_the_interval_holds_the_true_accuracy_ahead() -> None:
    errors, ahead = law(0.03, 0.9, 0.6), 1 - 0.03 - 0.9 * 60**-0.6
    held = 0
    for seed in range(100):
        interval = fit_learning_curve(drawn(errors, 3, 200, seed), resamples=300).at(60)
        held += interval.low <= ahead <= interval.high
    assert held >= 90


@pytest.mark.parametrize("images", [{5: 10}, {5: 10, 10: 11}])
def test_too_few_sizes_or_other_images_are_refused(images: dict[int, int]) -> None:
    correct = {size: np.ones((2, n), bool) for size, n in images.items()}
    with pytest.raises(ValueError, match="at least two training sizes with the same test images"):
        fit_learning_curve(correct)


def test_images_of_one_group_tell_less() -> None:
    alone = drawn(law(0.1, 1.0, 0.5), 1, 60)
    # every image five times
    crops = {size: np.repeat(answers, 5, axis=1) for size, answers in alone.items()}
    groups = np.repeat(np.arange(60), 5)
    grouped, apart = (
        fit_learning_curve(crops, numbers).at(40) for numbers in (groups, np.arange(300))
    )
    single = fit_learning_curve(alone).at(40)
    assert grouped.estimate == pytest.approx(single.estimate, abs=1e-4)
    widths = [found.high - found.low for found in (grouped, single, apart)]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)
    assert widths[2] < 0.7 * widths[0]


def test_groups_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="a number per image, 60; got"):
        fit_learning_curve(drawn(law(0.1, 1.0, 0.5), 3, 60), np.arange(59))


def test_an_error_that_falls_too_fast_for_an_asymptote_has_none() -> None:
    sizes = np.array([5.0, 10.0, 20.0, 40.0])
    errors = 100 * sizes**-3
    law = fit_power_law(sizes, errors[np.newaxis], np.ones(4))
    assert (law.asymptote.tolist(), law.exponent.tolist()) == ([0], [pytest.approx(2)])
    powers = sizes**-2
    assert law.scale[0] == pytest.approx(errors @ powers / (powers @ powers))
