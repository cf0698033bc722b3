"""The optimizers that training uses, with a learning rate for each variable where that is asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.config.schema import TrainingConfig
from tl_keras.models.keras_internals import sum_no_gradients


class JointOptimizer:
    """An optimizer for which the variables that it changes are one, end to end.

    An update is some dozens of operations. One for each variable of a network would be most of its
    training graph, and tracing that takes longer than most trainings on small data.

    Attributes:
        rule: of Keras: how one step changes numbers.
    """

    def __init__(
        self,
        training: TrainingConfig,
        variables: Sequence[keras.Variable],
        rate_factors: Mapping[int, float] | None = None,
    ) -> None:
        """Make the configured optimizer.

        Args:
            training: optimizer and weight decay.
            variables: what it is to change.
            rate_factors: of the learning rate, by the `id` of a variable; 1 for others.
        """
        self._variables = list(variables)
        self._sizes = [int(np.prod(variable.shape)) for variable in variables]
        self._joined = keras.Variable(np.zeros(sum(self._sizes), np.float32))
        known = rate_factors or {}
        factors = np.array([known.get(id(variable), 1) for variable in variables], np.float32)
        self.rule = make_optimizer(training, np.repeat(factors, self._sizes))
        self.rule.build([self._joined])
        self._initial = [variable.numpy() for variable in self.rule.variables]

    def start_again(self, learning_rate: float) -> None:
        """Forget all steps."""
        for variable, value in zip(self.rule.variables, self._initial, strict=True):
            variable.assign(value)
        self.rule.learning_rate = learning_rate

    def step(self, gradients: Sequence[Any]) -> None:
        """Change the variables by their gradients."""
        self._joined.assign(_end_to_end(self._variables))
        self.rule.apply([_end_to_end(gradients)], [self._joined])
        parts = tf.split(self._joined.value, self._sizes)
        for variable, values in zip(self._variables, parts, strict=True):
            variable.assign(tf.reshape(values, variable.shape))


def make_optimizer(training: TrainingConfig, rate_factors: np.ndarray) -> keras.Optimizer:
    """The configured optimizer, not built yet.

    A new option is a key of `TrainingConfig`, and is read here.

    Args:
        training: optimizer and weight decay.
        rate_factors: of the learning rate, for each number of the variable that it will change.
    """
    optimizer = keras.optimizers.get(
        {"class_name": training.optimizer, "config": {"weight_decay": training.weight_decay}}
    )
    if not training.weight_decay:
        # A decay of 0 would be worked out in every step.
        optimizer.weight_decay = None
    if (rate_factors != 1).any():
        optimizer = scale_rates(optimizer, rate_factors)
    if not tf.distribute.has_strategy():
        sum_no_gradients(optimizer)
    return optimizer


def scale_rates(optimizer: keras.Optimizer, factors: np.ndarray) -> keras.Optimizer:
    """The same optimizer with a learning rate for each number, its weight decay included.

    Scaling gradients would not do: Adam and its like divide by their size.

    Args:
        optimizer: not built yet; stays as it is.
        factors: of the learning rate, of the shape of its only variable.
    """
    plain: Any = type(optimizer)
    decay, known = optimizer.weight_decay, tf.constant(factors)

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rates = learning_rate * known
        if decay:
            variable.assign_sub(variable * decay * rates)
        plain.update_step(self, gradient, variable, rates)

    kind: Any = type(plain.__name__, (plain,), {"update_step": update_step})
    # Keras applies a decay with the rate of all variables, and its AdamW is not made without one.
    scaled = kind.from_config(optimizer.get_config() | {"weight_decay": 0.0})
    scaled.weight_decay = None
    return scaled


def _end_to_end(values: Sequence[Any]) -> Any:
    return tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
