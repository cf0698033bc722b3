"""The optimizers that training uses, with a learning rate for each variable where that is asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tl_keras.config.schema import TrainingConfig
from tl_keras.models.keras_internals import moments_of, sum_no_gradients


class InOneOperation:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) that updates a variable in one operation.

    The twenty or so of Keras are most of the training graph of a network, and each reads or writes
    all of a variable.
    """

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        step = tf.cast(self.iterations + 1, tf.float32)
        self.powers = {"beta1_power": self.beta_1**step, "beta2_power": self.beta_2**step}
        super().apply(grads, trainable_variables)  # type: ignore[misc]

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        mean, square = moments_of(self, variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=mean.handle,
            v=square.handle,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
            **self.powers,
        )


class Adam(InOneOperation, keras.optimizers.Adam):
    """Adam of Keras, quicker."""


class AdamW(InOneOperation, keras.optimizers.AdamW):
    """The same with weight decay."""


IN_ONE_OPERATION: dict[Any, Any] = {keras.optimizers.Adam: Adam, keras.optimizers.AdamW: AdamW}


def make_optimizer(
    training: TrainingConfig, rate_factors: Mapping[int, float] | None = None
) -> keras.Optimizer:
    """The configured optimizer, not built yet.

    A new option is a key of `TrainingConfig`, and is read here.

    Args:
        training: optimizer and weight decay.
        rate_factors: of the learning rate, by the `id` of a variable; 1 for others.
    """
    one_device = not tf.distribute.has_strategy()
    kind: Any = type(keras.optimizers.get(training.optimizer))
    if one_device:
        kind = IN_ONE_OPERATION.get(kind, kind)
    optimizer = kind(weight_decay=training.weight_decay)
    if not training.weight_decay:
        # A decay of 0 would be worked out for every variable in every step.
        optimizer.weight_decay = None
    if rate_factors:
        optimizer = scale_rates(optimizer, rate_factors)
    if one_device:
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
    # Keras applies a decay with the rate of all variables, and its AdamW is not made without one.
    scaled = kind.from_config(optimizer.get_config() | {"weight_decay": 0.0})
    scaled.weight_decay = None
    return scaled
