"""Every pair of strategies of a size is compared once."""

import numpy as np
import pandas as pd
import pytest

from tl_keras.results.comparisons import COLUMNS, comparison_table
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.test_results import TestResults

LABELS = np.tile([0, 1], 50)
# strategy, depth and how many of the images it gets wrong
STRATEGIES = (("from_scratch", "all", 60), ("fine_tuning", "1", 20), ("fine_tuning", "2", 21))


@pytest.fixture
def table() -> pd.DataFrame:
    rows, predicted = [], {}
    for size in (5, 10):
        for strategy, depth, wrong in STRATEGIES:
            for seed in (0, 1):
                run_id = f"{strategy}-{depth}-n{size}-s{seed}"
                rows.append(
                    {
                        "run_id": run_id,
                        "strategy": strategy,
                        "unfrozen_blocks": depth,
                        "train_per_class": size,
                        "seed": seed,
                    }
                )
                predicted[run_id] = np.where(np.arange(100) < wrong, 1 - LABELS, LABELS)
    runs = runs_table(map(FinishedRun.from_row, rows))
    everywhere = dict.fromkeys(predicted, np.arange(100))
    return comparison_table(runs, TestResults(LABELS, everywhere, predicted, ("a", "b")))


def test_a_row_per_pair_of_a_size(table: pd.DataFrame) -> None:
    assert tuple(table) == COLUMNS
    pairs = table[["train_per_class", "a_name", "b_name"]].to_numpy().tolist()
    first = [
        [5, "fine-tuning (1 block)", "from scratch"],
        [5, "fine-tuning (2 blocks)", "from scratch"],
        [5, "fine-tuning (2 blocks)", "fine-tuning (1 block)"],
    ]
    assert pairs == first + [[10, *names] for _, *names in first]


def test_the_keys_of_the_runs_are_there(table: pd.DataFrame) -> None:
    first = table.iloc[0].to_dict()
    assert (first["a"], first["a_unfrozen_blocks"]) == ("fine_tuning", "1")
    assert (first["b"], first["b_unfrozen_blocks"]) == ("from_scratch", "all")


def test_a_clear_difference_is_said(table: pd.DataFrame) -> None:
    clear = table.loc[0]
    assert clear["difference"] == pytest.approx(0.4)
    assert clear["difference_low"] > 0
    assert clear["verdict"] == "better"
    assert pd.isna(clear["needed"])


def test_an_unclear_one_says_what_would_be_needed(table: pd.DataFrame) -> None:
    unclear = table.loc[2]
    assert unclear["difference"] == pytest.approx(-0.01)
    assert unclear["verdict"] == "not distinguishable"
    assert 400 < unclear["images_needed"] < 1200
    assert "test images" in unclear["needed"]


def test_one_strategy_alone_has_no_pairs() -> None:
    row = {
        "run_id": "a",
        "strategy": "from_scratch",
        "unfrozen_blocks": "all",
        "train_per_class": None,
        "seed": 0,
    }
    results = TestResults(LABELS, {"a": np.arange(2)}, {"a": np.array([0, 1])}, ("a", "b"))
    table = comparison_table(runs_table([FinishedRun.from_row(row)]), results)
    assert tuple(table) == COLUMNS
    assert table.empty


def test_feature_extraction_is_always_what_others_are_compared_with() -> None:
    rows = [
        {
            "run_id": f"{strategy}-{seed}",
            "strategy": strategy,
            "unfrozen_blocks": depth,
            "train_per_class": 5,
            "seed": seed,
        }
        for strategy, depth in (("from_scratch", "all"), ("feature_extraction", "0"))
        for seed in (0, 1)
    ]
    runs = runs_table(map(FinishedRun.from_row, rows))
    names = runs["run_id"].tolist()
    answers = {name: np.zeros(4, int) for name in names}
    tested = dict.fromkeys(names, np.arange(4))
    results = TestResults(np.array([0, 0, 1, 1]), tested, answers, ("x", "y"))
    table = comparison_table(runs, results)
    assert table[["a", "b"]].to_numpy().tolist() == [["from_scratch", "feature_extraction"]]
