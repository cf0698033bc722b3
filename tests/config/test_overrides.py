from typing import Any

import pytest

from tl_keras.config.overrides import read_overrides, with_overrides
from tl_keras.config.problems import schema_of
from tl_keras.config.schema import ExperimentConfig

SCHEMA = schema_of(ExperimentConfig)


def read(text: str) -> Any:
    (override,), problems = read_overrides([text], SCHEMA)
    assert not problems
    return override.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.train_per_class=10", 10),
        ("data.train_per_class=[5, 10]", [5, 10]),
        ("data.range_16_bit=[0,255]", [0, 255]),
        ("data.range_16_bit=full", "full"),
        ("backbone.weights=null", None),
        ("export=false", False),
        ('fine_tuning.unfrozen_blocks=[1,"all"]', [1, "all"]),
        ('head={"dropout": 0.5}', {"dropout": 0.5}),
        ("training.augmentation=light", "light"),
        ("data.folder=../x=y", "../x=y"),
        ('data.folder="a b"', "a b"),
        ("description=", ""),
    ],
)
def test_value_is_json_where_it_is_json(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize("text", ["2024", "1e3", "true", "null", "[1]", "NaN"])
def test_value_of_a_text_key_is_text(text: str) -> None:
    assert read(f"name={text}") == text


@pytest.mark.parametrize("text", ["2024", "true"])
def test_value_of_a_text_key_with_null_is_text(text: str) -> None:
    assert read(f"backbone.weights={text}") == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data.folder", "must be key=value, such as data.folder=photos"),
        ("=3", "must be key=value, such as data.folder=photos"),
        ("data.foldr=x", "unknown key data.foldr; did you mean data.folder?"),
        ("train_per_class=5", "unknown key train_per_class; it belongs at data.train_per_class"),
        ("name.first=x", "unknown key name.first; name has no keys of its own"),
        (
            "search.hidden_units.0=3",
            "unknown key search.hidden_units.0; search.hidden_units has no keys of its own",
        ),
    ],
)
def test_text_that_is_no_override_is_refused(text: str, problem: str) -> None:
    assert read_overrides([text], SCHEMA) == ([], [f"--set {text}: {problem}"])


def test_second_source_is_refused() -> None:
    overrides, problems = read_overrides(["data.folder=a", "data.table=b"], SCHEMA)
    assert [override.value for override in overrides] == ["a"]
    assert problems == [
        "--set data.table=b: data must have exactly one of folder, table, tfds; got folder and "
        "table"
    ]


def overridden(data: dict[str, Any], *texts: str) -> Any:
    overrides, problems = read_overrides(texts, SCHEMA)
    assert not problems
    return with_overrides({"data": data}, overrides)["data"]


def test_later_override_wins() -> None:
    assert overridden({"folder": "a"}, "data.folder=b", "data.folder=c") == {"folder": "c"}


def test_sections_that_are_not_there_are_made() -> None:
    overrides, _ = read_overrides(["training.phase_1.epochs=3"], SCHEMA)
    assert with_overrides({}, overrides) == {"training": {"phase_1": {"epochs": 3}}}


def test_what_was_read_is_left_as_it_was() -> None:
    raw = {"data": {"folder": "a"}}
    overrides, _ = read_overrides(["data.folder=b"], SCHEMA)
    with_overrides(raw, overrides)
    assert raw == {"data": {"folder": "a"}}


@pytest.mark.parametrize(
    ("data", "text", "left"),
    [
        ({"tfds": "a", "data_dir": "b"}, "data.folder=c", {"folder": "c"}),
        ({"table": "a", "root": "b"}, "data.tfds=c", {"tfds": "c"}),
        ({"folder": "a"}, "data.table=c", {"table": "c"}),
    ],
)
def test_new_source_replaces_the_old_and_its_companion(
    data: dict[str, str], text: str, left: dict[str, str]
) -> None:
    assert overridden({**data, "group_pattern": "x"}, text) == {**left, "group_pattern": "x"}


def test_same_source_keeps_its_companion() -> None:
    assert overridden({"tfds": "a", "data_dir": "b"}, "data.tfds=c") == {
        "tfds": "c",
        "data_dir": "b",
    }


def test_companion_may_come_with_its_source() -> None:
    texts = ("data.root=r", "data.table=t")
    assert overridden({"folder": "a"}, *texts) == {"table": "t", "root": "r"}


def test_null_source_replaces_nothing() -> None:
    assert overridden({"folder": "a"}, "data.table=null") == {"folder": "a", "table": None}
