"""The oracles that walk through a search's space: a new one is a row of `tl_keras.oracle_table`."""

import math
from typing import Any

import keras_tuner

from tl_keras.config.schema import PhaseConfig, SearchConfig
from tl_keras.models.keras_internals import draw_again, limit_rounds
from tl_keras.oracle_table import ORACLES
from tl_keras.transfer.search_space import OBJECTIVE, Place, search_space, space_size


def make_oracle(
    config: SearchConfig, phase_2: PhaseConfig, found: dict[str, Place]
) -> keras_tuner.Oracle:
    """The configured oracle, seeded, for the places found in `places`."""
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": search_space(config, found),
        # A seed of 0 means a random one to the oracles.
        "seed": config.seed + 1,
    }
    if config.oracle == "hyperband":
        oracle = _hyperband(space_size(config, found), phase_2, common)
    else:
        oracle = _kind(config.oracle)(max_trials=config.max_trials, **common)
    draw_again(oracle, 1000)
    return oracle


def _kind(name: str) -> Any:
    return getattr(keras_tuner.oracles, ORACLES[name])


def _hyperband(
    configurations: int, phase_2: PhaseConfig, common: dict[str, Any]
) -> keras_tuner.Oracle:
    oracle = _kind("hyperband")(max_epochs=max(phase_2.epochs, 3), **common)
    # Of a small space the first round would never be full, and nothing would ever train for
    # longer than the first round allows.
    limit_rounds(oracle, lambda number: math.ceil(configurations / oracle.factor**number))
    return oracle
