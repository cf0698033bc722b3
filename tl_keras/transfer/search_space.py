"""What a search may try, in KerasTuner's terms."""

from collections.abc import Sequence

import keras_tuner

from tl_keras.config.schema import SearchConfig
from tl_keras.errors import ConfigError
from tl_keras.models.backbone import Depth
from tl_keras.transfer.run_plan import fitting_depths

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


def search_space(config: SearchConfig, found: dict[str, Place]) -> keras_tuner.HyperParameters:
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


def space_size(config: SearchConfig, found: dict[str, Place]) -> int:
    """Of the space, which has no rate where nothing is unfrozen."""
    rates = len(config.learning_rates) * len(config.layer_decays or (1.0,))
    placed = sum(rates if depth != 0 else 1 for _, depth in found.values())
    return placed * len(config.hidden_units) * len(config.augmentations)
