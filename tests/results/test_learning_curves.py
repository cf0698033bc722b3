"""Learning curves of hand-made answers, and what is said about them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.results.learning_curves import Curve, curve_facts, curve_table, learning_curves
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.test_results import TestResults

IMAGES, SIZES = 200, (5, 10, 20)
DEPTHS = {"feature_extraction": "0", "fine_tuning": "all", "from_scratch": "all"}


def experiment(
    shares: Mapping[str, Sequence[float]],
    classes: int = 5,
    sizes: Sequence[int | None] = SIZES,
    depths: Sequence[str] = (),
) -> tuple[pd.DataFrame, TestResults]:
    """Three seeds per strategy and size, which answer the same share of the images correctly."""
    rows: list[dict[str, Any]] = []
    predicted = {}
    for strategy, rights in shares.items():
        for place, (size, right) in enumerate(zip(sizes, rights, strict=True)):
            for seed in (2, 0, 1):
                run_id = f"{strategy}-{size}-{seed}"
                rows.append(
                    {
                        "run_id": run_id,
                        "strategy": strategy,
                        "unfrozen_blocks": depths[place] if depths else DEPTHS[strategy],
                        "train_per_class": size,
                        "seed": seed,
                    }
                )
                predicted[run_id] = (np.arange(IMAGES) >= right * IMAGES).astype(int)
    tested = dict.fromkeys(predicted, np.arange(IMAGES))
    names = [str(number) for number in range(classes)]
    return runs_table(map(FinishedRun.from_row, rows)), TestResults(
        np.zeros(IMAGES, int), tested, predicted, names
    )


def curves_of(*given: Any, **settings: Any) -> tuple[list[Curve], TestResults]:
    runs, results = experiment(*given, **settings)
    return learning_curves(runs, results), results


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
    shares = {"feature_extraction": feature_extraction, "fine_tuning": fine_tuning}
    (sentence,) = curve_facts(*curves_of(shares))["overtaking"]
    assert sentence.startswith("fine-tuning (all blocks) ")
    assert words in sentence


def test_more_photos_are_spread_over_the_classes() -> None:
    law = curve_facts(*curves_of({"fine_tuning": [0.6, 0.7, 0.8]}))["laws"][0]
    assert law["more_photos"]["train_per_class"] == 30
    assert law["more_photos"]["beyond_measured"] == 1.5
    gain = law["more_photos"]["gain"]
    assert 0 < gain["low"] <= gain["estimate"] <= gain["high"]


def test_a_law_far_beyond_what_was_measured_is_called_a_guess() -> None:
    near, far = (
        " ".join(curve_facts(*curves_of({"fine_tuning": [0.6, 0.7, 0.8]}, classes=n))["sentences"])
        for n in (5, 2)
    )
    assert "guess" not in near
    assert "2.2 times the largest size measured, so take it as a guess" in far


@pytest.mark.parametrize("shares", [[0.6, 0.7, 0.8], [0.5, 0.8, 0.95], [0.6, 0.9, 0.9]])
def test_no_accuracy_below_the_measured_one_is_promised(shares: list[float]) -> None:
    facts = curve_facts(*curves_of({"fine_tuning": shares}))
    (law,), sentence = facts["laws"], facts["sentences"][-1]
    higher = law["more_photos"]["accuracy"]["estimate"] > law["measured"]
    assert higher or "are not expected to raise" in sentence
    assert ("would add" in sentence) != ("are not expected to raise" in sentence)


def test_where_every_photo_was_answered_rightly_no_gain_is_foretold() -> None:
    facts = curve_facts(*curves_of({"fine_tuning": [0.6, 0.9, 1.0]}))
    assert facts["laws"][0]["measured"] == 1
    assert "every test photo was answered rightly" in facts["sentences"][-1]


def test_the_table_holds_what_was_measured_and_the_law() -> None:
    curves, _ = curves_of({"from_scratch": [0.2, 0.2, 0.2], "fine_tuning": [0.6, 0.7, 0.8]})
    table = curve_table(curves)
    own = table[table["strategy"] == "fine_tuning"]
    measured, fitted = (own[own["kind"] == kind] for kind in ("measured", "fitted"))
    assert measured["train_per_class"].tolist() == [5, 10, 20]
    assert measured["accuracy"].tolist() == pytest.approx([0.6, 0.7, 0.8])
    assert fitted["train_per_class"].max() == pytest.approx(40)
    assert (table["accuracy_low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["accuracy_high"]).all()


def test_a_search_is_one_method_whatever_depth_it_chose() -> None:
    curves, _ = curves_of({"searched": [0.6, 0.7, 0.8]}, depths=["0", "2", "all"])
    assert [(curve.name, list(curve.measured)) for curve in curves] == [("searched", [5, 10, 20])]


def test_depths_are_methods_of_their_own() -> None:
    curves, _ = curves_of({"fine_tuning": [0.6, 0.7, 0.8]}, depths=["2", "all", "all"])
    assert [(curve.name, list(curve.measured)) for curve in curves] == [
        ("fine-tuning (all blocks)", [10, 20])
    ]


@pytest.mark.parametrize("sizes", [[10], [None]])
def test_one_size_is_no_curve_and_all_images_are_no_size(sizes: list[int | None]) -> None:
    curves, _ = curves_of({"fine_tuning": [0.6]}, sizes=sizes)
    assert curves == []
