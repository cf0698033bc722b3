"""Rules and bands against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tl_keras.evaluation.decision_rule import DecisionRule

TWO = DecisionRule(("bad", "good"), 1.0, (1.0, 1.0), ("bad",), 0.2, 0.06)
GIVEN = np.array([[0.05, 0.95], [0.1, 0.9], [0.25, 0.75], [0.8, 0.2]])


def test_a_threshold_flags_from_its_score_on() -> None:
    assert TWO.score(GIVEN) == pytest.approx(GIVEN[:, 0])
    assert TWO.flagged(GIVEN).tolist() == [False, False, True, True]


def test_the_band_lies_around_the_threshold() -> None:
    # doubt: of a miss 0.8 p below 0.2, of a false alarm 0.2 (1 - p) above
    assert TWO.doubt(GIVEN) == pytest.approx([0.04, 0.08, 0.15, 0.04])
    assert TWO.band() == pytest.approx((0.06 / 0.8, 1 - 0.06 / 0.2))
    assert TWO.decisions(GIVEN) == ["good", "review", "review", "bad"]


def test_a_rule_is_calibrated_first() -> None:
    rule = DecisionRule(("bad", "good"), 2.0, (1.0, 1.0), ("bad",), 0.25)
    # odds of 1/16 become 1/4
    assert rule.score(np.array([[1 / 17, 16 / 17]])) == pytest.approx([0.2])
    assert rule.confidence(np.array([[1 / 17, 16 / 17]])) == pytest.approx([0.8])


def test_the_score_adds_up_the_positive_classes() -> None:
    rule = DecisionRule(("dent", "good", "hole"), 1.0, (1.0,) * 3, ("dent", "hole"), 0.5)
    given = np.array([[0.3, 0.4, 0.3], [0.1, 0.8, 0.1]])
    assert rule.score(given) == pytest.approx([0.6, 0.2])
    assert rule.decisions(given) == ["not good", "good"]


@pytest.mark.parametrize(
    ("classes", "positive", "words"),
    [
        (("a", "b"), ("b",), ("b", "a")),
        (("a", "b", "c"), ("b",), ("b", "not b")),
        (("a", "b", "c"), ("a", "b"), ("not c", "c")),
        (("a", "b", "c", "d"), ("a", "b"), ("positive", "negative")),
    ],
)
def test_decisions_are_named_by_classes_where_they_can_be(
    classes: tuple[str, ...], positive: tuple[str, ...], words: tuple[str, str]
) -> None:
    rule = DecisionRule(classes, 1.0, (1.0,) * len(classes), positive, 0.5)
    assert rule.words() == words


def test_without_a_threshold_the_least_sure_are_reviewed() -> None:
    rule = DecisionRule(("a", "b", "c"), 1.0, (1.0,) * 3, review_limit=0.35)
    given = np.array([[0.7, 0.2, 0.1], [0.4, 0.3, 0.3]])
    assert rule.doubt(given) == pytest.approx([0.3, 0.6])
    assert rule.decisions(given) == ["accept", "review"]
    assert rule.band() is None
    with pytest.raises(ValueError, match="without a threshold"):
        rule.flagged(given)


def test_a_rule_comes_back_from_json() -> None:
    stored = {"rule": {**vars(TWO), "classes": ["bad", "good"], "positive": ["bad"]}}
    stored["rule"]["class_factors"] = [1.0, 1.0]
    assert DecisionRule.from_json(stored) == TWO
    # as it was written before strangers were known
    del stored["rule"]["stranger_share"]
    assert DecisionRule.from_json(stored) == TWO


def test_strangers_are_unknown_whatever_else_holds() -> None:
    rule = replace(TWO, stranger_share=0.05)
    familiar = np.array([0.04, 0.049, 0.05, 0.9])
    assert rule.decisions(GIVEN, familiar) == ["unknown", "unknown", "review", "bad"]
    assert rule.decisions(GIVEN) == TWO.decisions(GIVEN)
    assert TWO.decisions(GIVEN, np.zeros(4)) == TWO.decisions(GIVEN)


def test_a_decision_is_a_place_among_the_names() -> None:
    assert TWO.names == ("good", "bad", "review", "unknown")
    given = GIVEN.astype(np.float32)
    confidence, decision = TWO.judged(given)
    assert decision.tolist() == [0, 2, 2, 1]
    assert confidence == pytest.approx([0.95, 0.9, 0.75, 0.8])


def test_a_photo_on_the_threshold_is_flagged_and_one_on_the_limit_is_not_reviewed() -> None:
    rule = DecisionRule(("a", "b", "c"), 0.7, (1.3, 0.2, 2.0), ("a", "c"))
    given = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    for border in rule.score(given):
        flagged = replace(rule, threshold=float(border)).flagged(given)
        assert flagged.tolist() == (rule.score(given) >= border).tolist()
        assert flagged.any()
    for border in rule.doubt(given):
        reviewed = replace(rule, review_limit=float(border)).reviewed(given)
        assert reviewed.tolist() == (rule.doubt(given) > border).tolist()


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1e-40])
def test_without_doubt_nothing_is_reviewed(threshold: float) -> None:
    rule = DecisionRule(("a", "b"), 1.0, (1.0, 1.0), ("a",), threshold, 0.0)
    assert rule.doubt(GIVEN).tolist() == [0] * 4
    assert set(rule.decisions(GIVEN)) == {"b" if threshold == 1 else "a"}


def test_a_class_that_is_called_as_a_decision_is_told_from_it() -> None:
    rule = DecisionRule(("review", "unknown"), 1.0, (1.0, 1.0), ("unknown",), 0.5)
    assert rule.words() == ("class unknown", "class review")
