"""Temperatures that are known, and calibration errors worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tl_keras.evaluation.calibration import (
    _alike,
    bin_starts,
    calibrate,
    calibration_error,
    calibration_scores,
    fit_temperature,
    reliability_table,
    temperature_draws,
)
from tl_keras.evaluation.dependence import effective_size
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions


def held_out(n: int, temperature: float, seed: int = 0) -> HeldOut:
    """Probabilities whose logits must be divided by a temperature to be right."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2.5, (n, 4))
    right = calibrate(np.exp(logits), temperature)
    labels = (generator.random((n, 1)) > right.cumsum(axis=1)).sum(axis=1)
    shares = np.bincount(labels, minlength=4) / n
    given = calibrate(np.exp(logits), 1)
    return HeldOut.pooled([Predictions(np.arange(n), labels, given)], shares)


def test_a_temperature_divides_the_logits() -> None:
    # odds of 16 become 4
    assert calibrate(np.array([[16 / 17, 1 / 17]]), 2) == pytest.approx(np.array([[0.8, 0.2]]))


def test_a_temperature_of_one_changes_nothing() -> None:
    given = np.array([[0.7, 0.2, 0.1]])
    assert calibrate(given, 1) == pytest.approx(given)


def test_a_commoner_class_is_more_probable() -> None:
    # odds of 1 times 0.9 / 0.1
    given = calibrate(np.array([[0.5, 0.5]]), 1, np.array([1.8, 0.2]))
    assert given == pytest.approx(np.array([[0.9, 0.1]]))


def test_a_probability_of_zero_stays_finite() -> None:
    assert np.isfinite(np.log(calibrate(np.array([[1.0, 0.0]], np.float32), 0.5))).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_that_is_right_is_found(temperature: float) -> None:
    found = fit_temperature(held_out(4000, temperature))
    assert found == pytest.approx(temperature, rel=0.08)


def all_right(n: int) -> HeldOut:
    """Right answers alone, each with a probability of 0.9."""
    labels = np.arange(n) % 2
    sure = np.where(np.eye(2)[labels] == 1, 0.9, 0.1)
    return HeldOut.pooled([Predictions(np.arange(n), labels, sure)], np.array([0.5, 0.5]))


def test_where_every_image_is_right_the_prior_holds_the_temperature() -> None:
    assert 0.2 < fit_temperature(all_right(200)) < 0.8


def test_a_few_right_answers_make_no_model_surer() -> None:
    few = all_right(20)
    assert fit_temperature(few) == pytest.approx(1, abs=0.02)
    # though it may well be too timid
    low, high = np.quantile(temperature_draws(few), [0.025, 0.975])
    assert low < 0.5 < 1 < high


def test_a_few_wrong_answers_make_a_model_less_sure() -> None:
    right = all_right(20)
    wrong = replace(right, labels=np.where(np.arange(20) < 8, 1 - right.labels, right.labels))
    assert fit_temperature(wrong) > 1.3


def test_the_temperature_undoes_shares_that_were_not_trained_for() -> None:
    """Nine in ten are of the first class; the model was trained on as many of either."""
    generator = np.random.default_rng(0)
    labels = (generator.random(6000) < 0.1).astype(int)
    evidence = generator.normal(np.where(labels == 1, 1.0, -1.0), 1)
    balanced = 1 / (1 + np.exp(-2 * evidence))
    given = np.stack([1 - balanced, balanced], axis=1)
    shares, factors = np.array([0.9, 0.1]), np.array([1.8, 0.2])
    pooled = HeldOut.pooled([Predictions(np.arange(6000), labels, given)], shares)
    temperature = fit_temperature(pooled, factors)
    assert temperature == pytest.approx(1, rel=0.1)
    mean = calibrate(given, temperature, factors)[:, 1].mean()
    assert mean == pytest.approx(labels.mean(), abs=0.01)


