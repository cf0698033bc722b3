"""What a decision says of itself: its figures, each where it belongs, in words that may change."""

import re
from typing import Any

import pytest

from tl_keras.reporting.decision_words import (
    figures,
    found_and_flagged,
    in_short,
    in_words,
    remarks,
)


def numbers(text: str) -> list[str]:
    """Every number in a sentence, in its order, with its sign of percent."""
    return re.findall(r"\d+(?:\.\d+)?%?", text)


def test_the_paragraph_says_what_the_rule_is_and_gives(decision_facts: dict[str, Any]) -> None:
    rule, on_test, review = in_words(decision_facts).split(". ")
    assert '"bad"' in rule
    assert numbers(rule) == ["0.2", "4", "1"], "the threshold, a miss and a false alarm"
    found, flagged = ["95.0%", "47.5%", "97.5%", "20"], ["10.0%", "5.0%", "55.0%"]
    assert numbers(on_test) == [*found, *flagged]
    share, asked, right = ["12.0%", "6.0%", "56.0%"], ["10%"], ["49", "50", "49.0%"]
    assert numbers(review) == [*share, *asked, *right]


def test_the_table_has_every_figure_with_its_interval(decision_facts: dict[str, Any]) -> None:
    rows = figures(decision_facts)
    for row in (
        ["temperature", "1.5", "1 to 2", "30 val. photos"],
        ["calibration error, calibrated", "0.030", "", "50 test photos"],
        ["calibration error of perfect probabilities", "0.040", "to 0.070", "50 test photos"],
        ["threshold that is cheapest on validation", "0.3", "0.1 to 0.5", "30 val. photos"],
        [
            "the same on the probability of bad as the model says",
            "0.11",
            "0.1 to 0.2",
            "30 val. photos",
        ],
        ["scores for a person", "0.15 to 0.4", "", "calibrated"],
        ['found, of "bad"', "95.0%", "47.5% to 97.5%", "20 test photos"],
        ["cost per 100 photos, flagging none", "160", "80 to 80.5", "50 test photos"],
        ["errors among the photos for a person", "75.0%", "37.5% to 87.5%", "4 test photos"],
    ):
        assert row in rows
    decision_facts["threshold"] = None
    assert not [row for row in figures(decision_facts) if "cost" in row[0]]


def test_a_sentence_tells_what_the_threshold_finds_and_flags(
    decision_facts: dict[str, Any],
) -> None:
    told = found_and_flagged(decision_facts)
    assert told is not None
    # 95% of 20 with its lower bound, 10% of 30 with its upper one
    assert numbers(told) == ["20", "19", "48%", "3", "30", "55%"]
    assert '"bad"' in told
    decision_facts["test"]["recall"] = None
    assert numbers(found_and_flagged(decision_facts) or "") == ["3", "30", "55%"]
    decision_facts["threshold"] = None
    assert found_and_flagged(decision_facts) is None


def test_a_rule_that_keeps_its_promises_has_no_remarks(decision_facts: dict[str, Any]) -> None:
    assert remarks(decision_facts) == []


def test_a_rule_that_costs_more_than_the_plain_answer_says_so(
    decision_facts: dict[str, Any],
) -> None:
    costs = decision_facts["test"]["cost_per_100"]
    costs["most_probable_class"]["estimate"] = 8.0
    costs["rule_less_most_probable_class"] = {"estimate": 2.0, "low": -1.0, "high": 5.0}
    (told,) = remarks(decision_facts)
    assert numbers(told) == ["10", "100", "8"]
    assert "chance" in told
    costs["rule_less_most_probable_class"]["low"] = 0.5
    assert "chance" not in remarks(decision_facts)[0]


def test_flagging_everything_is_named_where_it_is_cheaper(decision_facts: dict[str, Any]) -> None:
    decision_facts["test"]["cost_per_100"]["flag_all"]["estimate"] = 4.0
    (told,) = remarks(decision_facts)
    assert numbers(told) == ["4", "10", "100"]


def test_a_calibration_that_makes_it_worse_is_named(decision_facts: dict[str, Any]) -> None:
    before, after = (decision_facts["calibration"][stage] for stage in ("before", "after"))
    before["ece"] = 0.02
    # 0.07 is what chance makes of probabilities that are right
    assert remarks(decision_facts) == []
    after["ece"] = 0.08
    (told,) = remarks(decision_facts)
    assert numbers(told)[:2] == ["0.020", "0.080"]


def test_nothing_may_be_left_to_the_model(decision_facts: dict[str, Any]) -> None:
    decision_facts["test"]["review"]["accuracy_of_rest"] = None
    for told in (in_words(decision_facts), in_short(decision_facts)[2]):
        assert "none is left" in told


