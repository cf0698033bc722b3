"""Where a classifier looks: Grad-CAM maps.

Every classifier of this package averages feature maps over their positions and computes the logits
from these averages alone, so the gradients of Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391)
stop at the averages: nothing goes back through the backbone. For a head without hidden layers the
maps are the class activation maps of Zhou et al. 2016 (arXiv:1512.04150). A standard deviation
beside the mean is itself the mean of a map, the squared distances from the mean divided by the
deviation, so that it is shown where it comes from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tl_keras.models.backbone import Frozen
from tl_keras.models.keras_internals import origin

# The outputs of all blocks that the head reads are in memory at once.
BATCH = 16


class GradCam:
    """Maps of one classifier, for as many calls as wanted: it is traced once, for a second or two.

    Shares the layers of the classifier, so that its maps are those of the weights it has when they
    are asked for.
    """

    def __init__(self, model: keras.Model) -> None:
        """Find the feature maps that `model` averages, and the head that reads the averages.

        Args:
            model: as of `take_apart`.

        Raises:
            ValueError: as of `take_apart`.
        """
        self._parts = take_apart(model)
        self._variables = self._parts.variables()
        self._compiled = self._trace()

    def maps(self, images: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
        """How strongly each pixel speaks for a class, against the pixel that does so most.

        Args:
            images: (n, size, size, 3), 0..255.
            class_indices: int (n,), the class that the map of each image is for.

        Returns:
            float32 (n, size, size), 0..1: 1 is the strongest pixel of the image, and the whole map
            is 0 where no pixel speaks for the class.

        Raises:
            ValueError: there is not one class for each image, or the head does not have it.
        """
        evidence = np.maximum(self.evidence(images, class_indices), 0)
        strongest = evidence.max(axis=(1, 2), keepdims=True)
        return evidence / np.where(strongest > 0, strongest, 1)

    def evidence(
        self,
        images: np.ndarray,
        class_indices: np.ndarray,
        weights: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """How much each pixel adds to the score of a class; negative where it speaks against it.

        The score is the logit of the class less the mean of all logits: a softmax sees nothing but
        such differences. The mean of feature channel k at the output of block b has the gradient
        g_bk of it, and the evidence is the sum of g_bk times the channel, blocks of other sizes
        upsampled bilinearly. What lies at no place is spread evenly, so that the mean over an image
        is the score: where the head is linear that is its bias alone, without which the features of
        an answer could all seem to speak against it. That holds for every number of blocks, as the
        gradients are those of the head: a channel does not count again for what the blocks above
        make of it.

        Args:
            images: as of `maps`.
            class_indices: as of `maps`.
            weights: to use in place of the classifier's own, as from `shuffled_weights`.

        Returns:
            float32 (n, size, size), in units of the logit; the mean over an image is the score.

        Raises:
            ValueError: as of `maps`.
        """
        self._check(images, class_indices)
        values = [tf.convert_to_tensor(v) for v in (weights or self._values())]
        evidence = np.empty((len(images), *self._parts.size), np.float32)
        for start in range(0, len(images), BATCH):
            rows = slice(start, start + BATCH)
            batch = tf.constant(images[rows], tf.float32)
            classes = tf.constant(class_indices[rows], tf.int64)
            evidence[rows] = self._compiled(values, batch, classes)
        return evidence

    def shuffled_weights(self, seed: int) -> list[np.ndarray]:
        """Weights for `evidence` in which nothing learned is left, of the same size as before.

        The values of every kernel change places at random, head included. Biases and the statistics
        of normalisation layers stay, which mean nothing without the kernels but keep the
        activations within bounds.
        """
        rng = np.random.default_rng(seed)
        return [
            rng.permuted(value.ravel()).reshape(value.shape) if value.ndim > 1 else value
            for value in map(np.asarray, self._values())
        ]

    def _values(self) -> list[Any]:
        return [variable.value for variable in self._variables]

    def _check(self, images: np.ndarray, class_indices: np.ndarray) -> None:
        classes = int(self._parts.head.output.shape[-1])
        if len(class_indices) != len(images):
            raise ValueError(
                f"class_indices must hold one class for each of {len(images)} images; got "
                f"{len(class_indices)}."
            )
        if len(images) and not 0 <= np.min(class_indices) <= np.max(class_indices) < classes:
            raise ValueError(
                f"class_indices must be 0 to {classes - 1}; got {np.min(class_indices)} to "
                f"{np.max(class_indices)}."
            )

    def _trace(self) -> Any:
        weights = [tf.TensorSpec(v.shape, v.dtype) for v in self._variables]
        images = tf.TensorSpec((None, *self._parts.size, 3), tf.float32)
        classes = tf.TensorSpec((None,), tf.int64)
        # not the function itself: TensorFlow would warn that one per classifier is traced too often
        traced = tf.function(self._evidence_of_batch, autograph=False)
        return traced.get_concrete_function(weights, images, classes)

    def _evidence_of_batch(
        self, weights: list[tf.Tensor], images: tf.Tensor, class_indices: tf.Tensor
    ) -> tf.Tensor:
        with keras.StatelessScope(list(zip(self._variables, weights, strict=True))):
            maps = keras.tree.flatten(self._parts.maps(images, training=False))
            return self._parts.evidence(maps, class_indices)


@dataclass(frozen=True)
class Parts:
    """A classifier in two: images to the maps that it averages, and these averages to logits.

    Attributes:
        maps, head: the two.
        squares: places among the maps, of the squares of a map and of this map.
        answer: what the classifier answers to the images that `maps` takes, as symbols.
    """

    maps: keras.Model
    head: keras.Model
    squares: Mapping[int, int]
    answer: Any

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        height, width = self.maps.input.shape[1:3]
        return height, width

    def variables(self) -> list[Any]:
        return [*self.maps.weights, *self.head.weights]

    def whole(self) -> keras.Model:
        """From images to what the classifier answers and the maps, in one pass."""
        return keras.Model(self.maps.input, (self.answer, self.maps.outputs))

    @property
    def places(self) -> int:
        """Rows of the finest map: no evidence lies more exactly than such a part of the photo."""
        return max(int(channels.shape[1]) for channels in self.maps.outputs)

    def evidence(self, maps: Sequence[tf.Tensor], class_indices: tf.Tensor) -> tf.Tensor:
        """As `GradCam.evidence`, in a graph.

        Args:
            maps: each (batch, height, width, channels), as the part of that name gives them.
            class_indices: int (batch,), the class that each image is asked for.

        Returns:
            float32 (batch, *size).
        """
        placed, scores = self.placed(maps, class_indices)
        rest = scores - tf.reduce_mean(placed, axis=(1, 2))
        return placed + rest[:, tf.newaxis, tf.newaxis]

    def placed(
        self, maps: Sequence[tf.Tensor], class_indices: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The evidence that lies at places, float32 (batch, *size), and the scores (batch,).

        Args:
            maps: as of `evidence`.
            class_indices: likewise.
        """
        pooled = [tf.reduce_mean(channels, axis=(1, 2)) for channels in maps]
        with tf.GradientTape() as tape:
            tape.watch(pooled)
            logits = self.head(pooled, training=False)
            scores = tf.gather(logits, class_indices, batch_dims=1) - tf.reduce_mean(logits, axis=1)
        gradients = tape.gradient(scores, pooled)
        evidence = [
            self._upsampled(tf.einsum("nhwc,nc->nhw", channels, gradient))
            for channels, gradient in zip(maps, gradients, strict=True)
        ]
        for square, mean in self.squares.items():
            level = pooled[mean][:, tf.newaxis, tf.newaxis]
            # what the gradient leaves out of the squared distances: they grow with the deviation
            more = maps[square] - 2 * level * (maps[mean] - level)
            evidence.append(self._upsampled(tf.einsum("nhwc,nc->nhw", more, gradients[square])))
        return sum(evidence), scores

    def _upsampled(self, evidence: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(evidence[..., tf.newaxis], self.size)[..., 0]


def take_apart(model: keras.Model) -> Parts:
    """Find the feature maps that a classifier averages, and the head that reads the averages.

    Args:
        model: images, 0..255 (batch, size, size, 3), to probabilities, as
            `Backbone.inference_model` and `probe_classifier` build it, or to a dict of these,
            `probabilities`, and more, as `familiar_classifier` does. Its layers are shared.

    Raises:
        ValueError: the model does not end in a Softmax layer, or something but averages of feature
            maps reaches its logits.
    """
    flat = keras.models.clone_model(
        model, clone_function=lambda layer: layer, call_function=_call_opened
    )
    answer = flat.output
    softmax, inputs = origin(answer["probabilities"] if isinstance(answer, dict) else answer)
    if not isinstance(softmax, keras.layers.Softmax):
        raise ValueError(
            f"The classifier must end in a Softmax layer; it ends in {type(softmax).__name__}. Use "
            "one from Backbone.inference_model or probe_classifier."
        )
    (logits,) = inputs
    pooled = list({id(tensor): tensor for tensor in _averages(logits)}.values())
    maps = [origin(tensor)[1][0] for tensor in pooled]
    # the averages may be the logits, and no model is without a layer
    head = keras.Model(pooled, keras.layers.Identity()(logits))
    return Parts(keras.Model(flat.input, maps), head, _squares(maps), answer)


def _squares(maps: Sequence[Any]) -> dict[int, int]:
    """Places of maps that are the squares of others, and the places of these."""
    places = {tuple(map(id, _views(tensor))): place for place, tensor in enumerate(maps)}
    found = {}
    for place, tensor in enumerate(maps):
        squared = [_squared(view) for view in _views(tensor)]
        if None not in squared:
            found[place] = places[tuple(map(id, squared))]
    return found


def _squared(tensor: Any) -> Any:
    """What a tensor is the square of; None where it is none."""
    operation, inputs = origin(tensor)
    squares = isinstance(operation, keras.layers.Multiply) and inputs[0] is inputs[1]
    return inputs[0] if squares else None


def _views(tensor: Any) -> list[Any]:
    """What a map is the average of; itself where it is none."""
    operation, inputs = origin(tensor)
    return inputs if isinstance(operation, keras.layers.Average) else [tensor]


def _call_opened(layer: Any, *inputs: Any, **options: Any) -> Any:
    """Call a layer; of a nested model whose first answer is no feature map, each of its layers."""
    inner = layer.model if isinstance(layer, Frozen) else layer
    if isinstance(inner, keras.Model) and len(inner.outputs[0].shape) == 2:
        return inner.call(*inputs, training=False)
    return layer(*inputs, **options)


def _averages(tensor: Any) -> Iterator[Any]:
    """The outputs of global average pooling that a tensor (batch, features) is computed from."""
    operation, inputs = origin(tensor)
    if isinstance(operation, keras.layers.GlobalAveragePooling2D):
        yield tensor
    elif len(tensor.shape) == 2 and inputs:
        for source in inputs:
            yield from _averages(source)
    else:
        raise ValueError(
            "The classifier's logits must be computed from averages of feature maps alone; they "
            f"read {operation.name} directly. Use one from Backbone.inference_model or "
            "probe_classifier."
        )