def test_the_interval_of_the_temperature_holds_the_right_one_and_narrows() -> None:
    few, many = (
        np.quantile(temperature_draws(held_out(n, 1.5)), [0.025, 0.975]) for n in (40, 900)
    )
    for low, high in (few, many):
        assert low < 1.5 < high
    assert many[1] / many[0] < few[1] / few[0]


def test_bins_hold_as_many_images_and_are_fewer_with_few() -> None:
    assert bin_starts(14).tolist() == [0]
    assert bin_starts(33).tolist() == [0, 16]
    assert len(bin_starts(5000)) == 10
    assert set(np.diff([*bin_starts(153), 153])) == {15, 16}


def test_the_calibration_error_is_the_gap_of_each_bin() -> None:
    # two bins of 15: 0.6 promised, 9 right; 0.9 promised, 12 right
    confidence = np.repeat([0.9, 0.6], 15)
    correct = np.repeat([True, False, True, False], [12, 3, 9, 6])
    assert calibration_error(confidence, correct[np.newaxis])[0] == pytest.approx(0.05)


def test_scores_by_hand() -> None:
    probabilities = np.array([[0.8, 0.2]] * 10)
    labels = np.array([0] * 7 + [1] * 3)
    scores = calibration_scores(labels, probabilities, np.zeros(10, int))
    assert scores.ece == pytest.approx(0.1)
    assert scores.brier == pytest.approx((7 * 2 * 0.2**2 + 3 * 2 * 0.8**2) / 10)
    assert scores.cross_entropy == pytest.approx(-(7 * math.log(0.8) + 3 * math.log(0.2)) / 10)
    assert (scores.bins, scores.n) == (1, 10)


def test_a_calibrated_model_has_the_error_that_is_expected_of_it() -> None:
    errors, expected, above = [], [], []
    for seed in range(60):
        right = held_out(150, 1.0, seed)
        answers = right.probabilities.argmax(axis=1)
        scores = calibration_scores(right.labels, right.probabilities, answers, 200, seed)
        errors.append(scores.ece)
        expected.append(scores.ece_if_calibrated)
        above.append(scores.ece > scores.ece_if_calibrated_high)
    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.1)
    assert np.mean(above) <= 0.15


def test_too_sure_a_model_has_a_larger_error_than_expected_and_calibration_mends_it() -> None:
    sure = held_out(600, 2.5)
    answers = sure.probabilities.argmax(axis=1)
    before = calibration_scores(sure.labels, sure.probabilities, answers)
    after = calibration_scores(sure.labels, calibrate(sure.probabilities, 2.5), answers)
    assert before.ece > before.ece_if_calibrated_high
    assert after.ece < after.ece_if_calibrated_high


def test_the_reliability_table_has_a_row_per_bin() -> None:
    probabilities = np.repeat([[0.6, 0.4], [0.9, 0.1]], 15, axis=0)
    labels = np.repeat([0, 1, 0, 1], [9, 6, 12, 3])
    table = reliability_table(labels, probabilities, np.zeros(30, int))
    assert table["bin"].tolist() == [1, 2]
    assert table["count"].tolist() == [15, 15]
    assert table["confidence"].tolist() == pytest.approx([0.6, 0.9])
    assert table["accuracy"].tolist() == pytest.approx([0.6, 0.8])
    assert (table["accuracy_low"] < table["accuracy"]).all()
    assert (table["accuracy"] < table["accuracy_high"]).all()


def in_groups(n: int, of_one: int) -> HeldOut:
    """The first of `n` images of `held_out` `of_one` times each, as shots of one part."""
    one = held_out(n, 1.5)
    rows = np.repeat(np.arange(n), of_one)
    shots = Predictions(np.arange(n * of_one), one.labels[rows], one.probabilities[rows], rows)
    return HeldOut.pooled([shots], np.bincount(one.labels, minlength=4) / n)


