"""Ways of images through a frozen backbone: what comes out, and what tells it apart."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tl_keras
from tl_keras.data.row_cache import BATCH
from tl_keras.models.backbone import Backbone
from tl_keras.models.fused import fused
from tl_keras.models.keras_internals import ops_are_deterministic
from tl_keras.models.networks import scaling_layer
from tl_keras.models.pooling import STRAIGHT, View


@dataclass(frozen=True)
class Pass:
    """A way through a backbone in inference mode, with its weights as they are at each call.

    Attributes:
        backbone: from scaled images.
        what: JSON types that tell this way from others through the same weights.
        tensors: of the backbone, as far as the images go.
        reduce: from the values of the tensors to what comes out.
        shape: of what comes out and is kept of an image.
        batch: images that go through at a time.
        view: of the images.
    """

    backbone: Backbone
    what: Mapping[str, Any]
    tensors: Sequence[keras.KerasTensor]
    reduce: Callable[[list[Any]], Any]
    shape: tuple[int, ...]
    batch: int = BATCH
    view: View = STRAIGHT

    def __call__(self, pixels: np.ndarray) -> Any:
        """What images, 0..255 (n, size, size, 3), become: arrays as `reduce` gives tensors."""
        images = tf.cast(pixels, tf.float32)
        # A batch of one takes another way through the libraries, to other last digits.
        padded = tf.repeat(images, 2, axis=0) if len(pixels) == 1 else images
        outputs = self._forward(padded)
        return keras.tree.map_structure(lambda values: values.numpy()[: len(pixels)], outputs)

    def facts(self) -> dict[str, Any]:
        """All that determines what comes out, but for the images."""
        device = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        versions = (tl_keras.__version__, tf.__version__, keras.__version__)
        weights = hashlib.sha256()
        for values in self._network.get_weights():
            weights.update(f"{values.shape} {values.dtype} ".encode())
            weights.update(np.ascontiguousarray(values).data)
        return {
            "backbone": self.backbone.spec.name,
            "image_size": self.backbone.image_size,
            "scaling": str(self.backbone.spec.scaling),
            **({"file": file} if (file := self.backbone.spec.file_digest) else {}),
            **self.what,
            "weights": weights.hexdigest(),
            "computed_by": "tl_keras {} on TensorFlow {}, Keras {}".format(*versions),
            "device": device,
            "deterministic": ops_are_deterministic(),
        }

    @cached_property
    def _network(self) -> keras.Model:
        return fused(keras.Model(self.backbone.model.input, list(self.tensors)))

    @cached_property
    def _forward(self) -> Callable[[Any], Any]:
        """Traced when the first images come."""
        scaling = scaling_layer(self.backbone.spec.scaling)

        def forward(images: Any) -> Any:
            values = self._network(scaling(self.view.of(images)), training=False)
            # A single output may come without its list.
            return self.reduce(keras.tree.flatten(values))

        images = tf.TensorSpec((None, *self.backbone.model.input.shape[1:]), tf.float32)
        # not the function itself: TensorFlow would warn that one per network is traced too often
        return tf.function(forward, autograph=False).get_concrete_function(images)


def to_block(backbone: Backbone, name: str) -> Pass:
    """To the output of a block, (height, width, channels).

    Raises:
        ValueError: there is no such block.
    """
    outputs = {block.name: block.output for block in backbone.blocks}
    if name not in outputs:
        raise ValueError(f"block must be one of {', '.join(outputs)}; got {name!r}.")
    output = outputs[name]
    what = {"block": name, "gives": "output"}
    return Pass(backbone, what, [output], lambda values: values[0], tuple(output.shape[1:]))


def to_pooled_blocks(backbone: Backbone, view: View = STRAIGHT) -> Pass:
    """To the moments of every block's output, side by side.

    They are the means over height and width, and behind those of a block the means of the squares.

    Args:
        backbone: with all blocks that are wanted.
        view: of the images.
    """
    outputs = [block.output for block in backbone.blocks]
    gives = "moments of the outputs of all blocks" + (
        f", images {view.words}" if view.words else ""
    )
    what = {**_blocks(backbone), "gives": gives}
    shape = (2 * sum(map(channels, outputs)),)
    return Pass(backbone, what, outputs, _pooled, shape, view=view)


def to_batch_norms(backbone: Backbone) -> Pass:
    """To what every BatchNorm layer takes: mean and variance over height and width, side by side.

    The pooled outputs of all blocks are on the way: a call gives them first, and then these.
    """
    outputs = [block.output for block in backbone.blocks]
    inputs = [layer.input for found in batch_norms(backbone).values() for layer in found]

    def reduce(values: list[Any]) -> Any:
        blocks, taken = values[: len(outputs)], values[len(outputs) :]
        return _pooled(blocks), tf.concat([_moments(given) for given in taken], axis=1)

    what = {**_blocks(backbone), "gives": "mean and variance of BatchNorm inputs"}
    shape = (2 * sum(map(channels, inputs)),)
    # In float64 the inputs are large.
    return Pass(backbone, what, [*outputs, *inputs], reduce, shape, batch=16)


def batch_norms(backbone: Backbone) -> dict[str, list[keras.layers.BatchNormalization]]:
    """The BatchNorm layers of every block, from input to output."""
    return {
        block.name: [
            layer
            for layer in block.layers
            if isinstance(layer, keras.layers.BatchNormalization) and len(layer.input.shape) == 4
        ]
        for block in backbone.blocks
    }


def channels(tensor: keras.KerasTensor) -> int:
    """Of a tensor (batch, height, width, channels)."""
    return int(tensor.shape[-1])


def _blocks(backbone: Backbone) -> dict[str, Any]:
    return {"block": backbone.block_names[-1], "blocks": backbone.block_names}


def _pooled(values: list[Any]) -> Any:
    pool = keras.layers.GlobalAveragePooling2D()
    moments = [pool(moment) for output in values for moment in (output, output * output)]
    return tf.concat(moments, axis=1)


def _moments(values: Any) -> Any:
    """Mean and variance, float32 (batch, 2 * channels)."""
    mean, variance = tf.nn.moments(tf.cast(values, tf.float64), axes=(1, 2))
    return tf.cast(tf.concat([mean, variance], axis=1), tf.float32)
