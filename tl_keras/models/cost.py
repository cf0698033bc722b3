"""What a classifier costs: parameters, size, and time per image."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.models.backbone import Backbone
from tl_keras.models.heads import build_head
from tl_keras.models.pooling import PLAIN, Pooling

# One server request of several images; smaller ones spend more of their time around the network.
BATCH = 16
REPEATS = 5
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class Cost:
    """What it takes to keep and to ask a classifier.

    Attributes:
        parameters: numbers in all layers.
        milliseconds_per_image: wall time in batches of `BATCH`, decoded images in, the traced
            function warm; median of `REPEATS`.
    """

    parameters: int
    milliseconds_per_image: float

    @property
    def megabytes(self) -> float:
        """Of the parameters as float32, in 2^20 bytes."""
        return self.parameters * BYTES_PER_PARAMETER / 2**20


@dataclass(frozen=True)
class Costs:
    """The costs of classifiers on one backbone; the time of each cut is measured once.

    Attributes:
        backbone: the whole one.
        classes: of the classifiers.
    """

    backbone: Backbone
    classes: int
    _times: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    def of(
        self, blocks: Sequence[str], hidden_units: Sequence[int] = (), pooling: Pooling = PLAIN
    ) -> Cost:
        """The cost of a head on what it reads of some blocks, from input to output."""
        outputs = [block.output for block in self.backbone.blocks if block.name in blocks]
        pooled = sum(pooling.width(int(output.shape[-1])) for output in outputs)
        head = build_head(pooled, self.classes, hidden_units=hidden_units, dropout=0.0)
        network = self.backbone.cut_after(blocks[-1]).model
        parameters = network.count_params() + head.count_params()
        return Cost(parameters, self.milliseconds(blocks[-1], pooling))

    def milliseconds(self, cut: str, pooling: Pooling = PLAIN) -> float:
        """Time per image up to a cut, with a head without hidden layers.

        That of one pass is measured; every view takes one. Deviations beside means cost
        next to nothing.
        """
        if cut not in self._times:
            part = self.backbone.cut_after(cut)
            head = build_head(part.channels, self.classes, hidden_units=(), dropout=0.0)
            self._times[cut] = _milliseconds(part.inference_model(head))
        return pooling.passes * self._times[cut]


def _milliseconds(model: keras.Model) -> float:
    forward = tf.function(lambda images: model(images, training=False), autograph=False)
    images = tf.zeros((BATCH, *model.input.shape[1:]))
    forward(images)
    return 1000 * float(np.median([_timed(forward, images) for _ in range(REPEATS)])) / BATCH


def _timed(forward: Any, images: tf.Tensor) -> float:
    started = time.perf_counter()
    forward(images).numpy()
    return time.perf_counter() - started