def test_shots_of_a_part_make_no_temperature_surer() -> None:
    parts, shots = held_out(30, 1.5), in_groups(30, 8)
    assert fit_temperature(shots) == pytest.approx(fit_temperature(parts), rel=0.02)
    few, same = (temperature_draws(images) for images in (parts, shots))
    assert np.ptp(np.log(same)) == pytest.approx(np.ptp(np.log(few)), rel=0.1)


def test_shots_of_a_part_err_together_where_probabilities_are_right() -> None:
    right = held_out(40, 1.0)
    rows, groups = np.repeat(np.arange(40), 10), np.repeat(np.arange(40), 10)
    answers = right.probabilities.argmax(axis=1)
    shown = right.labels[rows], right.probabilities[rows], answers[rows]
    aware, unaware = calibration_scores(*shown, groups=groups), calibration_scores(*shown)
    parts = calibration_scores(right.labels, right.probabilities, answers)
    assert aware.ece == unaware.ece
    assert unaware.ece_if_calibrated_high < aware.ece_if_calibrated_high
    # ten bins in place of two hold fewer parts each
    assert aware.ece_if_calibrated > parts.ece_if_calibrated
    alone = calibration_scores(right.labels, right.probabilities, answers, groups=np.arange(40))
    assert alone == parts


def test_images_that_are_not_alike_in_their_groups_err_each_for_itself() -> None:
    right = held_out(400, 1.0)
    answers = right.probabilities.argmax(axis=1)
    shown = right.labels, right.probabilities, answers
    shuffled = calibration_scores(*shown, groups=np.arange(400) % 200)
    alone = calibration_scores(*shown)
    assert shuffled.ece_if_calibrated == pytest.approx(alone.ece_if_calibrated, rel=0.1)


def test_a_bin_of_one_part_has_the_interval_of_one_part() -> None:
    probabilities = np.repeat([[0.6, 0.4], [0.9, 0.1]], 15, axis=0)
    table = reliability_table(
        np.zeros(30, int), probabilities, np.zeros(30, int), np.repeat([0, 1], 15)
    )
    # one of one by Wilson
    assert table["accuracy_low"].tolist() == pytest.approx([0.2065] * 2, abs=1e-4)


def test_the_temperatures_lie_around_the_one_that_fits() -> None:
    many = held_out(4000, 1.5)
    draws = np.log(temperature_draws(many))
    assert np.median(draws) == pytest.approx(np.log(fit_temperature(many)), abs=0.004)


def test_what_chance_leaves_of_a_calibrated_model_is_known_for_a_single_bin() -> None:
    even = np.full((14, 2), 0.5)
    scores = calibration_scores(np.zeros(14, int), even, np.zeros(14, int), simulations=20_000)
    # of 14 coins |heads - 7| is at most 3 in 94.3%, at most 4 in 98.7%
    assert scores.ece_if_calibrated_high == pytest.approx(4 / 14)


def test_simulated_images_of_a_group_are_as_alike_as_the_real_ones() -> None:
    right = np.array([True, True, True] * 12 + [False] * 3 * 2 + [True, False, False] * 26)
    groups, confidence = np.arange(120) // 3, np.full(120, 0.6)
    effect = 120 / effective_size(right - confidence, groups, (-0.6, 0.4))
    expected = (effect - 1) / (3 - 1)
    assert 0.1 < expected < 0.9
    generator = np.random.default_rng(0)
    draws = _alike(generator.random((4000, 120)), groups, right, confidence, generator) < 0.6
    first, second = draws[:, ::3].ravel(), draws[:, 1::3].ravel()
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(expected, abs=0.01)


def test_what_chance_leaves_lies_below_its_upper_end_where_errors_are_rare() -> None:
    sure = np.tile([0.9999, 0.0001], (40, 1))
    scores = calibration_scores(np.zeros(40, int), sure, np.zeros(40, int))
    assert scores.ece_if_calibrated <= scores.ece_if_calibrated_high
