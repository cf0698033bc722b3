"""What a search may try, in KerasTuner's terms: the space and the oracle that walks through it."""

import math
from collections.abc import Sequence

import keras_tuner

from tl_keras.config.schema import PhaseConfig, SearchConfig
from tl_keras.errors import ConfigError
from tl_keras.models.backbone import Depth
from tl_keras.models.keras_internals import draw_again, limit_rounds
from tl_keras.transfer.strategies import fitting_depths

OBJECTIVE = "validation_loss"
Place = tuple[str, Depth]


def places(config: SearchConfig, blocks: Sequence[str]) -> dict[str, Place]:
    """Every cut with every depth that it has, by the text that stands for them in the space.

    One choice of pairs, because which depths there are depends on the cut.

    Args:
        config: with names of blocks for cuts.
        blocks: names of all blocks, from input to output.

    Raises:
        ConfigError: there is none.
    """
    found: dict[str, Place] = {}
    for cut in config.cuts:
        for depth in fitting_depths(config.unfrozen_blocks, blocks[: blocks.index(cut) + 1]):
            found[f"{depth} up to {cut}"] = cut, depth
    if not found:
        raise ConfigError(
            f"search.unfrozen_blocks must have a depth within one of the cuts "
            f"{', '.join(config.cuts)}; got {', '.join(map(str, config.unfrozen_blocks))}. Add a "
            'number or "all", or other search.cuts.'
        )
    return found


def make_oracle(
    config: SearchConfig, phase_2: PhaseConfig, found: dict[str, Place]
) -> keras_tuner.Oracle:
    """The configured oracle, seeded, for the places found in `places`."""
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "min"),
        "hyperparameters": _space(config, found),
        # A seed of 0 means a random one to the oracles.
        "seed": config.seed + 1,
    }
    if config.oracle == "hyperband":
        epochs = max(phase_2.epochs, 3)
        oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=epochs, **common)
        # Of a small space the first round would never be full, and nothing would ever train for
        # longer than the first round allows.
        configurations = _configurations(config, found)
        limit_rounds(oracle, lambda number: math.ceil(configurations / oracle.factor**number))
    else:
        kind = {
            "random": keras_tuner.oracles.RandomSearchOracle,
            "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
            "grid": keras_tuner.oracles.GridSearchOracle,
        }[config.oracle]
        oracle = kind(max_trials=config.max_trials, **common)
    draw_again(oracle, 1000)
    return oracle


def _space(config: SearchConfig, found: dict[str, Place]) -> keras_tuner.HyperParameters:
    """The whole space, declared before the first trial, as oracles need it."""
    space = keras_tuner.HyperParameters()
    space.Choice("place", list(found), ordered=False)
    space.Choice("hidden_units", list(config.hidden_units))
    space.Choice("augmentation", list(config.augmentations), ordered=False)
    unfrozen = [place for place, (_, depth) in found.items() if depth != 0]
    if unfrozen:
        # Without unfrozen blocks there is no second phase and no rate to choose.
        with space.conditional_scope("place", unfrozen):
            space.Choice("learning_rate", list(config.learning_rates))
            space.Choice("layer_decay", list(config.layer_decays or (1.0,)))
    return space


def _configurations(config: SearchConfig, found: dict[str, Place]) -> int:
    """Of the space, which has no rate where nothing is unfrozen."""
    rates = len(config.learning_rates) * len(config.layer_decays or (1.0,))
    placed = sum(rates if depth != 0 else 1 for _, depth in found.values())
    return placed * len(config.hidden_units) * len(config.augmentations)
