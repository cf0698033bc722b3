"""What a classifier costs: parameters, size, and time per image."""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# One server request of several images; smaller ones spend more of their time around the network.
BATCH = 16
REPEATS = 5
BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class Cost:
    """What it takes to keep and to ask a classifier.

    Attributes:
        parameters: numbers in all layers.
        megabytes: of these numbers as float32, in 2^20 bytes.
        milliseconds_per_image: wall time in batches of `BATCH`, decoded images in, the traced
            function warm; median of `REPEATS`.
    """

    parameters: int
    megabytes: float
    milliseconds_per_image: float

    def columns(self) -> dict[str, float]:
        """As columns of the table of runs."""
        return {
            "parameters": self.parameters,
            "classifier_megabytes": self.megabytes,
            "milliseconds_per_image": self.milliseconds_per_image,
        }


def cost_of(model: keras.Model) -> Cost:
    """Measure a model that takes images, 0..255 (batch, size, size, 3)."""
    forward = tf.function(lambda images: model(images, training=False), autograph=False)
    images = tf.zeros((BATCH, *model.input.shape[1:]))
    forward(images)
    seconds = [_timed(forward, images) for _ in range(REPEATS)]
    parameters = model.count_params()
    return Cost(
        parameters=parameters,
        megabytes=parameters * BYTES_PER_PARAMETER / 2**20,
        milliseconds_per_image=1000 * float(np.median(seconds)) / BATCH,
    )


def _timed(forward: Any, images: tf.Tensor) -> float:
    started = time.perf_counter()
    forward(images).numpy()
    return time.perf_counter() - started
