"""Which run is handed over, and why."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tl_keras.results.choice import Choice, choose_run, follows
from tl_keras.results.runs_table import FinishedRun, runs_table

NAMES = {
    "from_scratch": "all",
    "feature_extraction": "0",
    "linear_probe": "0",
    "fine_tuning": "2",
    "majority_class": None,
}
PROBE = {"strategy": "linear_probe", "cut": "block_3"}
TUNING = {"strategy": "fine_tuning", "cut": "top"}


def run(strategy: str, seed: int, losses: Any, **changed: Any) -> dict[str, Any]:
    row = {
        "strategy": strategy,
        "seed": seed,
        "unfrozen_blocks": NAMES.get(strategy),
        "train_per_class": 5,
        "cut": "last",
        "trainable_parameters": 100,
        "validation_loss": 0.0,
        "validation_accuracy": 0.75,
        "test_accuracy": 0.5,
        "losses": np.atleast_1d(losses),
    } | changed
    row["run_id"] = f"{strategy}-{row['unfrozen_blocks']}-n{row['train_per_class']}-s{seed}"
    return row


def choose(
    *rows: Mapping[str, Any], advice: Mapping[str, Any] | None = None, groups: Any = None
) -> Choice:
    losses = {row["run_id"]: row["losses"] for row in rows}
    runs = runs_table(
        FinishedRun.from_row(columns)
        for columns in [
            {name: value for name, value in row.items() if name != "losses"}
            | {"selection_loss": float(row["losses"].mean())}
            for row in rows
        ]
    )
    own = {
        run_id: np.arange(len(values)) if groups is None else np.asarray(groups)
        for run_id, values in losses.items()
    }
    return choose_run(
        runs, losses, own, lambda row: advice is not None and follows(advice, row, "last")
    )


def numbers(sentence: str) -> list[str]:
    """Losses and their error, in the order in which a sentence names them."""
    return re.findall(r"\d+\.\d{3}", sentence)


def outcome(choice: Choice) -> tuple[str, str | None, bool]:
    """A choice without its sentence."""
    return choice.run_id, choice.advised, choice.overruled


def test_without_advice_the_best_mean_wins_not_the_best_run() -> None:
    choice = choose(
        *(run("from_scratch", seed, loss) for seed, loss in enumerate((0.1, 0.9, 0.9))),
        *(run("fine_tuning", seed, loss) for seed, loss in enumerate((0.4, 0.5, 0.3))),
    )
    assert outcome(choice) == ("fine_tuning-2-n5-s0", None, False)
    assert choice.sentence.startswith("Fine-tuning (2 blocks) ")
    assert numbers(choice.sentence) == ["0.400"]


def test_of_an_even_number_the_better_of_the_two_in_the_middle_is_chosen() -> None:
    rows = [run("fine_tuning", seed, loss) for seed, loss in enumerate((0.4, 0.1, 0.3, 0.2))]
    assert choose(*rows).run_id == "fine_tuning-2-n5-s3"


def test_equal_losses_are_ordered_by_seed() -> None:
    rows = [run("fine_tuning", seed, 0.5) for seed in (2, 0, 1)]
    assert choose(*rows).run_id == "fine_tuning-2-n5-s1"


def test_of_equal_strategies_the_one_that_trains_least_is_chosen() -> None:
    choice = choose(
        run("fine_tuning", 0, 0.5, trainable_parameters=300),
        run("feature_extraction", 0, 0.5, trainable_parameters=10),
    )
    assert choice.run_id == "feature_extraction-0-n5-s0"


def test_neither_the_test_split_nor_the_flattered_loss_chooses() -> None:
    choice = choose(
        run("from_scratch", 0, 0.5, test_accuracy=1.0, validation_loss=0.1),
        run("fine_tuning", 0, 0.4, test_accuracy=0.0, validation_loss=0.3),
    )
    assert choice.run_id == "fine_tuning-2-n5-s0"


def test_depths_are_candidates_of_their_own() -> None:
    choice = choose(run("fine_tuning", 0, 0.5, unfrozen_blocks="1"), run("fine_tuning", 0, 0.4))
    assert choice.run_id == "fine_tuning-2-n5-s0"


@pytest.mark.parametrize("largest", [10, None])
def test_only_the_largest_size_is_a_candidate(largest: int | None) -> None:
    choice = choose(
        run("fine_tuning", 0, 0.1), run("linear_probe", 0, 0.4, train_per_class=largest)
    )
    assert choice.run_id.startswith("linear_probe")


def test_the_majority_class_is_chosen_only_when_alone() -> None:
    majority = run("majority_class", 0, 0.1)
    assert choose(majority, run("from_scratch", 0, 0.9)).run_id == "from_scratch-all-n5-s0"
    assert choose(majority).run_id == majority["run_id"]


def test_a_search_in_every_fold_is_one_strategy() -> None:
    choice = choose(
        run("searched", 0, 0.1, unfrozen_blocks="0"),
        run("searched", 1, 0.6, unfrozen_blocks="2"),
        run("searched", 2, 0.5, unfrozen_blocks="2"),
        run("fine_tuning", 0, 0.3),
    )
    assert choice.run_id == "fine_tuning-2-n5-s0", "0.1 is of one fold, the mean is 0.4"


def test_advice_that_has_the_lowest_loss_is_followed() -> None:
    choice = choose(
        run("linear_probe", 0, [0.1, 0.2]), run("fine_tuning", 0, [0.3, 0.4]), advice=PROBE
    )
    assert outcome(choice) == ("linear_probe-0-n5-s0", "linear probe", False)
    assert choice.sentence.startswith("Linear probe ")
    assert numbers(choice.sentence) == ["0.150"]


def test_advice_stands_until_another_is_clearly_better() -> None:
    # differences 0.05 and 0.3: mean 0.175, standard error 0.125
    probe = run("linear_probe", 0, [0.4, 0.7])
    choice = choose(probe, run("fine_tuning", 0, [0.35, 0.4]), advice=PROBE)
    assert outcome(choice) == ("linear_probe-0-n5-s0", "linear probe", False)
    assert "fine-tuning (2 blocks)" in choice.sentence
    assert "less than two standard errors" in choice.sentence
    assert numbers(choice.sentence) == ["0.375", "0.550", "0.125"]
    # differences 0.16 and 0.25: mean 0.205, standard error 0.045
    choice = choose(probe, run("fine_tuning", 0, [0.24, 0.45]), advice=PROBE)
    assert outcome(choice) == ("fine_tuning-2-n5-s0", "linear probe", True)
    assert choice.sentence.startswith("Fine-tuning (2 blocks) ")
    assert "linear probe" in choice.sentence
    assert numbers(choice.sentence) == ["0.345", "0.550", "0.045"]


def test_surer_answers_that_are_no_better_do_not_overrule() -> None:
    probe = run("linear_probe", 0, [0.4, 0.7])
    tuned = run("fine_tuning", 0, [0.24, 0.45], validation_accuracy=0.7)
    choice = choose(probe, tuned, advice=PROBE)
    assert choice.run_id == "linear_probe-0-n5-s0"
    assert "fewer of them correctly" in choice.sentence
    assert numbers(choice.sentence)[:2] == ["0.345", "0.550"]


def test_one_image_in_several_seeds_and_images_of_a_group_count_once() -> None:
    probe = [run("linear_probe", seed, [0.5, 0.7]) for seed in range(9)]
    tuned = [run("fine_tuning", seed, [0.4, 0.4]) for seed in range(9)]
    assert not choose(*probe, *tuned, advice=PROBE).overruled
    many = np.tile([0.5, 0.7], 9), np.tile([0.4, 0.4], 9)
    single = run("linear_probe", 0, many[0]), run("fine_tuning", 0, many[1])
    assert choose(*single, advice=PROBE).overruled
    assert not choose(*single, advice=PROBE, groups=np.arange(18) % 2).overruled


def test_a_single_photo_overrules_nothing() -> None:
    choice = choose(run("linear_probe", 0, 9.0), run("fine_tuning", 0, 0.0), advice=PROBE)
    assert not choice.overruled
    assert "standard error of the difference inf" in choice.sentence


def test_of_several_depths_of_advised_fine_tuning_the_lowest_loss_counts() -> None:
    choice = choose(
        run("fine_tuning", 0, [0.5, 0.5]),
        run("fine_tuning", 0, [0.4, 0.4], unfrozen_blocks="all"),
        run("linear_probe", 0, [0.3, 0.5]),
        advice=TUNING,
    )
    assert choice.run_id == "fine_tuning-all-n5-s0"
    assert choice.advised == "fine-tuning (all blocks)"


@pytest.mark.parametrize(
    ("advice", "row", "expected"),
    [
        (PROBE, {"strategy": "linear_probe", "cut": "block_2"}, True),
        (PROBE, {"strategy": "fine_tuning", "cut": "block_3"}, False),
        (TUNING, {"strategy": "fine_tuning", "cut": "last"}, True),
        (TUNING, {"strategy": "fine_tuning", "cut": "block_3"}, False),
        ({**TUNING, "cut": "block_3"}, {"strategy": "fine_tuning", "cut": "block_3"}, True),
    ],
)
def test_what_is_advised_has_its_strategy_and_its_cut(
    advice: dict[str, str], row: dict[str, str], expected: bool
) -> None:
    assert follows(advice, row, "last") is expected


def test_seeds_that_one_of_both_lacks_do_not_count() -> None:
    rows = [run("linear_probe", seed, [0.5, 0.6]) for seed in (0, 1)]
    choice = choose(*rows, run("fine_tuning", 1, [0.2, 0.3]), advice=PROBE)
    assert choice.overruled
    # Of seed 1 alone the differences are 0.05 and 0: the mean is as large as its standard error.
    rows = [run("linear_probe", 0, [0.9, 0.9]), run("linear_probe", 1, [0.25, 0.3])]
    choice = choose(*rows, run("fine_tuning", 1, [0.2, 0.3]), advice=PROBE)
    assert not choice.overruled
