"""What is proposed in place of too large a number does, and no larger one would."""

import re
from typing import Any

import pytest

from tests.data.test_splits import table_of
from tl_keras.config.files import parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.division import divide
from tl_keras.errors import TooFewImagesError


def configured(estimate: dict[str, Any] | None = None, **data: Any) -> ExperimentConfig:
    repeated = {"estimate": {"method": "k_fold", **estimate}} if estimate else {"seeds": 2}
    return parse_config({"name": "a", "data": {"folder": "f", **data}, **repeated})


def proposed(counts: dict[str, int], config: ExperimentConfig, **table: Any) -> dict[str, float]:
    with pytest.raises(TooFewImagesError) as refused:
        divide(table_of(counts, **table), config)
    said = re.findall(r"([a-z_]+\.[a-z_]+) at most ([0-9.]+[0-9]|[0-9])", str(refused.value))
    return {key: float(number) for key, number in said}


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
