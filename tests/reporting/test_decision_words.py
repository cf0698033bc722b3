"""What a decision says of itself."""

from typing import Any

from tl_keras.reporting.decision_words import how_to_apply, in_short, in_words


def test_the_paragraph_has_every_figure_with_its_interval(decision_facts: dict[str, Any]) -> None:
    text = in_words(decision_facts)
    for words in (
        "temperature 1.5 [1, 2], from 30 validation photos",
        "0.090 before, 0.030 after (a perfectly calibrated model shows 0.040",
        '"bad" (bad; decision.positive names them) from a calibrated score of 0.2 on, by costs (a '
        "miss 4, a false alarm 1)",
        "finds 95.0% [47.5%, 97.5%] of 20 and flags 10.0% [5.0%, 55.0%] of the others",
        "12.0% [6.0%, 56.0%] of the test photos lie in the band (10% asked)",
        "it holds 3 of 4 errors.",
    ):
        assert words in text


def test_in_short_there_are_three_lines(decision_facts: dict[str, Any]) -> None:
    calibration, threshold, review = in_short(decision_facts)
    assert "calibrated 0.030" in calibration
    assert '"bad" from 0.2 on' in threshold
    assert "review: 12.0% of the test photos" in review


def test_a_word_for_several_classes_is_explained(decision_facts: dict[str, Any]) -> None:
    decision_facts["words"]["positive"] = "not good"
    assert in_short(decision_facts)[1].startswith('"not good" (bad) from 0.2 on')


def test_without_review_nothing_is_said_of_it(decision_facts: dict[str, Any]) -> None:
    decision_facts["asked"]["review_share"] = 0
    assert len(in_short(decision_facts)) == 2
    assert "No review; 92.0%" in in_words(decision_facts)


def test_errors_that_did_not_happen_are_not_caught(decision_facts: dict[str, Any]) -> None:
    decision_facts["test"]["review"]["errors_caught"] = None
    assert "there was none" in in_words(decision_facts)


def test_a_recall_that_needs_more_photos_says_how_many(decision_facts: dict[str, Any]) -> None:
    decision_facts["asked"]["target_recall"] = 0.99
    decision_facts["threshold"] = {
        "by": "recall",
        "expected_recall": 0.95,
        "positives_needed": 99,
        "validation_positives": 19,
    }
    assert (
        "for a recall of 99.0%, which needs 99 such validation photos; with 19 at least 95.0% can "
        "be expected"
    ) in in_words(decision_facts)


def test_without_a_threshold_the_reason_is_given(decision_facts: dict[str, Any]) -> None:
    decision_facts |= {"threshold": None, "positive_reason": "no class is called good"}
    decision_facts["review"] = {"score_low": None, "score_high": None, "confidence_below": 0.8}
    assert "No threshold: no class is called good." in in_words(decision_facts)
    assert in_short(decision_facts)[1] == "no threshold: no class is called good"
    assert "below 0.8 let a person look (review), else accept." in how_to_apply(decision_facts)[-1]


def test_the_steps_lead_from_probabilities_to_a_decision(decision_facts: dict[str, Any]) -> None:
    steps = how_to_apply(decision_facts)
    assert "divide it by the temperature, 1.5" in steps[0]
    assert steps[2] == "The score is their sum over bad."
    assert 'From 0.2 on the photo is "bad", below "good".' in steps
    assert "same as 0.11 on the probability of bad" in steps[-2]
    assert steps[-1] == "Between 0.15 and 0.4 let a person look (review)."


def test_factors_of_classes_are_a_step_where_they_matter(decision_facts: dict[str, Any]) -> None:
    assert not any("factor" in step for step in how_to_apply(decision_facts))
    decision_facts["rule"]["class_factors"] = [0.6, 1.4]
    assert "bad 0.6, good 1.4" in how_to_apply(decision_facts)[1]
