"""How long an experiment is expected to take: every part counts, what is done does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tl_keras.config.files import parse_config
from tl_keras.data.division import divide
from tl_keras.data.sources import load_images
from tl_keras.experiment.expected_time import (
    CURVE,
    ERRORS,
    EXPORT,
    REFIT,
    REPORT,
    SEARCH,
    expected_seconds,
)
from tl_keras.target_table import TARGETS
from tl_keras.transfer.run_plan import plan_runs

Expected = Callable[..., dict[str, float]]


@pytest.fixture
def expected(photos: Path) -> Expected:
    """`expected(**keys)`: of an experiment on the photos of which nothing is finished."""

    def found(**keys: Any) -> dict[str, float]:
        data = {"folder": str(photos), "train_per_class": 5, **keys.pop("data", {})}
        config = parse_config({"name": "x", "data": data, "seeds": 1, **keys})
        splits = divide(load_images(config.data), config)
        return expected_seconds(config, splits, plan_runs(config))

    return found


def test_every_run_and_what_follows_is_counted(expected: Expected) -> None:
    seconds = expected(strategies=["majority_class", "linear_probe", "from_scratch"])
    assert set(seconds) == {
        *(f"{name}-n5-s0" for name in ("majority_class", "linear_probe", "from_scratch")),
        CURVE,
        REFIT,
        ERRORS,
        EXPORT,
        REPORT,
    }
    assert seconds.pop("majority_class-n5-s0") == 0
    assert all(value > 0 for value in seconds.values())


def test_every_format_of_the_export_is_counted(expected: Expected) -> None:
    alone, *others = [
        expected(export_targets=targets)[EXPORT]
        for targets in ([], ["litert"], ["onnx", "litert"], ["portable", "onnx", "litert"])
    ]
    more = np.diff([alone, *others])
    assert more.tolist() == [TARGETS[name].seconds for name in ("litert", "onnx", "portable")]


def test_what_there_will_not_be_is_not(expected: Expected) -> None:
    assert CURVE not in expected(strategies=["from_scratch"])
    assert CURVE not in expected(strategies=["linear_probe"], learning_curve=False)
    assert CURVE not in expected(strategies=["linear_probe"], data={"train_per_class": [2, 5]})
    assert not {REFIT, EXPORT} & set(expected(export=False))
    assert REFIT not in expected(export={"train_on": "training"})
    assert SEARCH not in expected()


def test_a_choice_of_pooling_takes_its_time_where_something_is_borrowed(expected: Expected) -> None:
    keys: dict[str, Any] = {"strategies": ["from_scratch", "feature_extraction", "searched"]}
    keys["export"] = False
    fixed, open_ = expected(**keys), expected(**keys, head={"pooling": "search"})
    longer = {name for name in fixed if open_[name] > fixed[name]}
    assert longer == {"feature_extraction-n5-s0", SEARCH}
    assert sum(open_.values()) < 2 * sum(fixed.values())


def test_a_search_takes_as_long_as_its_trials(expected: Expected) -> None:
    keys: dict[str, Any] = {"strategies": ["searched"]}
    few, many = (expected(**keys, search={"max_trials": n, "folds": 1})[SEARCH] for n in (4, 8))
    assert few < many < 2 * few + 1