def test_in_short_there_are_three_lines(decision_facts: dict[str, Any]) -> None:
    calibration, threshold, review = in_short(decision_facts)
    assert numbers(calibration) == ["3.0", "9.0", "4.0"]
    assert '"bad" from a probability of 0.2 on' in threshold
    assert "review: 12.0% of the test photos" in review


def test_photos_taken_for_strangers_are_among_those_for_a_person(
    decision_facts: dict[str, Any],
) -> None:
    decision_facts["test"]["review"]["refused"] = {
        "estimate": 0.04, "low": 0.01, "high": 0.13, "n": 50
    }  # fmt: skip
    review = in_words(decision_facts).split(". ")[2]
    assert numbers(review)[:5] == ["12.0%", "6.0%", "56.0%", "10%", "4.0%"]
    assert "12.0% of the test photos (4.0%" in in_short(decision_facts)[2]
    assert ["4.0%", "1.0% to 13.0%", "50 test photos"] in [
        row[1:] for row in figures(decision_facts)
    ]
    # which are all of them is said without a number
    decision_facts["test"]["review"]["refused"]["estimate"] = 0.12
    assert numbers(in_short(decision_facts)[2])[:2] == ["12.0%", "49"]
    # they are for a person where nothing else is
    decision_facts["asked"]["review_share"] = 0
    assert len(in_short(decision_facts)) == 3
    assert "No photo is for a person" not in in_words(decision_facts)


def test_a_word_for_several_classes_is_explained(decision_facts: dict[str, Any]) -> None:
    decision_facts["words"]["positive"] = "not good"
    assert in_short(decision_facts)[1].startswith('"not good" (bad) from a probability of 0.2 on')


def test_without_review_nothing_is_said_of_it(decision_facts: dict[str, Any]) -> None:
    decision_facts["asked"]["review_share"] = 0
    assert len(in_short(decision_facts)) == 2
    assert "No photo is for a person; 92.0%" in in_words(decision_facts)


def test_errors_that_did_not_happen_are_not_caught(decision_facts: dict[str, Any]) -> None:
    decision_facts["test"]["review"]["errors_caught"] = None
    assert figures(decision_facts)[-1] == [
        "errors among the photos for a person",
        "",
        "",
        "no photo",
    ]


@pytest.fixture
def recall_facts(decision_facts: dict[str, Any]) -> dict[str, Any]:
    """For a recall of 99%, from too few photos."""
    decision_facts["asked"]["target_recall"] = 0.99
    decision_facts["threshold"] |= {
        "by": "recall",
        "for_recall": {
            "threshold": 0.2,
            "low": 0.1,
            "high": 0.3,
            "expected_recall": 0.95,
            "positives_needed": 99,
            "validation_positives": 19,
        },
    }
    decision_facts["test"]["recall"]["high"] = 0.995
    return decision_facts


def test_a_recall_that_needs_more_photos_says_how_many(recall_facts: dict[str, Any]) -> None:
    assert numbers(in_words(recall_facts))[:2] == ["0.2", "99.0%"]
    (told,) = remarks(recall_facts)
    assert numbers(told) == ["99.0%", "99", "19", "95.0%"]
    assert ["highest threshold for the recall", "0.2", "0.1 to 0.3", "19 photos"] in figures(
        recall_facts
    )


def test_a_recall_that_is_not_kept_on_test_is_named(recall_facts: dict[str, Any]) -> None:
    recall_facts["threshold"]["for_recall"]["expected_recall"] = 0.99
    recall_facts["test"]["recall"]["high"] = 0.98
    (told,) = remarks(recall_facts)
    assert numbers(told)[:4] == ["99.0%", "95.0%", "47.5%", "98.0%"]


def test_a_recall_that_costs_keep_is_said_to_be_kept(recall_facts: dict[str, Any]) -> None:
    recall_facts["threshold"]["by"] = "costs"
    told = in_words(recall_facts)
    assert numbers(told)[:4] == ["0.2", "4", "1", "99.0%"]
    assert "does not lower" in told


def test_without_a_threshold_the_reason_is_given(decision_facts: dict[str, Any]) -> None:
    decision_facts |= {"threshold": None, "positive_reason": "no class is called good"}
    decision_facts["review"] = {"score_low": None, "score_high": None, "confidence_below": 0.8}
    assert "No threshold: no class is called good." in in_words(decision_facts)
    assert in_short(decision_facts)[1] == "no threshold: no class is called good"
    assert ["confidence for a person", "below 0.8", "", "calibrated"] in figures(decision_facts)
