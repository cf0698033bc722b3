"""A classifier that also says how like the labelled photos a photo is, in one pass."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tl_keras.data.rows import Rows
from tl_keras.models.backbone import Backbone, Frozen
from tl_keras.models.keras_internals import origin
from tl_keras.models.networks import scaling_layer
from tl_keras.models.pooling import SPREAD, Pooling, deviation
from tl_keras.transfer.familiarity import (
    LEAST_DISTANCE,
    MOST_DEVIATIONS,
    RELATIVE,
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
    network = keras.Model(images, Frozen(inside)(scaling_layer(backbone.spec.scaling)(images)))
    parts = np.array_split(rows, max(1, -(-len(rows) // BATCH)))
    values = np.concatenate(
        [np.asarray(network(pixels[part].astype(np.float32), training=False)) for part in parts]
    )
    channels = [int(output.shape[-1]) for output in _outputs(backbone, blocks)]
    ends = 2 * np.cumsum(channels)[:-1]
    by_block = np.split(values[:, _side_by_side(channels)], ends, axis=1)
    return dict(zip(blocks, by_block, strict=True))


def features_kept(
    bank: FeatureBank, blocks: Sequence[str], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """As `features_of`, of source weights, from what is known of the images."""
    found = bank.pooled(rows, Pooling(SPREAD)).read(last=blocks[-1])
    return {name: found[name] for name in blocks}


class _Familiar(keras.layers.Layer):
    """From the means of several blocks, and then their deviations, to `Familiarity.familiar`.

    All blocks are asked at once: on a single photo operations take longer than their arithmetic.
    """

    def __init__(self, familiarity: Familiarity, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        blocks = tuple(familiarity.blocks.values())
        self._channels = [len(block.centre) // 2 for block in blocks]
        self._centre = _narrow(np.concatenate([block.centre for block in blocks]))
        self._directions = max(
            len(normal.directions) for each in blocks for normal in (each.classes, each.together)
        )
        self._matrices = [_matrix(block, self._directions) for block in blocks]
        self._means = _narrow(
            np.array([(each.classes.skewed * each.classes.means).sum(axis=1) for each in blocks])
        )
        self._photos = _narrow(np.array([(each.references**2).sum(axis=1) for each in blocks]))
        self._ways, self._usual = (_narrow(values) for values in _deviations(familiarity))
        self._precision = _narrow(familiarity.unusual.precision)
        self._ends, self._widths = _narrow(familiarity.ends), _narrow(familiarity.widths)
        self._tail = familiarity.tail

    def call(self, inputs: Any) -> Any:
        ops = keras.ops
        logarithms = ops.log(ops.maximum(self._squares(inputs), LEAST_DISTANCE))
        above = ops.clip(ops.matmul(logarithms, self._ways) - self._usual, 0.0, MOST_DEVIATIONS)
        squares = ops.sum(ops.matmul(above, self._precision) * above, axis=1)
        scores = ops.sqrt(ops.relu(squares))
        steps = ops.clip((self._ends - scores[:, None]) / self._widths, 0.0, 1.0)
        one_more = ops.exp(ops.relu(scores - float(self._ends.max())) / -self._tail)
        return (ops.sum(steps, axis=1) + one_more) / (len(self._ends) + 1)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor((inputs.shape[0],))

    def _squares(self, inputs: Any) -> Any:
        """Squared distances to the nearest class, to all and to the nearest photo, of each block.

        The variances are still to be divided by: (batch, 3 * blocks).
        """
        ops, count = keras.ops, len(self._channels)
        halves = _membership([*self._channels, *self._channels])
        lengths = ops.sqrt(2.0 * ops.matmul(inputs * inputs, halves) + TINY)
        unit = inputs * ops.matmul(1.0 / lengths, halves.T)
        given = ops.take(unit, _side_by_side(self._channels), axis=1) - self._centre
        widths = [2 * channels for channels in self._channels]
        squares = ops.matmul(given * given, _membership(widths))
        ends = np.cumsum(widths)[:-1].tolist()
        pieces = ops.split(given, ends, axis=1) if ends else [given]
        products = ops.concatenate(
            [ops.matmul(*both) for both in zip(pieces, self._matrices, strict=True)], axis=1
        )
        products = ops.reshape(products, (-1, count, self._matrices[0].shape[1]))
        ends = np.cumsum([2 * self._directions, self._means.shape[1]]).tolist()
        along, to_means, to_photos = ops.split(products, ends, axis=2)
        to_mean = ops.min(to_means + self._means, axis=2)
        to_photo = ops.min(to_photos + self._photos, axis=2)
        nearest = ops.stack([to_mean, to_photo, ops.zeros_like(to_mean)], axis=2)
        less = ops.matmul(along * along, _taken_from(self._directions))
        return ops.reshape(squares[:, :, None] + nearest - less, (-1, 3 * count))


def _matrix(block: BlockDistance, directions: int) -> np.ndarray:
    """What the features of a block are multiplied with, (features, columns).

    The columns are directions of the classes' covariance and of that of all, then the means, then
    the photos.
    """
    along = np.zeros((2, directions, len(block.centre)))
    for place, normal in enumerate((block.classes, block.together)):
        along[place, : len(normal.directions)] = normal.directions
    rows = [*along, -2 * block.classes.skewed, -2 * block.references]
    return _narrow(np.concatenate(rows).T)


def _taken_from(directions: int) -> np.ndarray:
    """Which of the distances to the nearest class, photo and all what lies along them lessens."""
    return np.repeat(np.eye(3, dtype=np.float32)[[0, 2]], directions, axis=0)


def _deviations(familiarity: Familiarity) -> tuple[np.ndarray, np.ndarray]:
    """From logarithms of squares, as `_squares` gives them, to multiples of deviations.

    A matrix (3 * blocks, 2 * blocks), and what is then subtracted, (2 * blocks,).
    """
    blocks, unusual = familiarity.blocks.values(), familiarity.unusual
    # as `BlockDistance.logarithms`
    way = np.array([[0.5, 1.0], [0.5, 0.0], [0.0, -RELATIVE]])
    ways = np.kron(np.eye(len(blocks)), way) / unusual.deviations
    variances = np.array([[b.classes.variance, 1.0, b.together.variance] for b in blocks])
    return ways, unusual.means / unusual.deviations + np.log(variances).ravel() @ ways


def _side_by_side(channels: Sequence[int]) -> np.ndarray:
    """Where the means and deviations of each block lie among all means and then deviations."""
    every = np.arange(sum(channels))
    parts = np.split(every, np.cumsum(channels)[:-1])
    return np.concatenate([np.concatenate([part, part + len(every)]) for part in parts])


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
    """The means of maps over height and width, then their standard deviations."""
    layers = keras.layers
    pool = layers.GlobalAveragePooling2D()
    means, squares = (
        pooled[0] if len(pooled) == 1 else layers.Concatenate()(pooled)
        for pooled in (
            [pool(each) for each in maps],
            [pool(layers.Multiply()([each, each])) for each in maps],
        )
    )
    return layers.Concatenate()([means, deviation(means, squares)])


def _narrow(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)
