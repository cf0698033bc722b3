import pytest
from pydantic import TypeAdapter, ValidationError

from tl_keras.config.text_kinds import Pattern, Place

PATTERN: TypeAdapter[str] = TypeAdapter(Pattern)
PLACE: TypeAdapter[str] = TypeAdapter(Place)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a{99999999999}",
        "(" * 500,
        "(" * 51 + ")" * 51,
        "(?:" * 200 + ")" * 200,
        "[" * 500,
        "(?P<a>x)(?P<a>y)",
        "(?<=a+)b",
        "a(?i)",
        "\\",
        "x" * 501,
    ],
)
def test_a_pattern_that_cannot_be_compiled_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        PATTERN.validate_python(pattern)


@pytest.mark.parametrize("pattern", [r"part(\d+)", "(" * 50 + ")" * 50, "[[a]--b]", "x" * 500])
def test_other_patterns_are_kept_as_they_are(pattern: str) -> None:
    assert PATTERN.validate_python(pattern) == pattern


@pytest.mark.parametrize("place", ["a" * 256, "ä" * 128, "a/" * 1501, "x/" + "b" * 256 + "/y"])
def test_a_place_that_no_file_system_takes_is_refused(place: str) -> None:
    with pytest.raises(ValidationError):
        PLACE.validate_python(place)


@pytest.mark.parametrize("place", ["a" * 255, "ä" * 127, "a/" * 1500, ".", "C:\\photos"])
def test_other_places_are_kept_as_they_are(place: str) -> None:
    assert PLACE.validate_python(place) == place
