"""The optimizers beside those of Keras, and a learning rate for each variable."""

from collections.abc import Mapping
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from tl_keras.config.schema import TrainingConfig
from tl_keras.transfer.optimizers import make_optimizer

OPTIMIZERS = get_args(TrainingConfig.model_fields["optimizer"].annotation)
SHAPES = [(3, 50), (7,), (2, 1, 3), ()]
RNG = np.random.default_rng(0)
START = [RNG.normal(size=shape).astype("float32") for shape in SHAPES]
GRADIENTS = [[RNG.normal(size=shape).astype("float32") for shape in SHAPES] for _ in range(4)]


def after_steps(optimizer: keras.Optimizer, variables: list[keras.Variable]) -> list[np.ndarray]:
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(*gradients: Any) -> None:
        optimizer.apply(gradients, variables)

    for gradients in GRADIENTS:
        step(*map(tf.constant, gradients))
    return [variable.numpy() for variable in variables]


def ours(factors: Mapping[int, float], rate: float = 0.05, **training: Any) -> list[np.ndarray]:
    """With factors by place."""
    variables = [keras.Variable(values) for values in START]
    by_id = {id(variables[place]): factor for place, factor in factors.items()}
    optimizer = make_optimizer(TrainingConfig(**training), by_id)
    optimizer.learning_rate = rate
    return after_steps(optimizer, variables)


def those_of_keras(name: str, decay: float) -> list[np.ndarray]:
    rule = keras.optimizers.get({"class_name": name, "config": {"weight_decay": decay}})
    rule.learning_rate = 0.05
    return after_steps(rule, [keras.Variable(values) for values in START])


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_keras(name: str, decay: float) -> None:
    found = ours({}, optimizer=name, weight_decay=decay)
    # In float32 the operation's 1 - 0.999 is 0.00100005, so its steps are 2e-5 shorter.
    error = 4 * 0.05 * 3e-5 if name.startswith("adam") else 1e-7
    for one, other in zip(found, those_of_keras(name, decay), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=error)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_variable_with_a_factor_has_a_rate_of_its_own(name: str, decay: float) -> None:
    settings: dict[str, Any] = {"optimizer": name, "weight_decay": decay}
    found = ours({0: 0.5, 2: 0.25}, **settings)
    for place, rate in enumerate((0.025, 0.05, 0.0125, 0.05)):
        expected = ours({}, rate, **settings)[place]
        np.testing.assert_allclose(found[place], expected, rtol=1e-6, atol=1e-7)
