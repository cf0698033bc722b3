"""Every strategy's module has the functions that its row promises."""

import pytest

from tl_keras.experiment.strategies import by_steps, linear_probe, majority_class
from tl_keras.experiment.strategies.making import (
    BackboneMaking,
    Making,
    backbone_making,
    making,
)
from tl_keras.strategy_table import STRATEGIES, names_where

# The type checker compares the functions, arguments and all.
MODULES: tuple[Making, ...] = (by_steps, linear_probe, majority_class)
OF_BACKBONES: tuple[BackboneMaking, ...] = (by_steps,)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_module_of_every_strategy_is_checked(strategy: str) -> None:
    assert making(strategy) in MODULES


@pytest.mark.parametrize("strategy", names_where(lambda spec: spec.changes_backbone))
def test_what_changes_the_backbone_can_hand_it_over(strategy: str) -> None:
    assert backbone_making(strategy) in OF_BACKBONES
