"""The optimizers that training uses, with a learning rate for each variable where that is asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tl_keras.config.schema import TrainingConfig
from tl_keras.models.keras_internals import sum_no_gradients


def make_optimizer(
    training: TrainingConfig, rate_factors: Mapping[int, float] | None = None
) -> keras.Optimizer:
    """The configured optimizer, not built yet.

    A new option is a key of `TrainingConfig`, and is read here.

    Args:
        training: optimizer and weight decay.
        rate_factors: of the learning rate, by the `id` of a variable; 1 for others.
    """
    optimizer = keras.optimizers.get(
        {"class_name": training.optimizer, "config": {"weight_decay": training.weight_decay}}
    )
    if not training.weight_decay:
        # A decay of 0 would be worked out for every variable in every step.
        optimizer.weight_decay = None
    if rate_factors:
        optimizer = scale_rates(optimizer, rate_factors)
    if not tf.distribute.has_strategy():
        sum_no_gradients(optimizer)
    return optimizer


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
