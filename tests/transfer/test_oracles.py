"""The oracles: every row of the table, and one that is added at run time."""

import keras_tuner
import pytest

from tl_keras.config.files import parse_config
from tl_keras.config.schema import ExperimentConfig
from tl_keras.errors import ConfigError
from tl_keras.oracle_table import ORACLES
from tl_keras.transfer.oracles import make_oracle
from tl_keras.transfer.search_space import Place


def config(oracle: str) -> ExperimentConfig:
    search = {"oracle": oracle, "max_trials": 3}
    return parse_config({"name": "parts", "data": {"folder": "photos"}, "search": search})


def kind(oracle: str) -> type:
    checked = config(oracle)
    places: dict[str, Place] = {"1 up to block_1": ("block_1", 1)}
    return type(make_oracle(checked.search, checked.training.phase_2, places))


@pytest.mark.parametrize("name", ORACLES)
def test_a_row_is_the_class_of_keras_tuner(name: str) -> None:
    assert kind(name) is getattr(keras_tuner.oracles, ORACLES[name])


def test_a_row_is_all_that_a_new_oracle_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="second"):
        config("second")
    monkeypatch.setitem(ORACLES, "second", "RandomSearchOracle")
    assert kind("second") is keras_tuner.oracles.RandomSearchOracle
