import json
import re
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from tl_keras.config.files import load_config, parse_config
from tl_keras.config.json_text import KeyPath
from tl_keras.config.problems import describe, schema_at, schema_of, unknown_key
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import ConfigError
from tl_keras.invocation import in_json, typed

SCHEMA = schema_of(ExperimentConfig)
# Words of JSON, which nobody types in Python.
JSON_WORDS = re.compile(r"\b(null|true|false|object)\b")


@pytest.fixture(autouse=True)
def as_in_a_file() -> Iterator[None]:
    """What is asked for here stands for what is written in a file."""
    with in_json():
        yield


def refusal(**keys: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_config({"name": "parts", "data": {"folder": "photos"}, **keys})
    return str(refused.value)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        (("data", "foldr"), "did you mean data.folder?"),
        (("data", "Folder"), "did you mean data.folder?"),
        (("data", "train-per-class"), "did you mean data.train_per_class?"),
        (("training", "phase_1", "epoch"), "did you mean training.phase_1.epochs?"),
        (("seed",), "did you mean seeds?"),
        (("train_per_class",), "it belongs at data.train_per_class"),
        (("training", "weights"), "it belongs at backbone.weights"),
        (("size",), "did you mean backbone.image_size?"),
        (("train_size",), "did you mean data.train_per_class?"),
        (("test_size",), "did you mean data.test_fraction?"),
        (("optimiser",), "did you mean training.optimizer?"),
        (("image_sizes",), "did you mean backbone.image_size?"),
        (
            ("training", "epochs"),
            "it belongs at training.phase_1.epochs or training.phase_2.epochs or "
            "training.from_scratch.epochs",
        ),
        (("head", "zzz"), "the keys of head are pooling, hidden_units, dropout"),
    ],
)
def test_unknown_key_gets_the_nearest_known_one(path: KeyPath, meant: str) -> None:
    assert unknown_key(SCHEMA, path).text.endswith(f"; {meant}")


def test_unknown_key_without_a_likeness_gets_all_keys() -> None:
    text = unknown_key(SCHEMA, ("zzz",)).text
    assert text.startswith("unknown key zzz; the keys are name, description, data")


@pytest.mark.parametrize(
    ("keys", "near"),
    [
        ({"backbone": {"name": "mobilenetv2"}}, "MobileNetV2"),
        ({"training": {"optimizer": "Adam"}}, "adam"),
        ({"strategies": ["finetuning"]}, "fine_tuning"),
        ({"fine_tuning": {"unfrozen_blocks": ["All"]}}, "all"),
    ],
)
def test_misspelt_value_gets_the_nearest_known_one(keys: dict[str, Any], near: str) -> None:
    assert refusal(**keys).endswith(f'; did you mean "{near}"?')


def test_every_problem_is_listed() -> None:
    message = refusal(
        training={"phase_1": {"epochs": 0, "lr": 1}, "batch_size": "32"},
        strategies=["fine_tuning", "magic"],
        seeds=True,
        head=3,
    )
    assert message.split("\n") == [
        "configuration: head must be an object {...} with keys among pooling, hidden_units, "
        "dropout; got 3",
        "configuration: seeds must be a whole number from 1 to 100; got true",
        'configuration: strategies[1] must be one of "majority_class", "from_scratch", '
        '"linear_probe", "feature_extraction", "fine_tuning", "searched"; got "magic"',
        'configuration: training.batch_size must be a whole number from 1 to 4096; got "32"',
        "configuration: training.phase_1.epochs must be a whole number from 1 to 100000; got 0",
        "configuration: unknown key training.phase_1.lr; the keys of training.phase_1 are epochs, "
        "learning_rate, patience, keep",
    ]


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (
            "x",
            "data.train_per_class must be a whole number from 1 to 1000000, or a list of values, "
            'at most 100, each a whole number from 1 to 1000000, or null; got "x"',
        ),
        ([5, 0], "data.train_per_class[1] must be a whole number from 1 to 1000000; got 0"),
        ([5, "x"], 'data.train_per_class[1] must be a whole number from 1 to 1000000; got "x"'),
    ],
)
def test_key_of_several_types_gets_one_message(received: Any, message: str) -> None:
    data = {"folder": "photos", "train_per_class": received}
    assert refusal(data=data) == f"configuration: {message}"


