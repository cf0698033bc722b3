import pytest

from tl_keras.config.json_text import read_json
from tl_keras.errors import ConfigError


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read_json(text, "x.json")
    return str(refused.value)


def test_lines_of_keys_and_elements() -> None:
    text = read_json('{"a": 1,\n "b": {"c,}": [\n1,\n{"d": "\\"{"}]}}', "x.json")
    assert text.value == {"a": 1, "b": {"c,}": [1, {"d": '"{'}]}}
    assert text.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", "c,}"): 2,
        ("b", "c,}", 0): 3,
        ("b", "c,}", 1): 4,
        ("b", "c,}", 1, "d"): 4,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a" 1}', "x.json:1:6: not valid JSON: expected a colon after the key; got 1}"),
        (
            '{"a": 1\n"b": 2}',
            'x.json:2:1: not valid JSON: expected a comma or the closing bracket; got "b":',
        ),
        ("{", "x.json:1:2: not valid JSON: expected a key in double quotes; the file ends here"),
        ("[1] [2]", "x.json:1:5: not valid JSON: expected the end of the file; got [2]"),
        ('["a', 'x.json:1:2: not valid JSON: expected a closing double quote; got "a'),
        (" \n", 'x.json: must hold a JSON object such as {"name": "parts"}; the file is empty'),
    ],
)
def test_syntax_error_has_its_place_and_what_was_expected(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ('{"a": 1,}', "remove the comma before the closing bracket"),
        ("[1, 2, ]", "remove the comma before the closing bracket"),
        ("{'a': 1}", "JSON wants double quotes"),
        ('{"a": True}', "JSON writes true, false and null"),
        ('{"a": 1 // one\n}', "JSON has no comments"),
        (r'{"a": "C:\photos"}', "in a path write / or two backslashes"),
    ],
)
def test_common_slip_is_told_how_to_mend(text: str, mend: str) -> None:
    assert refusal(text).endswith(f"; {mend}")


def test_repeated_keys_are_all_refused() -> None:
    assert refusal('{"a": {"b": 1,\n"\\u0062": 2}, "c": [\n{"d": 1, "d": 1}]}') == (
        "x.json:2: a.b must be given once; it is already on line 1\n"
        "x.json:3: c[0].d must be given once; it is already on line 3"
    )


def test_same_key_in_two_objects_is_no_repeat() -> None:
    assert read_json('[{"a": 1}, {"a": 2}]', "x.json").value == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_must_be_finite(constant: str) -> None:
    message = refusal(f'{{"a":\n[{constant}]}}')
    assert message == f"x.json:2: a[0] must be a finite number; got {constant}"


@pytest.mark.parametrize("depth", [51, 800, 990, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_nesting_has_a_limit(depth: int, opened: str, closed: str) -> None:
    message = refusal(opened * depth + "1" + closed * depth)
    assert message == "x.json: brackets must not be nested more than 50 deep"
    assert read_json("[" * 50 + "]" * 50, "x.json").value != []


def test_numbers_have_a_limit() -> None:
    assert refusal("1" * 5000) == "x.json: a number has too many digits"
