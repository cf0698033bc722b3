"""Learning curves of hand-made answers, and what is said about them."""

import numpy as np
import pandas as pd
import pytest

from tl_keras.reporting import tables
from tl_keras.reporting.curves import (
    Answers,
    answers_by_size,
    curve_facts,
    curve_table,
    learning_curves,
)
from tl_keras.reporting.ledger import runs_table

IMAGES = 200


def right(share: float) -> np.ndarray:
    """Three seeds that answer the same share of the images correctly, the first ones."""
    return np.tile(np.arange(IMAGES) < share * IMAGES, (3, 1))


def answers(feature_extraction: list[float], fine_tuning: list[float]) -> Answers:
    """By size 5, 10, 20, as many as there are shares."""
    sizes = (5, 10, 20)
    return {
        ("feature_extraction", "0"): {
            n: right(share) for n, share in zip(sizes, feature_extraction, strict=True)
        },
        ("fine_tuning", "all"): {
            n: right(share) for n, share in zip(sizes, fine_tuning, strict=True)
        },
    }


@pytest.mark.parametrize(
    ("feature_extraction", "fine_tuning", "words"),
    [
        ([0.6, 0.7, 0.75], [0.4, 0.7, 0.95], "overtakes feature extraction at 20 training photos"),
        ([0.6, 0.7, 0.75], [0.8, 0.9, 0.95], "is better than feature extraction from 5 to 20"),
        ([0.6, 0.7, 0.75], [0.3, 0.4, 0.5], "is worse than feature extraction from 5 to 20"),
        ([0.6, 0.7, 0.75], [0.6, 0.7, 0.75], "does not clearly overtake feature extraction from"),
        ([0.6, 0.7, 0.95], [0.8, 0.9, 0.95], "at 5, 10 per class, but not beyond"),
    ],
)
def test_where_fine_tuning_overtakes(
    feature_extraction: list[float], fine_tuning: list[float], words: str
) -> None:
    given = answers(feature_extraction, fine_tuning)
    (sentence,) = curve_facts(learning_curves(given), given, classes=2)["overtaking"]
    assert sentence.startswith("fine-tuning (all blocks) ")
    assert words in sentence


def test_more_photos_are_spread_over_the_classes() -> None:
    given = answers([0.6, 0.7, 0.8], [0.6, 0.7, 0.8])
    law = curve_facts(learning_curves(given), given, classes=5)["laws"][0]
    assert law["more_photos"]["train_per_class"] == 30
    assert law["more_photos"]["beyond_measured"] == 1.5
    gain = law["more_photos"]["gain"]
    assert 0 < gain["low"] <= gain["estimate"] <= gain["high"]


def test_a_law_far_beyond_what_was_measured_is_called_a_guess() -> None:
    given = answers([0.6, 0.7, 0.8], [0.6, 0.7, 0.8])
    near, far = (
        " ".join(curve_facts(learning_curves(given), given, classes)["sentences"])
        for classes in (5, 2)
    )
    assert "guess" not in near
    assert "2.2 times the largest size measured, so take it as a guess" in far


def test_the_table_holds_what_was_measured_and_the_law() -> None:
    given = answers([0.6, 0.7, 0.8], [0.6, 0.7, 0.8])
    table = curve_table(learning_curves(given))
    measured = table[(table["kind"] == "measured") & (table["strategy"] == "fine_tuning")]
    assert measured["train_per_class"].tolist() == [5, 10, 20]
    assert measured["accuracy"].tolist() == pytest.approx([0.6, 0.7, 0.8])
    fitted = table[(table["kind"] == "fitted") & (table["strategy"] == "fine_tuning")]
    assert fitted["train_per_class"].max() == pytest.approx(40)
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["accuracy_high"]).all()


def runs(sizes: list[int | None], strategy: str = "fine_tuning") -> pd.DataFrame:
    return runs_table(
        [
            {
                "run_id": f"{strategy}-{size}-{seed}",
                "strategy": strategy,
                "unfrozen_blocks": "all" if size == 5 else "2",
                "train_per_class": size,
                "seed": seed,
            }
            for size in sizes
            for seed in (1, 0)
        ]
    )


def results_of(table: pd.DataFrame) -> tables.TestResults:
    """Seed 0 answers class 0 always, seed 1 class 1; the truth is 0, 1, 1."""
    predicted = {row["run_id"]: np.full(3, row["seed"]) for row in table.to_dict("records")}
    return tables.TestResults(np.array([0, 1, 1]), predicted, ("a", "b"))


def test_answers_are_in_the_order_of_the_seeds() -> None:
    table = runs([10])
    found = answers_by_size(table, results_of(table))
    assert found["fine_tuning", "2"][10].tolist() == [[True, False, False], [False, True, True]]


def test_depths_are_methods_of_their_own_but_not_those_that_a_search_chose() -> None:
    by_hand, searched = runs([5, 10]), runs([5, 10], "searched")
    assert len(answers_by_size(by_hand, results_of(by_hand))) == 2
    found = answers_by_size(searched, results_of(searched))
    assert {method: sorted(sizes) for method, sizes in found.items()} == {
        ("searched", None): [5, 10]
    }


def test_all_images_that_are_left_are_no_size() -> None:
    table = runs([None])
    assert answers_by_size(table, results_of(table)) == {}


def test_one_size_is_no_curve() -> None:
    table = runs([10])
    assert learning_curves(answers_by_size(table, results_of(table))) == []
