"""The choice among trials, worked out by hand."""

from dataclasses import replace

import pytest

from tl_keras.transfer.fold_score import FoldScore
from tl_keras.transfer.trials import Trial, choose, summed_up, within_one_se

BLOCKS = ("a", "b", "c")
BEST = Trial("c", "all", 1e-3, 1.0, 0, "none", 9, "mean", 3, 30, 0.5, 0.1, 0.9, 400, 1.0)
OUTSIDE = replace(BEST, cut="a", validation_loss=0.601)


def chosen(*trials: Trial, rule: str = "one_standard_error") -> Trial:
    return choose([OUTSIDE, BEST, *trials], rule, BLOCKS)


def test_within_is_up_to_the_best_and_its_standard_error() -> None:
    # that of another trial does not matter
    near = replace(BEST, validation_loss=0.6, validation_loss_se=0.0)
    far = replace(OUTSIDE, validation_loss_se=9.0)
    assert within_one_se([far, BEST, near]) == [False, True, True]


def test_alone_within_is_the_best() -> None:
    assert chosen() is BEST


def test_cut_nearest_the_input_is_chosen_whatever_it_trains() -> None:
    low = replace(BEST, cut="b", validation_loss=0.59, trainable_parameters=999)
    assert chosen(replace(BEST, trainable_parameters=1), low) is low


def test_of_one_cut_the_fewest_trained_parameters_are_chosen() -> None:
    few = replace(BEST, validation_loss=0.59, trainable_parameters=399)
    assert chosen(few) is few


def test_of_equal_costs_the_least_loss_is_chosen() -> None:
    assert chosen(replace(BEST, validation_loss=0.59)) is BEST


def test_best_is_the_least_loss_whatever_it_costs() -> None:
    assert chosen(replace(BEST, cut="a", validation_loss=0.59), rule="best") is BEST


def test_standard_error_of_a_single_image_is_taken_for_zero() -> None:
    best = replace(BEST, validation_loss_se=float("nan"))
    assert within_one_se([best, OUTSIDE]) == [True, False]


def test_one_fold_keeps_the_standard_error_over_its_images() -> None:
    score = FoldScore(9, 0.5, 0.25, 0.75, 21, 1.5)
    assert summed_up([score]) == {
        "folds": 1,
        "epochs": 9,
        "validation_loss": 0.5,
        "validation_loss_se": 0.25,
        "validation_accuracy": 0.75,
        "trainable_parameters": 21,
        "seconds": 1.5,
    }


def test_folds_are_averaged() -> None:
    scores = [FoldScore(9, loss, 5.0, 0.75, 21, 1.5) for loss in (0.2, 0.4, 0.6)]
    found = summed_up(scores)
    assert found["validation_loss"] == pytest.approx(0.4)
    assert found["validation_loss_se"] == pytest.approx(0.2 / 3**0.5)
    assert (found["folds"], found["epochs"], found["seconds"]) == (3, 27, 4.5)
