"""Learning rates that differ from variable to variable, under any Keras optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras


def scale_rates(optimizer: keras.Optimizer, factors: Mapping[int, float]) -> keras.Optimizer:
    """The same optimizer with a learning rate for each variable, its weight decay included.

    Scaling gradients would not do: Adam and its like divide by their size.

    Args:
        optimizer: not built yet; stays as it is.
        factors: of the learning rate, by the `id` of a variable; 1 for others.
    """
    plain: Any = type(optimizer)
    decay = optimizer.weight_decay
    known: dict[int, float] = {}

    def build(self: Any, variables: Sequence[keras.Variable]) -> None:
        plain.build(self, variables)
        for variable in variables:
            # Keras hands on what TensorFlow knows the variable by.
            known[id(variable.value)] = factors.get(id(variable), 1.0)

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = learning_rate * known[id(variable)]
        if decay:
            variable.assign_sub(variable * decay * rate)
        plain.update_step(self, gradient, variable, rate)

    methods = {"build": build, "update_step": update_step}
    kind: Any = type(plain.__name__, (plain,), methods)
    scaled = kind.from_config(optimizer.get_config())
    # Keras applies the decay with the rate of all variables.
    scaled.weight_decay = None
    return scaled
