"""What a network answers with the decision in it, in a graph: the same for every export target."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.exact_softmax import Arithmetic
from tl_keras.serving.signature_names import CONFIDENCE, DECISION, FAMILIAR, PROBABILITIES

TENSORFLOW = Arithmetic(
    where=tf.where,
    floor=tf.floor,
    whole=lambda values: tf.cast(values, tf.int32),
    places=lambda values, borders: tf.reduce_sum(
        tf.cast(values[..., tf.newaxis] >= borders, tf.int32), axis=-1
    ),
    take=tf.gather,
    largest=lambda values: tf.reduce_max(values, axis=-1, keepdims=True),
    first_largest=lambda values: tf.argmax(values, axis=-1, output_type=tf.int32),
)

Outputs = dict[str, tf.Tensor]


def network(model: keras.Model) -> Callable[[tf.Tensor], Outputs]:
    """A model as a function from images to named outputs.

    Args:
        model: from float32 (batch, size, size, 3), 0..255, to probabilities (batch, classes), or to
            a dict of these, `probabilities`, and `familiar` (batch,).
    """
    return lambda images: narrow(model(images, training=False))


def narrow(answer: Any) -> Outputs:
    """What a model of `network` answers, by name, as float32."""
    return {name: tf.cast(values, tf.float32) for name, values in named(answer).items()}


def named(answer: Any) -> dict[str, Any]:
    """What a model of `network` answers, by name."""
    return dict(answer) if isinstance(answer, dict) else {PROBABILITIES: answer}


def decide(outputs: Outputs, rule: DecisionRule | None) -> Outputs:
    """The outputs of a network with those of a rule, where there is one.

    Args:
        outputs: as of `network`.
        rule: for the classes of the probabilities.

    Returns:
        Also `confidence`, float32 (batch,), and `decision`, int32 (batch,), a place in
        `DecisionRule.names`.
    """
    if rule is None:
        return outputs
    confidence, decision = rule.judged(outputs[PROBABILITIES], outputs.get(FAMILIAR), TENSORFLOW)
    return {**outputs, CONFIDENCE: confidence, DECISION: decision}
