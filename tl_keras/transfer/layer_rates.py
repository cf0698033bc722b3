"""Learning rates that differ from variable to variable, under any Keras optimizer."""

from collections.abc import Sequence
from typing import Any

import keras


def scale_rates(optimizer: keras.Optimizer, factors: Sequence[float]) -> None:
    """Multiply the learning rate of each variable by a factor, its weight decay included.

    Scaling gradients would not do: Adam and its like divide by their size.

    Args:
        optimizer: built, and not traced yet; changed for good.
        factors: one per trainable variable, in the order in which the optimizer was built.
    """
    update, decay = optimizer.update_step, optimizer.weight_decay
    # Keras applies the decay with the rate of all variables.
    optimizer.weight_decay = None

    def scaled(gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = learning_rate * factors[optimizer._get_variable_index(variable)]
        if decay:
            variable.assign_sub(variable * decay * rate)
        update(gradient, variable, rate)

    optimizer.update_step = scaled
