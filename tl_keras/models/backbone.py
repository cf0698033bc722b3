"""A backbone with a new head, in the pieces that training, caching and serving need."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import keras
import numpy as np

from tl_keras.backbone_table import BACKBONES, BackboneSpec
from tl_keras.data.augmentation import augmentation_layers
from tl_keras.errors import ConfigError
from tl_keras.models.blocks import Block, find_blocks, leaves, split_backbone, unfrozen_range
from tl_keras.models.fused import fused
from tl_keras.models.networks import build_backbone, scaling_layer
from tl_keras.models.own_network.open_network import copied
from tl_keras.models.pooling import PLAIN, Pooling

# How many blocks train, counted from the head; "all"; or a range "first:last" of block names.
Depth = int | str


@keras.saving.register_keras_serializable(package="tl_keras")
class Frozen(keras.layers.Layer):
    """A model that runs in inference mode whatever the mode of the model around it.

    `fit` overrides `model(x, training=False)` in a functional graph, so that dropout and
    stochastic depth of a frozen backbone would stay active without this layer.
    """

    def __init__(self, model: keras.Model, **options: Any) -> None:
        """Wrap `model`, which stays as it is; the options are those of every Keras layer."""
        super().__init__(**{"trainable": False, **options})
        self.model = model

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Frozen":
        options = dict(config)
        return cls(keras.saving.deserialize_keras_object(options.pop("model")), **options)

    def call(self, inputs: Any) -> Any:
        return self.model(inputs, training=False)

    def compute_output_spec(self, inputs: Any) -> Any:
        # Known, as the input is the model's own; Keras would go through every layer, for a second.
        outputs = [keras.KerasTensor((inputs.shape[0], *o.shape[1:])) for o in self.model.outputs]
        return outputs if len(outputs) > 1 else outputs[0]


@dataclass(frozen=True, repr=False)
class Backbone:
    """A network with its blocks and the weights that it was loaded with.

    Attributes:
        spec: its row in the table, or what stands for one of a network from a file.
        alpha: width multiplier; None where the family has none or for the default.
        model: from scaled images to activations.
        blocks: of the model, from input to output.
        source_weights: what `restore_source` puts back.
    """

    spec: BackboneSpec
    alpha: float | None
    model: keras.Model
    blocks: tuple[Block, ...]
    source_weights: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        """Short: the parts of each block would fill a screen."""
        name, size = self.spec.name, self.image_size
        return f"<Backbone {name}, {size} px, blocks {', '.join(self.block_names)}>"

    @classmethod
    def wrap(cls, of: str | BackboneSpec, alpha: float | None, model: keras.Model) -> "Backbone":
        """The backbone `model`; freezes it.

        Args:
            of: the name that it was built by with `build_backbone`, or a row for a network that the
                table does not have.
            alpha: width multiplier.
            model: from scaled images to activations.
        """
        spec = BACKBONES[of] if isinstance(of, str) else of
        model.trainable = False
        return cls(spec, alpha, model, find_blocks(model, spec), tuple(model.get_weights()))

    @property
    def image_size(self) -> int:
        return int(self.model.input.shape[1])

    @property
    def is_whole(self) -> bool:
        """Whether no block was cut off."""
        return len(self.blocks) == len(self.spec.blocks)

    @property
    def block_names(self) -> tuple[str, ...]:
        return tuple(block.name for block in self.blocks)

    @property
    def channels(self) -> int:
        return int(self.model.output.shape[-1])

    def source_digest(self) -> str:
        """SHA-256 of the source weights, in hexadecimal digits."""
        digest = hashlib.sha256()
        for weights in self.source_weights:
            digest.update(weights.tobytes())
        return digest.hexdigest()

    def blocks_as_loaded(self) -> tuple[str, ...]:
        """The blocks up to the first one with a weight that is not the source's."""
        source = {
            id(variable): weights
            for variable, weights in zip(self.model.weights, self.source_weights, strict=True)
        }

        def as_loaded(block: Block) -> bool:
            return all(
                np.array_equal(variable.numpy(), source[id(variable)])
                for leaf in leaves(block.layers)
                for variable in leaf.weights
            )

        return tuple(block.name for block in takewhile(as_loaded, self.blocks))

    def restore_source(self) -> None:
        """Undo every change of the weights since the backbone was wrapped."""
        self.model.set_weights(list(self.source_weights))

    def random(self) -> "Backbone":
        """The same network with random weights, in layers of its own."""
        return Backbone.wrap(self.spec, self.alpha, self.random_model())

    def random_model(self) -> keras.Model:
        """The model of `random`."""
        if self.spec.file_digest:
            return copied(self.model, self.image_size, source_weights=False)
        return build_backbone(self.spec.name, image_size=self.image_size, alpha=self.alpha)

    def from_pixels(self) -> keras.Model:
        """From images, 0..255 (batch, size, size, 3), to the last block's output."""
        images = keras.Input(self.model.input.shape[1:])
        return keras.Model(images, self.model(scaling_layer(self.spec.scaling)(images)))

    def cut_after(self, block: str) -> "Backbone":
        """The part up to and with `block`; it shares its layers and its source weights.

        Raises:
            ConfigError: there is no such block.
        """
        end = self._position(block) + 1
        if end == len(self.blocks):
            return self
        model = keras.Model(self.model.input, self.blocks[end - 1].output)
        source = {
            id(variable): weights
            for variable, weights in zip(self.model.weights, self.source_weights, strict=True)
        }
        weights = tuple(source[id(variable)] for variable in model.weights)
        return Backbone(self.spec, self.alpha, model, self.blocks[:end], weights)

    def frozen_part(self, unfrozen_blocks: Depth, pooling: Pooling = PLAIN) -> keras.Model | None:
        """From images, 0..255 (batch, size, size, 3), to what the unfrozen blocks take.

        With no block unfrozen these are the pooled features, (batch, features). With the first one
        unfrozen there is no frozen part: None.
        """
        frozen = unfrozen_range(self.blocks, unfrozen_blocks).start
        if frozen == 0:
            return None
        block = self.blocks[frozen - 1].name
        return self.up_to(block, pooled=frozen == len(self.blocks), pooling=pooling)

    def up_to(self, block: str, *, pooled: bool, pooling: Pooling = PLAIN) -> keras.Model:
        """From images, 0..255 (batch, size, size, 3), to the output of a block, in inference mode.

        That is (batch, height, width, channels), or (batch, features) where it is pooled.

        Raises:
            ConfigError: there is no such block.
        """
        end = self.blocks[self._position(block)].output
        images = keras.Input(self.model.input.shape[1:])
        below = fused(keras.Model(self.model.input, end))
        outputs = Frozen(below)(scaling_layer(self.spec.scaling)(images))
        if pooled:
            outputs = pooling.layer(outputs.shape[-1])(outputs)
        return keras.Model(images, outputs)

    def _position(self, block: str) -> int:
        if block not in self.block_names:
            raise ConfigError(
                f"The block must be one of {', '.join(self.block_names)} for {self.spec.name}; got "
                f"{block!r}."
            )
        return self.block_names.index(block)

    def trained_part(
        self, unfrozen_blocks: Depth, head: keras.Model, pooling: Pooling = PLAIN
    ) -> keras.Model:
        """From the output of `frozen_part`, or images where it is None, to logits.

        Blocks above the unfrozen ones run in inference mode and hand gradients down.
        """
        below, unfrozen, above = split_backbone(self.model, self.blocks, unfrozen_blocks)
        if unfrozen is None:
            return head
        inputs = outputs = keras.Input(unfrozen.input.shape[1:])
        if below is None:
            outputs = scaling_layer(self.spec.scaling)(outputs)
        outputs = fused(unfrozen)(outputs)
        if above is not None:
            outputs = Frozen(fused(above))(outputs)
        return keras.Model(inputs, head(pooling.layer(outputs.shape[-1])(outputs)))

    def augmented(
        self, unfrozen_blocks: Depth, head: keras.Model, level: str, pooling: Pooling = PLAIN
    ) -> keras.Model:
        """From images, 0..255, to logits, with random changes of the images while training."""
        images = outputs = keras.Input(self.model.input.shape[1:])
        parts = (
            self.frozen_part(unfrozen_blocks, pooling),
            self.trained_part(unfrozen_blocks, head, pooling),
        )
        for layer in (*augmentation_layers(level), *(part for part in parts if part is not None)):
            outputs = layer(outputs)
        return keras.Model(images, outputs)

    def live_model(self, head: keras.Model) -> keras.Model:
        """From images, 0..255 (batch, size, size, 3), to probabilities, in a graph of plain layers.

        It shares its layers, so it changes with them; unlike `inference_model` it can be saved.
        """
        images = keras.Input(self.model.input.shape[1:])
        outputs = self.model(scaling_layer(self.spec.scaling)(images))
        outputs = PLAIN.layer(self.channels)(outputs)
        return keras.Model(images, keras.layers.Softmax(name="probabilities")(head(outputs)))

    def reading(
        self, blocks: Sequence[str], head: keras.Model, pooling: Pooling = PLAIN
    ) -> keras.Model:
        """As `inference_model`, with a head on some blocks side by side.

        Args:
            blocks: that it reads, from input to output; what lies above the last is left out.
            head: from their features to logits.
            pooling: of the feature maps.
        """
        maps = [block.output for block in self.blocks if block.name in blocks]
        images = keras.Input(self.model.input.shape[1:])
        taps = pooling.network(self.model, maps)
        features = Frozen(taps, name="backbone")(scaling_layer(self.spec.scaling)(images))
        outputs = Frozen(head, name="head")(features)
        return keras.Model(images, keras.layers.Softmax(name="probabilities")(outputs))

    def inference_model(self, head: keras.Model, pooling: Pooling = PLAIN) -> keras.Model:
        """From images, 0..255 (batch, size, size, 3), to probabilities, in inference mode."""
        images = keras.Input(self.model.input.shape[1:])
        outputs = Frozen(self.model, name="backbone")(scaling_layer(self.spec.scaling)(images))
        outputs = pooling.layer(self.channels, name="pooling")(outputs)
        outputs = Frozen(head, name="head")(outputs)
        return keras.Model(images, keras.layers.Softmax(name="probabilities")(outputs))


def seed_random_layers(model: keras.Model, seed: int) -> None:
    """Start every random layer (dropout, augmentation) of `model` from `seed`."""
    sequence = np.random.SeedSequence(seed)
    for layer in leaves(model.layers):
        for generator in vars(layer).values():
            if isinstance(generator, keras.random.SeedGenerator):
                (value,) = sequence.spawn(1)
                generator.state.assign(value.generate_state(2, np.uint32))