def wrong_keys() -> list[dict[str, Any]]:
    return [
        {"backbone": None},
        {"backbone": {"cut": None, "weights": 3, "trust_code": {"a": None}}},
        {"backbone": {"name": "VGG16", "alpha": 0.5}},
        {"backbone": {"name": "file", "alpha": 1.0, "weights": None}},
        {"export": 3, "seeds": True, "deterministic": [None, False]},
    ]


@pytest.mark.parametrize("keys", wrong_keys())
def test_who_asks_reads_the_words_that_they_write(keys: dict[str, Any], tmp_path: Path) -> None:
    raw = {"name": "a", "data": {"folder": "photos"}, **keys}
    (tmp_path / "a.json").write_text(json.dumps(raw))

    def said(given: Any) -> str:
        with pytest.raises(ConfigError) as refused:
            parse_config(given) if isinstance(given, dict) else load_config(given)
        return str(refused.value)

    # a fresh context: nothing around it speaks of files
    in_python = Context().run(said, raw)
    assert "configuration: " in in_python
    assert not JSON_WORDS.search(in_python)
    of_a_file = Context().run(said, tmp_path / "a.json")
    with typed(["tl-keras", "run", "a.json"]):
        assert Context().run(said, tmp_path / "a.json") == of_a_file
    assert JSON_WORDS.search(of_a_file)
    assert not re.search(r"\b(None|True|False)\b", of_a_file)


def test_all_problems_of_one_section_are_told_at_once() -> None:
    message = refusal(backbone={"name": "Xception", "image_size": 64, "weights": "bundled"})
    assert [line.split()[1] for line in message.split("\n")] == [
        "backbone.image_size",
        "backbone.weights",
    ]


def test_one_value_for_a_list_is_told_how_to_write_it() -> None:
    assert refusal(strategies="searched").endswith('got "searched"; write ["searched"]')
    assert refusal(head={"hidden_units": 64}).endswith("got 64; write [64]")


def test_received_values_are_shortened() -> None:
    message = refusal(seeds=list(range(1000)))
    assert message.endswith("...")
    assert len(message) < 200


@pytest.mark.parametrize(
    "keys",
    [
        {"data": {"folder": "a", "train_per_class": [[1]]}},
        {"search": {"unfrozen_blocks": [None, {}], "learning_rates": ["a"]}},
        {"data": {"folder": {"a": 1}, "max_test_per_class": 0.5}},
        {"training": {"phase_1": [], "weight_decay": float("inf")}},
        {"name": "../up"},
    ],
)
def test_words_of_pydantic_do_not_show(keys: dict[str, Any]) -> None:
    message = refusal(**keys)
    jargon = ("Input should", "input_value", "pydantic", "tuple", "int,", "constrained", "literal")
    assert not [word for word in (*jargon, "Value error", "http") if word in message]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer"}, "a whole number"),
        (
            {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            "a number of at least 0 and below 1",
        ),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "a number above 0 and at most 1"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "true or false, or null"),
        ({"type": "string", "enum": ["a", "b"]}, 'one of "a", "b"'),
    ],
)
def test_describe(schema: dict[str, Any], words: str) -> None:
    assert describe(schema) == words


def test_schema_of_a_key_that_is_not_there_is_empty() -> None:
    assert schema_at(SCHEMA, ("data", "folder", "x")) == {}
    assert schema_at(SCHEMA, ("seeds", 0)) == {}


def test_of_many_problems_the_first_ten_are_told() -> None:
    wrong = [f"none{number}" for number in range(50)]
    lines = refusal(strategies=wrong, head={"hidden_units": 3}).split("\n")
    assert len(lines) == 11
    assert [line.split()[1] for line in lines[1:10]] == [f"strategies[{n}]" for n in range(9)]
    assert lines[-1] == "... and 41 more like these"


def test_words_are_found_for_the_problems_that_are_told_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def counted(node: object) -> str:
        asked.append(node)
        return "anything"

    monkeypatch.setattr("tl_keras.config.problems.describe", counted)
    refusal(training=[0] * 5000, strategies=[0] * 90, head={"hidden_units": ["x"] * 9})
    assert len(asked) <= 10


def test_long_keys_and_values_are_shortened() -> None:
    message = refusal(**{"k" * 100_000: 1, "backbone": {"cut": "c" * 100_000}})
    assert len(message) < 2500
