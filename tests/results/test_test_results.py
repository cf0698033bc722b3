"""Test predictions by run: with one test split, and with folds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tl_keras.evaluation.fold_intervals import CORRECTED_T
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.test_results import (
    TestResults,
    by_strategy,
    rows_like,
    seed_name,
    strategy_name,
)

LABELS = np.tile([0, 1], 10)
# two divisions into two folds
FOLDS = [np.arange(10), np.arange(10, 20), np.arange(0, 20, 2), np.arange(1, 20, 2)]


def runs(strategy: str, seeds: int = 4) -> pd.DataFrame:
    return runs_table(
        FinishedRun.from_row(columns)
        for columns in [
            {
                "run_id": f"{strategy}-s{seed}",
                "strategy": strategy,
                "unfrozen_blocks": "0",
                "train_per_class": None,
                "seed": seed,
                "training_images": 7,
                "validation_images": 3,
            }
            for seed in range(seeds)
        ]
    )


def results(wrong: dict[str, int], folds: int = 2) -> TestResults:
    """Every run is right but for its first `wrong` test images."""
    rows, predicted = {}, {}
    for strategy, number in wrong.items():
        for seed, images in enumerate(FOLDS):
            rows[f"{strategy}-s{seed}"] = images
            answers = LABELS[images].copy()
            answers[:number] = 1 - answers[:number]
            predicted[f"{strategy}-s{seed}"] = answers
    return TestResults(LABELS, rows, predicted, ("a", "b"), folds)


def test_a_run_is_compared_with_the_labels_of_its_own_images() -> None:
    found = results({"searched": 2})
    assert found.correct_of("searched-s3").tolist() == [False] * 2 + [True] * 8
    np.testing.assert_array_equal(found.labels_of("searched-s2"), np.zeros(10))


def test_accuracy_over_folds_counts_every_image_once() -> None:
    interval = results({"searched": 2}).accuracy(runs("searched"))
    assert (interval.estimate, interval.n_images, interval.n_seeds) == (0.8, 20, 4)
    assert interval.method == CORRECTED_T
    assert interval.about == (
        "the method, trained on about 10 images, on a new data set of this kind"
    )
    assert interval.counts == "2 x 2 folds and 20 test images"


def test_a_difference_is_paired_by_fold() -> None:
    found = results({"searched": 1, "linear_probe": 4})
    pair = found.difference(runs("searched"), runs("linear_probe"))
    assert pair is not None
    difference, needed = pair
    assert difference.estimate == pytest.approx(0.3)
    assert difference.low > 0
    assert needed.images == 20


def test_without_a_common_seed_there_is_no_difference() -> None:
    found = results({"searched": 1, "linear_probe": 4})
    ours, theirs = runs("searched"), runs("linear_probe")
    assert found.difference(ours[:2], theirs[2:]) is None


def test_the_ratio_counts_different_images() -> None:
    found = results({"searched": 1})
    assert found.class_ratio(["searched-s2", "searched-s0"]) == pytest.approx(10 / 5)


def test_depths_that_a_search_chose_by_fold_are_one_strategy() -> None:
    table = runs("searched")
    table["unfrozen_blocks"] = pd.array(["0", "2", "2", "all"], "string")
    ((keys, group),) = by_strategy(table)
    assert keys["unfrozen_blocks"] == "varies"
    assert group["unfrozen_blocks"].tolist() == ["0", "2", "2", "all"]
    assert strategy_name(keys) == "searched (in each fold)"


@pytest.mark.parametrize(
    ("strategy", "depth", "name"),
    [
        ("majority_class", None, "majority class"),
        ("from_scratch", "all", "from scratch"),
        ("feature_extraction", "0", "feature extraction"),
        ("fine_tuning", "1", "fine-tuning (1 block)"),
        ("fine_tuning", "all", "fine-tuning (all blocks)"),
        ("searched", "0", "searched (0 blocks)"),
        ("searched", "block_2:block_5", "searched (block_2 to block_5)"),
        ("searched", None, "searched"),
    ],
)
def test_strategies_have_names_for_people(strategy: str, depth: str | None, name: str) -> None:
    assert strategy_name({"strategy": strategy, "unfrozen_blocks": depth}) == name


def test_missing_values_are_equal_and_differ_from_others() -> None:
    table = pd.DataFrame(
        {
            "strategy": ["majority_class", "fine_tuning"],
            "unfrozen_blocks": pd.array([None, "2"], "string"),
            "train_per_class": pd.array([None, 5], "Int64"),
        }
    )
    for place in (0, 1):
        found = rows_like(table, table.iloc[place].to_dict())
        assert found.index.tolist() == [place]


def test_answers_of_folds_are_in_the_order_of_the_images() -> None:
    runs = pd.DataFrame({"run_id": ["a", "b", "c", "d"], "seed": [0, 1, 2, 3]})
    rows = {"a": [0, 2], "b": [1, 3], "c": [2, 3], "d": [0, 1]}
    results = TestResults(
        labels=np.array([0, 0, 0, 1]),
        rows={name: np.array(places) for name, places in rows.items()},
        predicted={name: np.zeros(2, int) for name in rows},
        classes=("x", "y"),
        folds=2,
    )
    assert results.answers(runs).tolist() == [[True, True, True, False]] * 2


def test_seeds_and_folds_have_names() -> None:
    assert seed_name(3, None) == "seed 3"
    assert seed_name(3, 5) == "fold 4 of 5"
    assert seed_name(5, 5) == "fold 1 of 5, repeat 2"


def test_the_groups_of_answers_are_in_their_order() -> None:
    found = results({"searched": 2})
    assert found.answer_groups(runs("searched")) is None
    grouped = replace(found, groups=np.arange(20) // 2)
    answers, groups = (
        grouped.answers(runs("searched")),
        grouped.answer_groups(runs("searched")),
    )
    assert groups is not None
    assert answers.shape == (2, 20)
    assert groups.tolist() == (np.arange(20) // 2).tolist()
    one_split = replace(grouped, folds=0).answer_groups(runs("searched", 1))
    assert one_split is not None
    assert one_split.tolist() == (np.arange(10) // 2).tolist()
