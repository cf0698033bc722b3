import pytest

from tl_keras.serving.class_names import unusable_names

ENDS_OF_LINES = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


@pytest.mark.parametrize("end", ENDS_OF_LINES)
@pytest.mark.parametrize("name", ["a{}b", "{}a", "a{}", "{}"])
def test_a_name_of_several_lines_is_refused_and_shown_escaped(name: str, end: str) -> None:
    fault = unusable_names(["good", name.format(end)])
    assert fault is not None
    assert len(fault.splitlines()) == 1


@pytest.mark.parametrize("name", ["", " ", "a\0", "\0", "\ud800", "a\udc80b"])
def test_a_name_that_is_no_text_is_refused(name: str) -> None:
    assert unusable_names(["good", name]) is not None


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "a"]])
def test_names_must_differ(names: list[str]) -> None:
    assert unusable_names(names) is not None


@pytest.mark.parametrize(
    "name", ["é", "割れ", "🙂", "a b", "a/b", "<b>", "\x1b[31m", "a\tb", "=1+1"]
)
def test_other_names_can_be_held(name: str) -> None:
    assert unusable_names(["good", name]) is None
