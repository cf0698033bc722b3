"""One phase of training: a compiled graph that can start again, and training it to the end."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras.config.schema import PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batch, Batches
from tl_keras.data.rows import Rows
from tl_keras.models.backbone import seed_random_layers
from tl_keras.transfer.batch_norm import BatchNormStatistics
from tl_keras.transfer.early_stopping import EarlyStopping
from tl_keras.transfer.optimizers import make_optimizer

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
        optimizer_state: values of the optimizer's variables before the first step.
        train_step: (inputs, targets, sample weights) to running means of the metrics.
        logits: inputs of validation and prediction to logits, in inference mode; of the model, or
            of its upper part where training changes images at random and nothing else does.
        statistics: of BatchNorm, for a network trained from scratch.
    """

    model: keras.Model
    optimizer_state: Sequence[np.ndarray]
    train_step: Any
    logits: Any
    statistics: BatchNormStatistics | None = None

    @classmethod
    def compile(
        cls,
        model: keras.Model,
        training: TrainingConfig,
        statistics: BatchNormStatistics | None = None,
        evaluated: keras.Model | None = None,
        rate_factors: Mapping[int, float] | None = None,
    ) -> "TrainingGraph":
        """Compile `model` with the configured optimizer.

        What is trainable in the model at this moment is what the graph trains for good.

        Args:
            model: (batch, ...) inputs to logits.
            training: optimizer and weight decay.
            statistics: to be estimated after every epoch.
            evaluated: the upper part of the model, for validation and prediction on what the lower
                part gives; None is the whole model.
            rate_factors: of the learning rate, by the `id` of a variable; 1 for others.
        """
        optimizer = make_optimizer(training, rate_factors)
        model.compile(
            optimizer,
            keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        )
        optimizer.build(model.trainable_variables)
        evaluated = model if evaluated is None else evaluated
        # Nothing in them needs a conversion, which Python 3.13 often refuses and which may keep the
        # graph of a refused function alive.
        return cls(
            model,
            [variable.numpy() for variable in optimizer.variables],
            train_step=tf.function(
                lambda *data: model.train_step(data),
                input_signature=_signature(model),
                autograph=False,
            ),
            logits=tf.function(
                lambda x: evaluated(x, training=False),
                input_signature=_signature(evaluated)[:1],
                autograph=False,
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

    def train(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Train for one epoch; its mean loss and accuracy."""
        self.model.reset_metrics()
        means: dict[str, Any] = {}
        for inputs, targets, weights in batches:
            means = self.train_step(tf.cast(inputs, tf.float32), targets, weights)
        # In this order: that of the metrics differs between versions of Keras.
        return {name: float(means[name]) for name in ("loss", "accuracy")}

    def evaluate(self, batches: Iterable[Batch]) -> tuple[np.ndarray, float]:
        """Cross-entropy of each image, float32 (n,), and accuracy; weights are ignored.

        The loss is worked out from the logits, so that tracing them serves every forward pass.
        """
        losses, right = [], []
        for inputs, targets, _ in batches:
            logits = self.logits(tf.cast(inputs, tf.float32))
            losses.append(tf.nn.softmax_cross_entropy_with_logits(targets, logits).numpy())
            right.append(logits.numpy().argmax(axis=1) == targets.argmax(axis=1))
        return np.concatenate(losses), float(np.concatenate(right).mean())

    def probabilities(self, inputs: Rows, batch_size: int) -> np.ndarray:
        """Softmax of the logits, float32 (n, classes)."""
        rows = np.arange(len(inputs))
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        parts = [
            tf.nn.softmax(self.logits(tf.cast(inputs[batch], tf.float32))) for batch in batches
        ]
        return np.concatenate([part.numpy() for part in parts])

    @property
    def changing(self) -> list[Any]:
        """The variables of the model that training changes."""
        return list(self.model.trainable_weights if self.statistics is None else self.model.weights)

    @property
    def trainable_parameters(self) -> int:
        return sum(int(np.prod(weight.shape)) for weight in self.model.trainable_weights)


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


class Watch:
    """Sees every epoch of a training, and may end it; this one does neither."""

    @property
    def ended(self) -> bool:
        """Whether no further epoch, and no further phase, is wanted."""
        return False

    def phase(self, optimizer: keras.Optimizer) -> None:
        """A phase begins, with this optimizer."""

    def epoch_begins(self) -> None:
        """The next epoch of the phase begins."""

    def epoch_ends(self, row: Mapping[str, Any]) -> None:
        """An epoch ended, with this row of the history."""


@dataclass(frozen=True)
class PhaseResult:
    """Outcome of a phase; the weights kept are in the graph's model.

    Attributes:
        validation_losses: float32 (validation images,), cross-entropy of the weights kept.
        epoch_losses: float32 (epochs, validation images), the same after each epoch.
        history: a row per epoch: phase, epoch, loss, accuracy, validation_loss,
            validation_accuracy, seconds.
    """

    validation_losses: np.ndarray
    epoch_losses: np.ndarray
    history: pd.DataFrame


def train_phase(
    graph: TrainingGraph,
    train: Batches,
    validation: Batches,
    phase: PhaseConfig,
    *,
    name: str,
    seed: int,
    losses_so_far: np.ndarray | None = None,
    watch: Watch | None = None,
) -> PhaseResult:
    """Train from the weights in the graph until validation cross-entropy stops improving.

    When that is, and which weights are kept, `EarlyStopping` says.

    Args:
        graph: its optimizer and random layers start anew.
        train: batches in training order.
        validation: batches that choose the epoch.
        phase: at most how many epochs, rate and patience.
        name: for the history's column `phase`.
        seed: of dropout and augmentation.
        losses_so_far: of the validation images, with the weights at the start.
        watch: sees the epochs, and may end the phase.
    """
    graph.start_again(phase.learning_rate, seed)
    watch = watch or Watch()
    watch.phase(graph.model.optimizer)
    stopping = EarlyStopping(graph.changing, phase.patience, losses_so_far)
    rows, epochs = [], []
    for epoch in range(1, phase.epochs + 1):
        watch.epoch_begins()
        row, losses = _epoch(graph, train, validation)
        rows.append({"phase": name, "epoch": epoch, **row})
        epochs.append(losses)
        watch.epoch_ends(rows[-1])
        if stopping.after(losses) or watch.ended:
            break
    stopping.restore_best()
    kept = np.full(len(losses), np.inf) if stopping.best is None else stopping.best
    return PhaseResult(kept, np.stack(epochs), pd.DataFrame(rows))


def _epoch(
    graph: TrainingGraph, train: Batches, validation: Batches
) -> tuple[dict[str, float], np.ndarray]:
    """Train for an epoch: its columns of the history, and the loss of each validation image."""
    started = time.perf_counter()
    scores = graph.train(train)
    if graph.statistics is not None:
        graph.statistics.estimate(train.inputs)
    losses, accuracy = graph.evaluate(validation)
    held_out = {"validation_loss": float(losses.mean()), "validation_accuracy": accuracy}
    return {**scores, **held_out, "seconds": time.perf_counter() - started}, losses
