"""One phase of training: a compiled graph that can start again, and training it to the end."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tl_keras.config.schema import PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batches, in_stretches, stretches
from tl_keras.data.rows import Rows
from tl_keras.models.backbone import seed_random_layers
from tl_keras.progress import counted, far
from tl_keras.transfer.batch_norm import BatchNormStatistics
from tl_keras.transfer.early_stopping import EarlyStopping
from tl_keras.transfer.optimizers import make_optimizer
from tl_keras.transfer.selection_losses import CrossFit

# A traced training function of a whole backbone holds some 100 MB.
MAX_GRAPHS = 8
_SIZE = tf.TensorSpec((), tf.int32)


@dataclass(frozen=True)
class Evaluation:
    """What a network says of images, and how right that is.

    Attributes:
        losses: float32 (n,), cross-entropy of each image.
        accuracy: 0..1.
        log_probabilities: float32 (n, classes).
    """

    losses: np.ndarray
    accuracy: float
    log_probabilities: np.ndarray


@dataclass(frozen=True)
class TrainingGraph:
    """A model with the traced steps that train it, which can start again.

    Tracing costs more than most trainings on small data, so a graph serves every run of its shape.
    On tiny epochs `fit`, and a call for each batch of features, would spend most of the time around
    the steps.

    Attributes:
        model: from training inputs to logits.
        optimizer: of its trainable variables.
        optimizer_state: values of the optimizer's variables before the first step.
        steps: (inputs, targets, sample weights, batch size, sums of loss and of right answers so
            far) to these sums; takes a step for each batch.
        logits: (inputs, batch size) of validation and prediction to logits, in inference mode; of
            the model, or of its upper part where training changes images at random and nothing
            else does.
        statistics: of BatchNorm, for a network trained from scratch.
    """

    model: keras.Model
    optimizer: keras.Optimizer
    optimizer_state: Sequence[np.ndarray]
    steps: Any
    logits: Any
    statistics: BatchNormStatistics | None = None

    @classmethod
    def of(
        cls,
        model: keras.Model,
        training: TrainingConfig,
        statistics: BatchNormStatistics | None = None,
        evaluated: keras.Model | None = None,
        rate_factors: Mapping[int, float] | None = None,
    ) -> "TrainingGraph":
        """The graph that trains `model` with the configured optimizer.

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
        optimizer.build(model.trainable_variables)
        return cls(
            model,
            optimizer,
            [variable.numpy() for variable in optimizer.variables],
            steps=_traced_steps(model, optimizer),
            logits=_traced_logits(evaluated or model),
            statistics=statistics,
        )

    def start_again(self, learning_rate: float, seed: int) -> None:
        """Put optimizer and random layers into their initial state."""
        for variable, value in zip(self.optimizer.variables, self.optimizer_state, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = learning_rate
        seed_random_layers(self.model, seed)

    def train(self, batches: Batches) -> dict[str, float]:
        """Train for one epoch; its mean loss and accuracy."""
        sums = tf.zeros(2)
        for inputs, targets, weights in batches:
            images = tf.cast(inputs, tf.float32)
            sums = self.steps(images, targets, weights, batches.batch_size, sums)
        loss, accuracy = (sums / len(batches)).numpy()
        return {"loss": float(loss), "accuracy": float(accuracy)}

    def evaluate(self, batches: Batches) -> Evaluation:
        """Ask the network; weights are ignored.

        The loss is worked out from the logits, so that tracing them serves every forward pass.
        """
        logits = self._logits_of(batches.inputs, batches.batch_size)
        losses = tf.nn.softmax_cross_entropy_with_logits(batches.targets, logits).numpy()
        right = logits.argmax(axis=1) == batches.targets.argmax(axis=1)
        return Evaluation(losses, float(right.mean()), tf.nn.log_softmax(logits).numpy())

    def probabilities(self, inputs: Rows, batch_size: int) -> np.ndarray:
        """Softmax of the logits, float32 (n, classes)."""
        return np.asarray(tf.nn.softmax(self._logits_of(inputs, batch_size)))

    def _logits_of(self, inputs: Rows, batch_size: int) -> np.ndarray:
        rows = np.arange(len(inputs))
        parts = [
            self.logits(tf.cast(inputs[rows[stretch]], tf.float32), batch_size)
            for stretch in stretches(inputs.shape, batch_size)
        ]
        return np.concatenate(parts)

    @property
    def changing(self) -> list[Any]:
        """The variables of the model that training changes."""
        return list(self.model.trainable_weights if self.statistics is None else self.model.weights)

    @property
    def trainable_parameters(self) -> int:
        return sum(int(np.prod(weight.shape)) for weight in self.model.trainable_weights)


def _traced_steps(model: keras.Model, optimizer: keras.Optimizer) -> Any:
    variables = model.trainable_variables

    def step(inputs: Any, targets: Any, weights: Any, sums: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits) * weights
            count = tf.cast(tf.size(losses), tf.float32)
            loss = tf.add_n([tf.reduce_sum(losses) / count, *model.losses])
        # zero for what a loss does not depend on
        gradients = tape.gradient(
            loss, [variable.value for variable in variables], unconnected_gradients="zero"
        )
        optimizer.apply(gradients, variables)
        right = tf.argmax(targets, axis=1) == tf.argmax(logits, axis=1)
        return sums + tf.stack([loss * count, tf.reduce_sum(tf.cast(right, tf.float32))])

    def steps(inputs: Any, targets: Any, weights: Any, batch_size: Any, sums: Any) -> Any:
        return _over_batches(step, (inputs, targets, weights), batch_size, sums)

    inputs, targets = tf.TensorSpec(model.input.shape), tf.TensorSpec(model.output.shape)
    signature = [inputs, targets, tf.TensorSpec((None,)), _SIZE, tf.TensorSpec((2,))]
    return tf.function(steps, input_signature=signature, autograph=False)


def _traced_logits(model: keras.Model) -> Any:
    def logits(inputs: Any, batch_size: Any) -> Any:
        parts = tf.TensorArray(
            tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=model.output.shape
        )

        def one(batch: Any, parts: Any) -> Any:
            return parts.write(parts.size(), model(batch, training=False))

        return _over_batches(one, (inputs,), batch_size, parts).concat()

    signature = [tf.TensorSpec(model.input.shape), _SIZE]
    return tf.function(logits, input_signature=signature, autograph=False)


def _over_batches(
    body: Callable[..., Any], rows: Sequence[Any], batch_size: Any, state: Any
) -> Any:
    """The state after `body(*batch, state)` for one batch of rows after the other.

    Pictures and activations come a batch at a time: around a whole network a loop would save
    nothing, and TensorFlow would take a second more to prepare it.
    """
    if not in_stretches(rows[0].shape):
        return body(*rows, state)

    def one(start: Any, state: Any) -> tuple[Any, Any]:
        end = start + batch_size
        return end, body(*(values[start:end] for values in rows), state)

    count = tf.shape(rows[0])[0]
    return tf.while_loop(
        lambda start, _: start < count, one, (tf.constant(0), state), parallel_iterations=1
    )[1]


@dataclass
class GraphPool:
    """The graphs used last, by shape."""

    _graphs: OrderedDict[Hashable, TrainingGraph] = field(default_factory=OrderedDict)

    def get(self, shape: Hashable, build: Callable[[], TrainingGraph]) -> TrainingGraph:
        """The graph of this shape, built if it is not (or no longer) there."""
        if shape not in self._graphs:
            self._graphs[shape] = build()
        self._graphs.move_to_end(shape)
        if len(self._graphs) > MAX_GRAPHS:
            self._graphs.popitem(last=False)
            # TensorFlow holds what it prepared to run a function, and with it the graph.
            tf.random.set_seed(0)
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
        seen: what the epochs say of the validation images.
        history: a row per epoch: phase, epoch, loss, accuracy, validation_loss,
            validation_accuracy, seconds, kept (whether its weights are those kept).
    """

    validation_losses: np.ndarray
    seen: CrossFit
    history: pd.DataFrame


def train_phase(
    graph: TrainingGraph,
    train: Batches,
    validation: Batches,
    phase: PhaseConfig,
    *,
    name: str,
    seed: int,
    seen: CrossFit | None = None,
    losses_so_far: np.ndarray | None = None,
    watch: Watch | None = None,
) -> PhaseResult:
    """Train from the weights in the graph until validation cross-entropy stops improving.

    When that is, and which weights are kept, `EarlyStopping` says.

    Args:
        graph: its optimizer and random layers start anew.
        train: batches in training order.
        validation: batches that choose the epoch.
        phase: at most how many epochs, rate, patience and which weights to keep.
        name: for the history's column `phase`.
        seed: of dropout and augmentation.
        seen: what earlier phases say of the validation images; None is nothing, and of groups of
            one image.
        losses_so_far: of these images, with the weights at the start.
        watch: sees the epochs, and may end the phase.
    """
    graph.start_again(phase.learning_rate, seed)
    watch = watch or Watch()
    watch.phase(graph.optimizer)
    stopping = EarlyStopping(graph.changing, phase.patience, losses_so_far)
    seen = seen or CrossFit.of(validation.targets.argmax(axis=1))
    rows = []
    for epoch in range(1, phase.epochs + 1):
        far(f"epoch {epoch} of at most {phase.epochs}")
        watch.epoch_begins()
        row, held_out = _epoch(graph, train, validation)
        rows.append({"phase": name, "epoch": epoch, **row})
        seen = seen.after(held_out.log_probabilities)
        watch.epoch_ends(rows[-1])
        if stopping.after(held_out.losses) or watch.ended:
            break
    stopping.settle(phase.keep, seen.groups)
    if phase.keep == "last":
        seen = seen.preferring(held_out.log_probabilities)
    losses = np.full(len(validation), np.inf) if stopping.best is None else stopping.best
    history = pd.DataFrame(rows)
    return PhaseResult(losses, seen, history.assign(kept=history["epoch"] == stopping.kept))


def train_epochs(
    graph: TrainingGraph,
    train: Batches,
    learning_rate: float,
    epochs: int,
    *,
    name: str,
    seed: int,
) -> pd.DataFrame:
    """Train from the weights in the graph for so many epochs, with no images held out.

    Args:
        graph: as of `train_phase`.
        train: as there.
        learning_rate: of the optimizer.
        epochs: how many.
        name: as there.
        seed: as there.

    Returns:
        A row per epoch: phase, epoch, loss, accuracy.
    """
    graph.start_again(learning_rate, seed)
    rows = [
        {"phase": name, "epoch": epoch, **graph.train(train)}
        for epoch in counted(range(1, epochs + 1), epochs, "epochs")
    ]
    if graph.statistics is not None:
        graph.statistics.estimate(train.inputs)
    return pd.DataFrame(rows)


def _epoch(
    graph: TrainingGraph, train: Batches, validation: Batches
) -> tuple[dict[str, float], Evaluation]:
    """Train for an epoch: its columns of the history, and what comes of the validation images."""
    started = time.perf_counter()
    scores = graph.train(train)
    if graph.statistics is not None:
        graph.statistics.estimate(train.inputs)
    held_out = graph.evaluate(validation)
    scores["validation_loss"] = float(held_out.losses.mean())
    scores["validation_accuracy"] = held_out.accuracy
    return {**scores, "seconds": time.perf_counter() - started}, held_out
