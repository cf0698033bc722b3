"""What is proposed in place of too large a number does, and no larger one would."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.data.test_splits import table_of
from tl_keras.config.files import parse_config
from tl_keras.config.overrides import read_overrides, with_overrides
from tl_keras.config.problems import schema_of
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data import fitting_numbers
from tl_keras.data.division import divide
from tl_keras.data.sources import ImageTable
from tl_keras.errors import TooFewImagesError
from tl_keras.invocation import typed

SCHEMA = schema_of(ExperimentConfig)


@pytest.fixture(autouse=True)
def by_command() -> Iterator[None]:
    """A command asks, so that proposals are those of a shell."""
    with typed(["tl-keras", "run", "f"]):
        yield


def configured(estimate: dict[str, Any] | None = None, **data: Any) -> ExperimentConfig:
    repeated = {"estimate": {"method": "k_fold", **estimate}} if estimate else {"seeds": 2}
    return parse_config({"name": "a", "data": {"folder": "f", **data}, **repeated})


def refusal(table: ImageTable, config: ExperimentConfig) -> str:
    with pytest.raises(TooFewImagesError) as refused:
        divide(table, config)
    return str(refused.value)


def numbers(message: str) -> dict[str, float]:
    said = re.findall(r"([a-z_]+\.[a-z_]+) at most ([0-9.]+[0-9]|[0-9])", message)
    return {key: float(number) for key, number in said}


def proposed(counts: dict[str, int], config: ExperimentConfig, **table: Any) -> dict[str, float]:
    return numbers(refusal(table_of(counts, **table), config))


def pasted(message: str) -> list[list[str]]:
    """The settings of a message, as a shell reads them: those of each proposal together."""
    proposals = re.findall(r"--set (?:'[^']+'|[^\s;)]+)(?: --set (?:'[^']+'|[^\s;)]+))*", message)
    return [shlex.split(proposal.rstrip("."))[1::2] for proposal in proposals]


def fits(table: ImageTable, config: ExperimentConfig, *settings: str) -> bool:
    overrides, problems = read_overrides(settings, SCHEMA)
    assert not problems
    try:
        divide(table, parse_config(with_overrides(config.model_dump(mode="json"), overrides)))
    except TooFewImagesError:
        return False
    return True


@pytest.mark.parametrize(
    ("counts", "keys", "expected"),
    [
        # 30 less 9 for test leave 21: 11 beside 10 for validation, or 20 beside 1
        (
            {"a": 60, "b": 30},
            {"train_per_class": 20},
            {"data.train_per_class": 11, "data.validation_per_class": 1},
        ),
        # 20 less 6 leave 14: 7 beside 7, or 10 beside 4
        (
            {"a": 20, "b": 20},
            {"train_per_class": [2, 10]},
            {"data.train_per_class": 7, "data.validation_per_class": 4},
        ),
        # 9 less 3 leave 6, one of them to train on
        ({"a": 9, "b": 9}, {"validation_per_class": 30}, {"data.validation_per_class": 5}),
    ],
)
def test_numbers_by_hand(
    counts: dict[str, int], keys: dict[str, Any], expected: dict[str, float]
) -> None:
    assert proposed(counts, configured(**keys)) == expected


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        ({"train_per_class": 40}, None),
        ({"train_per_class": 40}, 3),
        ({"train_per_class": 5, "validation_per_class": 60}, 3),
        ({"train_per_class": 20, "test_fraction": 0.9}, None),
        ({"train_per_class": 25, "estimate": {"folds": 3, "repeats": 1}}, None),
        ({"estimate": {"folds": 15, "repeats": 1}}, 5),
    ],
)
def test_the_largest_does_and_the_next_does_not(keys: dict[str, Any], groups: int | None) -> None:
    counts = {"a": 40, "b": 40}
    table = {} if groups is None else {"groups": [str(number // groups) for number in range(80)]}
    config = configured(**keys)
    found = proposed(counts, config, **table)
    assert found
    for key, number in found.items():
        section, name = key.split(".")
        step = 0.01 if name == "test_fraction" else 1
        for value, does in ((number, True), (number + step, False)):
            typed = value if name == "test_fraction" else int(value)
            part = getattr(config, section).model_copy(update={name: typed})
            other = config.model_copy(update={section: part})
            if does:
                divide(table_of(counts, **table), other)
            else:
                with pytest.raises(TooFewImagesError):
                    divide(table_of(counts, **table), other)


def test_numbers_that_only_do_together_are_said_together() -> None:
    config = configured(train_per_class=30, validation_per_class=30)
    with pytest.raises(TooFewImagesError, match=r"train_per_class=7 --set .*per_class=null"):
        divide(table_of({"a": 20, "b": 20}), config)


@pytest.mark.parametrize("few", [1, 2])
@pytest.mark.parametrize("estimate", [None, {"folds": 2}])
def test_where_no_number_does_none_is_proposed(few: int, estimate: dict[str, int] | None) -> None:
    config = configured(estimate)
    with pytest.raises(TooFewImagesError, match="No lower number would do"):
        divide(table_of({"a": few, "b": 30}), config)


def random_table(random: np.random.Generator, *, grouped: bool) -> ImageTable:
    """Two or three classes of 10 to 24 images; groups of 1 to 5, some of them of two classes."""
    labels: list[str] = []
    groups: list[str] = []
    for label in "abc"[: random.integers(2, 4)]:
        count = int(random.integers(10, 25))
        sizes = random.integers(1, 6, count)
        number = np.repeat(np.arange(count), sizes)[:count]
        own = [f"{label}{n}" if random.random() < 0.9 else f"a{n}" for n in number]
        labels += [label] * count
        groups += own
    return table_of(labels=labels, groups=groups if grouped else None)


def random_keys(random: np.random.Generator) -> dict[str, Any]:
    """One number, a list, with a given number to validate on or without, and folds."""
    size = int(random.integers(12, 40))
    keys: dict[str, Any] = {"train_per_class": size}
    if random.random() < 0.4:
        keys["train_per_class"] = sorted({2, 4, 7, 11, size})
    if random.random() < 0.4:
        keys["validation_per_class"] = int(random.integers(1, 15))
    if random.random() < 0.3:
        keys["estimate"] = {"folds": int(random.integers(2, 5)), "repeats": 1}
    return keys


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_proposed_fits_and_no_larger_number_does(
    seed: int, grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting_numbers, "_SECONDS", 1e9)
    random = np.random.default_rng([seed, grouped])
    table, config = random_table(random, grouped=grouped), configured(**random_keys(random))
    if fits(table, config):
        pytest.skip("what is asked for fits")
    message = refusal(table, config)
    assert pasted(message) or "No lower number" in message
    for settings in pasted(message):
        assert fits(table, config, *settings), settings
    said = int(numbers(message).get("data.train_per_class", 0))
    asked = max(size or 0 for size in config.data.training_sizes)
    # as many as there are of a class leave none to test on
    for size in range(said + 1, min(asked, int(np.bincount(table.labels).min()))):
        assert not fits(table, config, f"data.train_per_class={size}"), size


def test_of_a_list_of_sizes_those_that_fit_are_named() -> None:
    """32 less 10 for test leave 22: 12 beside 10 for validation."""
    table = table_of({"a": 60, "b": 32})
    message = refusal(table, configured(train_per_class=[2, 5, 10, 20, 40]))
    assert pasted(message) == [["data.train_per_class=12"], ["data.train_per_class=[2,5,10]"]]
    message = refusal(table, configured(train_per_class=[20, 40]))
    assert pasted(message) == [["data.train_per_class=12"]]


def test_a_size_that_only_fits_beside_fewer_photos_to_validate_on_is_found_with_them() -> None:
    """40 less 12 leave 28: none beside 28 or more, and 18 beside the 10 of the default."""
    table = table_of({"a": 40, "b": 40})
    message = refusal(table, configured(train_per_class=30, validation_per_class=28))
    assert pasted(message) == [["data.train_per_class=18", "data.validation_per_class=null"]]
    config = configured(train_per_class=[5, 30], validation_per_class=60)
    own, listed = pasted(refusal(table, config))
    assert own == ["data.train_per_class=18", "data.validation_per_class=null"]
    assert listed == ["data.train_per_class=[5]", "data.validation_per_class=null"]


def test_a_size_that_only_fits_beside_fewer_photos_to_test_on_is_found_with_them() -> None:
    """Of 6 photos 4 may be for test, which leave one to validate and one to train on."""
    table = table_of({"a": 6, "b": 40})
    message = refusal(table, configured(train_per_class=5, test_fraction=0.99))
    assert pasted(message) == [["data.train_per_class=1", "data.test_fraction=0.74"]]


def test_where_time_is_over_no_larger_number_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    monkeypatch.setattr(fitting_numbers, "_SECONDS", 8)
    table = table_of({"a": 60, "b": 60})
    message = refusal(table, configured(train_per_class=50))
    (settings,) = pasted(message)
    assert fits(table, configured(), *settings)
    assert "perhaps more" in message


def test_a_number_beyond_all_images_takes_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    kept = fitting_numbers._Trials.largest

    def largest(self: Any, key: str, *others: Any) -> Any:
        tried.append(len(self.candidates[key]))
        return kept(self, key, *others)

    monkeypatch.setattr(fitting_numbers._Trials, "largest", largest)
    message = refusal(table_of({"a": 30, "b": 30}), configured(train_per_class=1_000_000))
    assert numbers(message)["data.train_per_class"] == 11
    assert max(tried) <= 100
