"""A classifier that also says how like the labelled photos a photo is, in one pass."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.data.rows import Rows
from tl_keras.models.backbone import Backbone, Frozen
from tl_keras.models.keras_internals import origin
from tl_keras.models.networks import scaling_layer
from tl_keras.models.pooling import SPREAD, Pooling
from tl_keras.transfer.familiarity import (
    LEAST_DISTANCE,
    MOST_DEVIATIONS,
    STEEPNESS,
    TINY,
    BlockDistance,
    Familiarity,
)
from tl_keras.transfer.features import FeatureBank

BATCH = 32
_BACKBONE = "backbone"


def familiar_classifier(
    model: keras.Model, backbone: Backbone, familiarity: Familiarity
) -> keras.Model:
    """A classifier with a second answer.

    Args:
        model: images, 0..255 (batch, size, size, 3), to probabilities, as
            `Backbone.inference_model` and `probe_classifier` build it; its layers are shared.
        backbone: whose layers the model computes with.
        familiarity: of features of that backbone.

    Returns:
        From the same images to `probabilities` (batch, classes) and `familiar` (batch,), 0..1, of
        the images as they are, whatever other views the classifier has of them.
    """
    images = outputs = keras.Input(model.input.shape[1:])
    features = None
    for layer in model.layers[1:]:
        if layer.name == _BACKBONE:
            both = _with_features(layer.model, backbone, tuple(familiarity.blocks))
            outputs, features = Frozen(both, name=layer.name)(outputs)
        else:
            outputs = layer(outputs)
    familiar = _Familiar(familiarity, name="familiar")(features)
    return keras.Model(images, {"probabilities": outputs, "familiar": familiar})


def has_backbone(model: keras.Model) -> bool:
    """Whether a classifier is one that `familiar_classifier` takes."""
    return any(layer.name == _BACKBONE and isinstance(layer, Frozen) for layer in model.layers)


def features_of(
    backbone: Backbone, blocks: Sequence[str], pixels: Rows, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """What a network with its weights as they are gives, by block float32 (k, 2 * channels).

    Args:
        backbone: with these blocks.
        blocks: from input to output.
        pixels: uint8 (n, size, size, 3), 0..255.
        rows: k positions of images.
    """
    images = keras.Input(backbone.model.input.shape[1:])
    inside = keras.Model(backbone.model.input, _features(_outputs(backbone, blocks)))
    network = keras.Model(images, Frozen(inside)(scaling_layer(backbone.spec)(images)))
    parts = np.array_split(rows, max(1, -(-len(rows) // BATCH)))
    values = np.concatenate(
        [np.asarray(network(pixels[part].astype(np.float32), training=False)) for part in parts]
    )
    return dict(zip(blocks, _parted(values, _widths(backbone, blocks)), strict=True))


def features_kept(
    bank: FeatureBank, blocks: Sequence[str], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """As `features_of`, of source weights, from what is known of the images."""
    found = bank.pooled(rows, Pooling(SPREAD)).read(last=blocks[-1])
    return {name: found[name] for name in blocks}


class _Familiar(keras.layers.Layer):
    """From features of several blocks side by side to `Familiarity.familiar`.

    What is alike for all blocks is done at once: on a single photo operations take longer than
    their arithmetic.
    """

    def __init__(self, familiarity: Familiarity, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        blocks = tuple(familiarity.blocks.values())
        self._widths = [len(block.centre) for block in blocks]
        self._centre = _narrow(np.concatenate([block.centre for block in blocks]))
        self._parts = [_Products(block) for block in blocks]
        self._variances, self._means, self._inverse = (
            _narrow(np.array(values))
            for values in (
                [block.variance for block in blocks],
                [block.mean for block in blocks],
                [1 / block.deviation for block in blocks],
            )
        )
        self._scores = _narrow(familiarity.scores)
        self._width, self._tail = familiarity.width, familiarity.tail

    def call(self, inputs: Any) -> Any:
        ops = keras.ops
        powers = ops.exp(STEEPNESS * self._deviations(inputs))
        scores = ops.log(ops.mean(powers, axis=1)) / STEEPNESS
        steps = (self._scores + self._width - scores[:, None]) / self._width
        above = ops.relu(scores - float(self._scores.max()) - self._width)
        one_more = ops.exp(-above / self._tail)
        counted = ops.sum(ops.clip(steps, 0.0, 1.0), axis=1) + one_more
        return counted / (len(self._scores) + 1)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor((inputs.shape[0],))

    def _deviations(self, inputs: Any) -> Any:
        """As `BlockDistance.deviations`, of each block, (batch, blocks)."""
        ops = keras.ops
        halves = _membership([width // 2 for width in self._widths for _ in range(2)])
        lengths = ops.sqrt(2.0 * ops.matmul(inputs * inputs, halves) + TINY)
        given = inputs * ops.matmul(1.0 / lengths, halves.T) - self._centre
        squares = ops.matmul(given * given, _membership(self._widths))
        pieces = zip(self._parts, _parted(given, self._widths), strict=True)
        to_means, to_photos = (
            ops.maximum(squares + ops.stack(found, axis=1), LEAST_DISTANCE)
            for found in zip(*(part(piece) for part, piece in pieces), strict=True)
        )
        logarithms = (ops.log(to_means / self._variances) + ops.log(to_photos)) / 2.0
        return ops.minimum((logarithms - self._means) * self._inverse, MOST_DEVIATIONS)


class _Products:
    """The squared distances of a block, but for the square of what is given."""

    def __init__(self, block: BlockDistance) -> None:
        self._ends = np.cumsum([len(block.directions), len(block.means)]).tolist()
        rows = [block.directions, -2 * block.skewed, -2 * block.references]
        self._matrix = _narrow(np.concatenate(rows).T)
        self._shares = _narrow(block.shares[:, np.newaxis])
        self._means = _narrow((block.skewed * block.means).sum(axis=1))
        self._references = _narrow((block.references**2).sum(axis=1))

    def __call__(self, given: Any) -> tuple[Any, Any]:
        """To the nearest class and to the nearest photo, (batch,) each."""
        ops, (first, second) = keras.ops, self._ends
        products = ops.matmul(given, self._matrix)
        along = products[:, :first]
        less = ops.matmul(along * along, self._shares)[:, 0]
        to_class = ops.min(products[:, first:second] + self._means, axis=1) - less
        return to_class, ops.min(products[:, second:] + self._references, axis=1)


def _membership(widths: Sequence[int]) -> np.ndarray:
    """Which of parts side by side each column belongs to, 0 or 1 (columns, parts)."""
    return np.repeat(np.eye(len(widths), dtype=np.float32), widths, axis=0)


def _with_features(model: keras.Model, backbone: Backbone, blocks: Sequence[str]) -> keras.Model:
    """A model of a backbone's layers with the features of blocks beside its output.

    Where it sees an image in several views, each goes through a model of its own; the features are
    those of the view that is the image itself.
    """
    watched = _outputs(backbone, blocks)
    if model.input is backbone.model.input:
        return keras.Model(model.input, [model.output, _features(watched)])
    found: list[Any] = []

    def called(layer: Any, *inputs: Any, **options: Any) -> Any:
        if not isinstance(layer, keras.Model) or layer.input is not backbone.model.input:
            return layer(*inputs, **options)
        extended = keras.Model(layer.input, [*layer.outputs, *watched])
        values = extended(*inputs)
        count = len(layer.outputs)
        if isinstance(origin(inputs[0])[0], keras.layers.InputLayer):
            found.extend(values[count:])
        return values[:count] if count > 1 else values[0]

    copied = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=called
    )
    return keras.Model(copied.input, [copied.output, _features(found)])


def _outputs(backbone: Backbone, blocks: Sequence[str]) -> list[Any]:
    return [block.output for block in backbone.blocks if block.name in blocks]


def _features(maps: Sequence[Any]) -> Any:
    pooled = [Pooling(SPREAD).features([each]) for each in maps]
    return keras.layers.Concatenate()(pooled) if len(pooled) > 1 else pooled[0]


def _widths(backbone: Backbone, blocks: Sequence[str]) -> list[int]:
    return [2 * int(output.shape[-1]) for output in _outputs(backbone, blocks)]


def _parted(values: Any, widths: Sequence[int]) -> list[Any]:
    ends = np.cumsum(widths).tolist()
    return [values[:, end - width : end] for end, width in zip(ends, widths, strict=True)]


def _narrow(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)
