"""One phase of training: a compiled graph that can start again, and training it to the end."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras.config.schema import PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batch, Batches
from tl_keras.data.rows import Rows
from tl_keras.models.classifier import seed_random_layers
from tl_keras.transfer.batch_norm import BatchNormStatistics

# A traced training function of a whole backbone holds some 100 MB.
MAX_GRAPHS = 8


@dataclass(frozen=True)
class TrainingGraph:
    """A compiled model, its traced steps, and the initial state of its optimizer.

    Tracing the training step costs more than most trainings on small data, so a graph serves
    every run of its shape: its optimizer is new for each in all but name. The steps are called
    directly: on tiny epochs `fit` spends most of its time around them.

    Attributes:
        model: from training inputs to logits.
        evaluated: from the inputs of validation and prediction to logits. It is the model, or its
            upper part where training changes images at random and nothing else does.
        optimizer_state: values of the optimizer's variables before the first step.
        train_step, test_step: (inputs, targets, sample weights) to running means of the metrics.
        logits: inputs to logits, in inference mode.
        statistics: of BatchNorm, for a network trained from scratch.
    """

    model: keras.Model
    evaluated: keras.Model
    optimizer_state: Sequence[np.ndarray]
    train_step: Any
    test_step: Any
    logits: Any
    statistics: BatchNormStatistics | None = None

    @classmethod
    def compile(
        cls,
        model: keras.Model,
        training: TrainingConfig,
        statistics: BatchNormStatistics | None = None,
        evaluated: keras.Model | None = None,
    ) -> "TrainingGraph":
        """Compile `model`, (batch, ...) inputs to logits, with the configured optimizer.

        What is trainable in the model at this moment is what the graph trains for good.

        Args:
            model: to train.
            training: optimizer and weight decay.
            statistics: of BatchNorm, for a network trained from scratch.
            evaluated: the upper part of the model, for validation and prediction on what the lower
                part gives; None is the whole model.
        """
        optimizer = keras.optimizers.get(
            {
                "class_name": training.optimizer,
                "config": {"weight_decay": training.weight_decay},
            }
        )
        if not tf.distribute.has_strategy():
            # With one device there is nothing to add up, and TensorFlow would keep every graph
            # that does so for the life of the process: 50 MB for a whole MobileNetV2.
            optimizer._all_reduce_sum_gradients = list
        _compile(model, optimizer)
        optimizer.build(model.trainable_variables)
        if evaluated is None:
            evaluated = model
        else:
            # The part may be another graph's model, with an optimizer: it is left as it is.
            evaluated = keras.Model(evaluated.input, evaluated(evaluated.input))
            _compile(evaluated, None)
        return cls(
            model,
            evaluated,
            [variable.numpy() for variable in optimizer.variables],
            train_step=tf.function(
                lambda *data: model.train_step(data), input_signature=_signature(model)
            ),
            test_step=tf.function(
                lambda *data: evaluated.test_step(data), input_signature=_signature(evaluated)
            ),
            logits=tf.function(
                lambda x: evaluated(x, training=False), input_signature=_signature(evaluated)[:1]
            ),
            statistics=statistics,
        )

    def start_again(self, learning_rate: float, seed: int) -> None:
        """Put optimizer and random layers into their initial state."""
        optimizer = self.model.optimizer
        for variable, value in zip(optimizer.variables, self.optimizer_state, strict=True):
            variable.assign(value)
        optimizer.learning_rate = learning_rate
        seed_random_layers(self.model, seed)

    def run(self, step: Any, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean loss and accuracy of one pass with `train_step` or `test_step`."""
        self.model.reset_metrics()
        self.evaluated.reset_metrics()
        means: dict[str, Any] = {}
        for inputs, targets, weights in batches:
            means = step(tf.cast(inputs, tf.float32), targets, weights)
        # In this order: that of the metrics differs between versions of Keras.
        return {name: float(means[name]) for name in ("loss", "accuracy")}

    def probabilities(self, inputs: Rows, batch_size: int) -> np.ndarray:
        """Softmax of the logits, float32 (n, classes)."""
        rows = np.arange(len(inputs))
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        parts = [
            tf.nn.softmax(self.logits(tf.cast(inputs[batch], tf.float32))) for batch in batches
        ]
        return np.concatenate([part.numpy() for part in parts])

    @property
    def trainable_parameters(self) -> int:
        return sum(int(np.prod(weight.shape)) for weight in self.model.trainable_weights)


def _compile(model: keras.Model, optimizer: keras.Optimizer | None) -> None:
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )


def _signature(model: keras.Model) -> list[tf.TensorSpec]:
    """Inputs, targets and sample weights; an open batch, or a smaller last one is traced anew."""
    inputs, targets = tf.TensorSpec(model.input.shape), tf.TensorSpec(model.output.shape)
    return [inputs, targets, tf.TensorSpec((None,))]


@dataclass
class GraphPool:
    """The graphs used last, by shape."""

    _graphs: OrderedDict[Hashable, TrainingGraph] = field(default_factory=OrderedDict)

    def get(self, shape: Hashable, build: Callable[[], TrainingGraph]) -> TrainingGraph:
        """The graph of this shape, built if it is not (or no longer) there."""
        if shape not in self._graphs:
            self._graphs[shape] = build()
        self._graphs.move_to_end(shape)
        while len(self._graphs) > MAX_GRAPHS:
            self._graphs.popitem(last=False)
        return self._graphs[shape]


@dataclass(frozen=True)
class PhaseResult:
    """Outcome of a phase; the weights kept are in the graph's model.

    Attributes:
        validation_loss: mean cross-entropy on the validation images of the weights kept.
        history: a row per epoch: phase, epoch, loss, accuracy, validation_loss,
            validation_accuracy, seconds.
    """

    validation_loss: float
    history: pd.DataFrame


def train_phase(
    graph: TrainingGraph,
    train: Batches,
    validation: Batches,
    phase: PhaseConfig,
    *,
    name: str,
    seed: int,
    loss_so_far: float = np.inf,
) -> PhaseResult:
    """Train from the weights in the graph until validation cross-entropy stops improving.

    The weights of the best epoch are kept. Unlike `keras.callbacks.EarlyStopping` this starts
    from a loss that is already reached: a second phase that never improves on the first ends with
    the weights of the first.

    Args:
        graph: its optimizer and random layers start anew.
        train: batches in training order.
        validation: batches that choose the epoch.
        phase: at most how many epochs, rate and patience.
        name: for the history's column `phase`.
        seed: of dropout and augmentation.
        loss_so_far: validation loss of the weights at the start.
    """
    graph.start_again(phase.learning_rate, seed)
    best_loss, best_epoch, best_weights = loss_so_far, 0, graph.model.get_weights()
    rows = []
    for epoch in range(1, phase.epochs + 1):
        started = time.perf_counter()
        scores = graph.run(graph.train_step, train)
        if graph.statistics is not None:
            graph.statistics.estimate(train.inputs)
        held_out = graph.run(graph.test_step, validation)
        rows.append(
            {
                "phase": name,
                "epoch": epoch,
                **scores,
                **{f"validation_{metric}": value for metric, value in held_out.items()},
                "seconds": time.perf_counter() - started,
            }
        )
        if held_out["loss"] < best_loss:
            best_loss, best_epoch = held_out["loss"], epoch
            best_weights = graph.model.get_weights()
        elif epoch - best_epoch >= phase.patience:
            break
    graph.model.set_weights(best_weights)
    return PhaseResult(best_loss, pd.DataFrame(rows))
