"""Which classes are to be found, as names, counts and the configuration tell."""

import pytest

from tl_keras.errors import ConfigError
from tl_keras.evaluation.positive_classes import check_positive, choose_positive


@pytest.mark.parametrize("good", ["good", "OK", "Normal", "no-defect", "Defect free", "background"])
def test_all_but_the_one_good_class(good: str) -> None:
    found = choose_positive(None, {"dent": 5, good: 90, "scratch": 5})
    assert found.names == ("dent", "scratch")
    assert good in found.reason


def test_of_two_classes_the_rarer_one() -> None:
    assert choose_positive(None, {"cat": 9, "dog": 10}).names == ("cat",)
    assert choose_positive(None, {"cat": 11, "dog": 10}).names == ("dog",)
    assert choose_positive(None, {"cat": 10, "dog": 10}).names == ("dog",)


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("good", "ok", "c")])
def test_otherwise_none_and_how_to_name_them(classes: tuple[str, ...]) -> None:
    found = choose_positive(None, dict.fromkeys(classes, 5))
    assert found.names == ()
    assert "decision.positive" in found.reason


def test_those_asked_for_in_the_order_of_the_classes() -> None:
    check_positive(("c", "a"), ("a", "b", "c"))
    assert choose_positive(("c", "a"), {"a": 1, "b": 1, "c": 1}).names == ("a", "c")


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match='must name classes among dent, good; got "dents"'):
        check_positive(("dents",), ("dent", "good"))


def test_all_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave out at least one class of dent, good"):
        check_positive(("dent", "good"), ("dent", "good"))
