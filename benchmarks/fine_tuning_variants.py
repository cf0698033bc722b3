"""What helps fine-tuning on few photos: variants of phase 2, and which of its weights are kept.

    python -m benchmarks.fine_tuning_variants --images DATA --weights FILE [--backbone file]

On draws of the sets asked for (10 training and 10 validation photos of each class, groups whole) a
head is trained on the frozen network as the package does. From it the top two blocks, or all, are
trained by each variant of `VARIANTS`, all its epochs; then every rule of `_kept` and of `_averages`
takes weights of this one course, so that rules are compared on the same course. `gain` is test
accuracy less that of the head alone, `over_before` that less the gain of the variant and the rule
that the package had before: the rate 1e-4 and the best epoch with a patience of 8; `low` and `high`
bound its 95% interval over courses, which are draws times sets. Writes fine_tuning_variants.csv, a
row for each depth, variant and rule.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.representation import BRICKS
from benchmarks.source_models import (
    SETS,
    PhotoSet,
    ask_for_network,
    draws,
    interval,
    load_network,
    load_photos,
)
from tl_keras.config.schema import HeadConfig, PhaseConfig, TrainingConfig
from tl_keras.data.batches import Batches
from tl_keras.data.folds import stratified_folds
from tl_keras.data.rows import Rows
from tl_keras.data.splits import Draw
from tl_keras.models.backbone import Depth, seed_random_layers
from tl_keras.models.blocks import set_trainable, unfrozen_range
from tl_keras.models.fused import fused, gains
from tl_keras.transfer.early_stopping import as_good
from tl_keras.transfer.optimizers import make_optimizer
from tl_keras.transfer.recipe import Recipe, depth_of
from tl_keras.transfer.trainer import LabelledImages, Trainer, rate_factors

TUNED = ("steel", "cells", "digits")
DEPTHS: tuple[Depth, ...] = (2, "all")
MOST_TESTED = 300
AVERAGED = 10
BEFORE = ("before", "best, patience 8")
TEMPERATURES = np.geomspace(0.25, 8, 41)
PREDICTION_BATCH = 64
HEAD = Recipe(0, "none", (), PhaseConfig(epochs=1, learning_rate=1e-4, patience=1))


@dataclass(frozen=True)
class Variant:
    """How phase 2 trains.

    Attributes:
        rate: of Adam, at the head.
        epochs: all are trained.
        layer_decay: factor of the rate from each block to the one below it.
        warm_up: epochs in which the rate rises from 0.
        cosine: whether it falls to 0 by the last epoch.
        batch_size: photos in a step.
        smoothing: of the labels.
        norms_alone: whether BatchNorm's scales and shifts train in place of the kernels (Frankle et
            al. 2021, arXiv:2003.00152); its statistics stay those of the source.
        multiplied: whether BatchNorm multiplies the steps of the kernels before it.
    """

    rate: float = 1e-4
    epochs: int = 40
    layer_decay: float = 1.0
    warm_up: int = 0
    cosine: bool = False
    batch_size: int = 32
    smoothing: float = 0.0
    norms_alone: bool = False
    multiplied: bool = False

    def rate_at(self, part: float) -> float:
        """The rate after a part of all steps, 0..1."""
        rising = min(1.0, part * self.epochs / self.warm_up) if self.warm_up else 1.0
        falling = (1 + np.cos(np.pi * part)) / 2 if self.cosine else 1.0
        return float(self.rate * rising * falling)


VARIANTS: dict[str, Variant] = {
    "before": Variant(),
    "rate 3e-4": Variant(3e-4),
    "rate 3e-4, 3 epochs of warm-up": Variant(3e-4, warm_up=3),
    "rate 3e-4, falling to 0 in 20 epochs": Variant(3e-4, epochs=20, warm_up=2, cosine=True),
    "rate 3e-4, layer_decay 0.65": Variant(3e-4, layer_decay=0.65),
    "rate 1e-3, layer_decay 0.65, falling to 0": Variant(
        1e-3, layer_decay=0.65, warm_up=3, cosine=True
    ),
    "batches of 8": Variant(batch_size=8),
    "label smoothing 0.1": Variant(smoothing=0.1),
    "BatchNorm alone, rate 1e-3": Variant(1e-3, norms_alone=True),
    "steps multiplied by BatchNorm": Variant(multiplied=True),
}


@dataclass(frozen=True)
class Answers:
    """What weights say of photos.

    Attributes:
        logits: (photos, classes).
        labels: (photos,).
    """

    logits: np.ndarray
    labels: np.ndarray

    @property
    def losses(self) -> np.ndarray:
        """Cross-entropy of each, (photos,)."""
        logs = np.asarray(tf.nn.log_softmax(self.logits))
        return -logs[np.arange(len(self.labels)), self.labels]

    @property
    def tempered(self) -> float:
        """Mean loss with the temperature that suits these photos best."""
        cooled = (Answers(self.logits / t, self.labels) for t in TEMPERATURES.astype(np.float32))
        return min(float(own.losses.mean()) for own in cooled)

    @property
    def accuracy(self) -> float:
        return float((self.logits.argmax(axis=1) == self.labels).mean())


class Network:
    """The unfrozen blocks and a head, each weight with a rate of its own."""

    def __init__(self, trainer: Trainer, depth: Depth) -> None:
        """Build what trains these blocks of the trainer's backbone, and the head."""
        self._backbone, self._head = trainer.network(HEAD)
        blocks = self._backbone.blocks
        self._gains = gains(fused(self._backbone.model))
        set_trainable(self._backbone.model, blocks, depth)
        self._model = self._backbone.trained_part(depth, self._head)
        own = {id(variable) for variable in self._head.variables}
        self._kernels = [v for v in self._model.trainable_variables if id(v) not in own]
        self._norms = [
            variable
            for at in unfrozen_range(blocks, depth)
            for layer in blocks[at].layers
            if isinstance(layer, keras.layers.BatchNormalization)
            for variable in (layer.gamma, layer.beta)
        ]
        self._variables = [*self._kernels, *self._norms, *self._head.trainable_variables]
        self._factors: dict[int, Any] = {id(v): tf.Variable(1.0) for v in self._variables}
        self._optimizer = make_optimizer(TrainingConfig(), self._factors)
        self._optimizer.build(self._variables)
        self._state = [variable.numpy() for variable in self._optimizer.variables]
        inputs, targets = (tf.TensorSpec(x.shape) for x in (self._model.input, self._model.output))
        self._step = tf.function(
            self._traced_step, input_signature=[inputs, targets], autograph=False
        )
        self._logits = tf.function(
            lambda images: self._model(images, training=False),
            input_signature=[inputs],
            autograph=False,
        )

    def begin(self, variant: Variant, head_weights: Sequence[np.ndarray], seed: int) -> None:
        """Put everything into the state in which phase 2 starts."""
        self._backbone.restore_source()
        self._head.set_weights(list(head_weights))
        for variable, value in zip(self._optimizer.variables, self._state, strict=True):
            variable.assign(value)
        seed_random_layers(self._model, seed)
        factors = {}
        if not variant.multiplied:
            factors = rate_factors(self._backbone, variant.layer_decay, self._gains)
        for variable in self._variables:
            self._factors[id(variable)].assign(factors.get(id(variable), 1.0))
        for variable in self._kernels if variant.norms_alone else self._norms:
            self._factors[id(variable)].assign(0.0)

    def train(self, batches: Batches, variant: Variant, epoch: int) -> None:
        """One epoch, counted from 0."""
        parts = list(batches)
        for at, (inputs, targets, _) in enumerate(parts, 1):
            done = (epoch + at / len(parts)) / variant.epochs
            self._optimizer.learning_rate = variant.rate_at(done)
            self._step(tf.cast(inputs, tf.float32), targets)

    def answers(self, inputs: Rows, labels: np.ndarray) -> Answers:
        rows = np.arange(len(inputs))
        starts = range(0, len(rows), PREDICTION_BATCH)
        parts = [inputs[rows[start : start + PREDICTION_BATCH]] for start in starts]
        return Answers(
            np.concatenate([self._logits(tf.cast(part, tf.float32)) for part in parts]), labels
        )

    def read(self) -> list[np.ndarray]:
        """The weights."""
        return [variable.numpy() for variable in self._variables]

    def load(self, weights: Sequence[np.ndarray]) -> None:
        """Set the weights."""
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    def _traced_step(self, inputs: Any, targets: Any) -> None:
        values = [variable.value for variable in self._variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # BatchNorm is frozen for Keras, so that it uses the statistics of the source.
            tape.watch(values)
            logits = self._model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        self._optimizer.apply(gradients, self._variables)


@dataclass
class Photos:
    """A set of photos, with what trains on it."""

    photos: PhotoSet
    images: LabelledImages
    groups: np.ndarray
    trainer: Trainer
    networks: dict[Depth, Network] = field(default_factory=dict)

    @classmethod
    def load(cls, photos: PhotoSet, options: argparse.Namespace) -> "Photos":
        pixels, labels, groups = load_photos(options.images, photos, options.image_size)
        images = LabelledImages(pixels, labels, int(labels.max()) + 1)
        backbone = load_network(options, options.image_size)
        trainer = Trainer(backbone, images, HeadConfig(), TrainingConfig())
        return cls(photos, images, groups, trainer)

    def rows(self, name: str, depth: Depth, draw: int) -> Iterator[dict[str, object]]:
        """A row for each rule, on one course."""
        variant, labels = VARIANTS[name], self.images.class_indices
        division, test = self._drawn(draw)
        if depth not in self.networks:
            self.networks[depth] = Network(self.trainer, depth)
        network = self.networks[depth]
        # the bank looks at the weights as they are
        self.trainer.backbone.restore_source()
        train, validation, tested = (
            self.trainer.bank.features(positions, depth)
            for positions in (division.train, division.validation, test)
        )
        network.begin(variant, self.trainer.train(HEAD, division, draw).head_weights, draw)
        batches = Batches(
            train,
            self._targets(division.train, variant.smoothing),
            variant.batch_size,
            np.ones(len(division.train), np.float32),
            shuffle_seed=draw,
        )
        course = [network.read()]
        answers = [network.answers(validation, labels[division.validation])]
        for epoch in range(variant.epochs):
            network.train(batches, variant, epoch)
            course.append(network.read())
            answers.append(network.answers(validation, labels[division.validation]))

        @cache
        def accuracy_at(epoch: int) -> float:
            network.load(course[epoch])
            return network.answers(tested, labels[test]).accuracy

        facts = {"data_set": self.photos.name, "draw": draw, "depth": str(depth), "variant": name}
        for rule, epoch in _kept(answers, self.groups[division.validation]).items():
            yield facts | {"rule": rule, "epoch": epoch, "test_accuracy": accuracy_at(epoch)}
        for rule, weights in _averages(course).items():
            network.load(weights)
            accuracy = network.answers(tested, labels[test]).accuracy
            yield facts | {"rule": rule, "epoch": None, "test_accuracy": accuracy}

    def _drawn(self, draw: int) -> tuple[Draw, np.ndarray]:
        """Photos to train on and to choose by, as many of each; and to test on."""
        labels, labelled = self.images.class_indices, 2 * self.photos.per_class
        both, test = list(draws(labels, self.groups, labelled, draw + 1))[draw]
        train, validation = stratified_folds(labels[both], self.groups[both], 2, draw)[0]
        return Draw(both[train], both[validation]), test[:MOST_TESTED]

    def _targets(self, positions: np.ndarray, smoothing: float) -> np.ndarray:
        return self.images.one_hot(positions) * (1 - smoothing) + smoothing / self.images.classes


def _kept(answers: Sequence[Answers], groups: np.ndarray) -> dict[str, int]:
    """The epoch whose weights each rule keeps; 0 is the head on the network as it was."""
    losses = np.stack([own.losses for own in answers])
    means, last = losses.mean(axis=1), len(answers) - 1
    best = int(means.argmin())
    kept = {"head": 0}
    for patience in (8, 20):
        stopped = _stopped(means, patience)
        end = min(stopped + patience, last)
        as_well = as_good(losses[end], losses[stopped], groups)
        kept[f"best, patience {patience}"] = stopped
        kept[f"last unless worse, patience {patience}"] = end if as_well else stopped
    return kept | {
        "best": best,
        "best of fine-tuning": 1 + int(means[1:].argmin()),
        "best after a temperature": int(np.argmin([own.tempered for own in answers])),
        "last unless worse": last if as_good(losses[last], losses[best], groups) else best,
        "last": last,
    }


def _stopped(means: np.ndarray, patience: int) -> int:
    """The best epoch, where training ends after so many that were not better."""
    best = 0
    for epoch, mean in enumerate(means):
        if epoch - best > patience:
            break
        if mean < means[best]:
            best = epoch
    return best


def _averages(course: Sequence[list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    """Means of weights: after the last epochs, and between these and the start."""
    last = _mean(course[-AVERAGED:])
    return {f"mean of the last {AVERAGED}": last, "half way to it": _mean([course[0], last])}


def _mean(weights: Sequence[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.mean(values, axis=0) for values in zip(*weights, strict=True)]


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each depth, variant and rule, with means over draws and sets."""
    course = ["data_set", "draw", "depth", "variant"]
    heads = rows[rows["rule"] == "head"].set_index(course)["test_accuracy"].rename("head")
    joined = rows.join(heads, on=course)
    joined["gain"] = joined["test_accuracy"] - joined["head"]
    start = ["data_set", "draw", "depth"]
    before = joined[(joined["variant"] == BEFORE[0]) & (joined["rule"] == BEFORE[1])]
    joined = joined.join(before.set_index(start)["gain"].rename("before"), on=start)
    lines = []
    for (depth, variant, rule), part in joined.groupby(["depth", "variant", "rule"], sort=False):
        over = (part["gain"] - part["before"]).to_numpy()
        low, high = interval(over)
        lines.append(
            {
                "depth": depth,
                "variant": variant,
                "rule": rule,
                "gain": part["gain"].mean(),
                **part.groupby("data_set", sort=False)["gain"].mean().add_prefix("gain_"),
                "over_before": over.mean(),
                "low": low,
                "high": high,
                "ended_with_head": (part["epoch"] == 0).mean(),
                "courses": len(part),
            }
        )
    return pd.DataFrame(lines)


def main() -> None:
    """Train every variant on every draw and write the table."""
    options = _parser().parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    sets = [
        Photos.load(photos, options) for photos in (*SETS, BRICKS) if photos.name in options.sets
    ]
    rows: list[dict[str, object]] = []
    for draw in range(options.draws):
        for name in options.variants or VARIANTS:
            for depth in options.depths:
                for photos in sets:
                    rows += photos.rows(name, depth, draw)
            print(f"trained {name} on draw {draw}", flush=True)
        table = summarise(pd.DataFrame(rows))
        table.to_csv(options.output, index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="%.3f"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    ask_for_network(parser)
    parser.add_argument("--sets", nargs="+", default=TUNED, help="names of sets")
    parser.add_argument("--depths", nargs="+", type=depth_of, default=DEPTHS)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), help="all by default; name before too"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("results/reference/fine_tuning_variants.csv"),
        help="a CSV file",
    )
    return parser


if __name__ == "__main__":
    main()
