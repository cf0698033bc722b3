"""Which run is handed over, and why."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tl_keras.results.choice import LEAST_GROUPS, Choice, OnValidation, choose_run, follows
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.transfer.selection_losses import cross_fitted_losses

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
        "test_accuracy": 0.5,
        "losses": np.atleast_1d(losses).astype(float),
        "right": True,
    } | changed
    row["run_id"] = f"{strategy}-{row['unfrozen_blocks']}-n{row['train_per_class']}-s{seed}"
    return row


def choose(
    *rows: Mapping[str, Any], advice: Mapping[str, Any] | None = None, groups: Any = None
) -> Choice:
    validation = {}
    for row in rows:
        images = len(row["losses"])
        own = np.arange(images) if groups is None else np.asarray(groups)
        right = np.broadcast_to(np.asarray(row["right"], float), (images,))
        validation[row["run_id"]] = OnValidation(row["losses"], right, own)
    runs = runs_table(
        FinishedRun.from_row(columns)
        for columns in [
            {name: value for name, value in row.items() if name not in ("losses", "right")}
            | {"selection_loss": float(row["losses"].mean())}
            for row in rows
        ]
    )
    return choose_run(
        runs, validation, lambda row: advice is not None and follows(advice, row, "last")
    )


def overruled(
    gain: Any, *, groups: Any = None, righter: Any = 0.0, seeds: int = 1
) -> tuple[bool, str]:
    """Whether fine-tuning, whose losses are lower by `gain`, takes the place of a probe; and why.

    Args:
        gain: (images,).
        groups: (images,); None where each is its own.
        righter: by how much more often it is right, (images,) or one for all.
        seeds: with the same images.
    """
    gain = np.atleast_1d(gain).astype(float)
    rows = [
        row
        for seed in range(seeds)
        for row in (
            run("linear_probe", seed, 1 + gain, right=0.5),
            run("fine_tuning", seed, np.ones(len(gain)), right=0.5 + np.asarray(righter) / 2),
        )
    ]
    choice = choose(*rows, advice=PROBE, groups=groups)
    strategy = "fine_tuning-2" if choice.overruled else "linear_probe-0"
    assert choice.run_id.startswith(strategy)
    assert choice.advised == "linear probe"
    return choice.overruled, choice.sentence


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


def test_a_difference_that_chance_explains_does_not_overrule() -> None:
    """Of eight photos, gains of 0.1 +- s have the standard error s / sqrt(7).

    With s of 0.12 that is 2.20 standard errors, with 0.1 it is 2.65; the 97.5% quantile of
    Student's t with seven degrees of freedom is 2.36.
    """
    changed, sentence = overruled([-0.02, 0.22] * 4)
    assert not changed
    assert sentence.startswith("Linear probe ")
    assert "chance" in sentence
    assert "fine-tuning (2 blocks)" in sentence
    assert numbers(sentence) == ["1.000", "1.100", "0.045"]
    changed, sentence = overruled([0.0, 0.2] * 4)
    assert changed
    assert sentence.startswith("Fine-tuning (2 blocks) ")
    assert "linear probe" in sentence
    assert numbers(sentence) == ["1.000", "1.100", "0.038"]


def test_a_difference_without_any_spread_is_clear() -> None:
    assert overruled([0.25] * LEAST_GROUPS)[0]


@pytest.mark.parametrize("images", [1, 2, LEAST_GROUPS - 1])
def test_with_few_photos_one_cannot_tell(images: int) -> None:
    changed, sentence = overruled([9.0] * images, righter=1.0)
    assert not changed
    assert f"{images} photos are too few to tell: it takes {LEAST_GROUPS} " in sentence
    assert "chance" not in sentence


def test_photos_of_a_group_and_a_photo_in_several_seeds_count_once() -> None:
    many, few = np.tile([0.1, 0.3], 9), np.tile([0.1, 0.3], 2)
    assert overruled(many)[0]
    changed, sentence = overruled(many, groups=np.arange(18) % 6)
    assert not changed
    assert f"6 groups of photos are too few to tell: it takes {LEAST_GROUPS} " in sentence
    assert not overruled(few, seeds=9)[0]
    # eight groups of two that are alike: 2.20 standard errors, as above
    assert not overruled(np.repeat([-0.02, 0.22] * 4, 2), groups=np.repeat(np.arange(8), 2))[0]
    assert overruled(np.repeat([-0.02, 0.22] * 4, 2))[0]


def test_one_group_that_outweighs_the_others_is_hardly_more_than_one() -> None:
    """Of one group of 50 and twenty of one: 70^2 / (50^2 + 20) = 1.9 groups of one size."""
    groups = np.concatenate([np.zeros(50, int), np.arange(1, 21)])
    assert overruled(np.ones(70))[0]
    changed, sentence = overruled(np.ones(70), groups=groups)
    assert not changed
    assert "21 groups of photos, which weigh as 1.9 of one size, are too few" in sentence


def test_surer_answers_that_are_fewer_do_not_overrule() -> None:
    gain = np.full(20, 0.3)
    assert overruled(gain, righter=[1, -1] + [0] * 18)[0]
    changed, sentence = overruled(gain, righter=[-1] + [0] * 19)
    assert not changed
    assert "fewer of them correctly" in sentence
    assert "chance" not in sentence


def test_a_large_group_alone_does_not_overrule() -> None:
    """One group of six photos gains six answers, two of eleven groups of two lose two each."""
    groups = np.repeat(np.arange(12), [6] + [2] * 11)
    righter = np.repeat([1, -1, -1] + [0] * 9, [6] + [2] * 11)
    gain = np.full(28, 0.3)
    assert righter.sum() > 0
    changed, sentence = overruled(gain, groups=groups, righter=righter)
    assert not changed
    assert "over groups" in sentence
    assert overruled(gain, righter=righter)[0], "each photo on its own"
    assert overruled(gain, groups=groups, righter=np.abs(righter))[0]


def test_all_that_holds_it_back_is_said() -> None:
    _, sentence = overruled([-0.02, 0.22] * 4, righter=[-1] + [0] * 7)
    assert "chance" in sentence
    assert "fewer of them correctly" in sentence


def test_what_was_advised_and_has_no_finite_loss_is_not_kept() -> None:
    broken = run("linear_probe", 0, [np.inf] * 4)
    choice = choose(broken, run("fine_tuning", 0, [0.5] * 4), advice=PROBE)
    assert outcome(choice) == ("fine_tuning-2-n5-s0", "linear probe", True)


def test_what_has_no_finite_loss_takes_no_place() -> None:
    broken = run("fine_tuning", 0, [np.inf] * 4)
    choice = choose(run("linear_probe", 0, [0.5] * 4), broken, advice=PROBE)
    assert outcome(choice) == ("linear_probe-0-n5-s0", "linear probe", False)


def test_a_probe_that_is_far_too_sure_by_parts_is_not_overruled() -> None:
    """Six classes, forty parts of five photos; its plain loss is above that of guessing."""
    generator = np.random.default_rng(0)
    part = np.repeat(np.arange(40), 5)
    labels = part % 6
    own, rows = np.eye(6)[labels], np.arange(200)
    noise = generator.normal(0, 1, (40, 6))[part] + generator.normal(0, 0.5, (200, 6))
    logits = {"linear_probe": 7 * (0.8 * own + noise), "fine_tuning": 0.3 * (0.4 * own + noise)}
    plain, tempered = [], []
    for strategy, given in logits.items():
        logs = given - np.log(np.exp(given).sum(axis=1, keepdims=True))
        right = logs.argmax(axis=1) == labels
        plain.append(run(strategy, 0, -logs[rows, labels], right=right))
        read = cross_fitted_losses(logs[np.newaxis], labels, part)
        tempered.append(run(strategy, 0, read, right=right))
    probe, other = plain
    assert probe["right"].mean() > other["right"].mean()
    assert probe["losses"].mean() > np.log(6) > other["losses"].mean()
    choice = choose(*tempered, advice=PROBE, groups=part)
    assert not choice.overruled
    assert "nothing else has a lower loss" in choice.sentence
    # not the accuracy alone holds the plain losses back
    same = [row | {"right": True} for row in plain]
    assert choose(*same, advice=PROBE, groups=part).overruled


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
    rows = [run("linear_probe", seed, [0.5, 0.6] * 4) for seed in (0, 1)]
    choice = choose(*rows, run("fine_tuning", 1, [0.2, 0.3] * 4), advice=PROBE)
    assert choice.overruled
    # of seed 1 alone the differences are 0.05 and 0 in turn, and once -0.1
    rows = [run("linear_probe", 0, [0.9] * 8), run("linear_probe", 1, [0.25, 0.3] * 3 + [0.2, 0.2])]
    choice = choose(*rows, run("fine_tuning", 1, [0.2, 0.3] * 4), advice=PROBE)
    assert not choice.overruled
