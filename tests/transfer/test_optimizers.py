"""One optimizer for all variables: bit for bit what one update for each of them would do."""

from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config.schema import TrainingConfig
from tl_keras.transfer.optimizers import JointOptimizer

OPTIMIZERS = get_args(TrainingConfig.model_fields["optimizer"].annotation)
SHAPES = [(3, 5), (7,), (2, 1, 3), ()]
RNG = np.random.default_rng(0)
START = [RNG.normal(size=shape).astype("float32") for shape in SHAPES]
GRADIENTS = [[RNG.normal(size=shape).astype("float32") for shape in SHAPES] for _ in range(4)]


def variables() -> list[keras.Variable]:
    return [keras.Variable(values) for values in START]


def joint(
    factors: tuple[float, ...] = (), **training: Any
) -> tuple[JointOptimizer, list[keras.Variable]]:
    changed = variables()
    rates = {id(v): factor for v, factor in zip(changed, factors, strict=False)}
    return JointOptimizer(TrainingConfig(**training), changed, rates), changed


def after_steps(optimizer: JointOptimizer, changed: list[keras.Variable]) -> list[np.ndarray]:
    optimizer.start_again(0.05)
    for gradients in GRADIENTS:
        optimizer.step([tf.constant(values) for values in gradients])
    return [variable.numpy() for variable in changed]


def after_steps_of_keras(name: str, decay: float, *, rate: float = 0.05) -> list[np.ndarray]:
    changed = variables()
    rule = keras.optimizers.get({"class_name": name, "config": {"weight_decay": decay}})
    rule.build(changed)
    rule.learning_rate = rate
    for gradients in GRADIENTS:
        rule.apply([tf.constant(values) for values in gradients], changed)
    return [variable.numpy() for variable in changed]


def assert_equal(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_keras(name: str, decay: float) -> None:
    found = after_steps(*joint(optimizer=name, weight_decay=decay))
    assert_equal(found, after_steps_of_keras(name, decay))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_variable_with_a_factor_has_a_rate_of_its_own(name: str) -> None:
    found = after_steps(*joint((0.5, 1.0, 0.25), optimizer=name))
    for place, rate in enumerate((0.025, 0.05, 0.0125, 0.05)):
        expected = after_steps_of_keras(name, 0.0, rate=rate)[place]
        np.testing.assert_allclose(found[place], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_started_again_it_knows_nothing_of_the_steps_before(name: str) -> None:
    optimizer, changed = joint(optimizer=name, weight_decay=0.1)
    first = after_steps(optimizer, changed)
    for variable, values in zip(changed, START, strict=True):
        variable.assign(values)
    assert_equal(after_steps(optimizer, changed), first)


def test_a_change_between_steps_is_kept() -> None:
    """A callback may set weights after an epoch."""
    optimizer, (first, *_) = joint(optimizer="sgd")
    optimizer.start_again(0.5)
    first.assign(np.zeros(first.shape))
    optimizer.step([tf.ones(shape) for shape in SHAPES])
    np.testing.assert_array_equal(first, np.full(first.shape, -0.5, np.float32))
