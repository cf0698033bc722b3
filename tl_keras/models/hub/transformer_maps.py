"""Vision transformers of KerasHub as networks of feature maps.

At each place a map has the channels of its patch, and beside them those of the class token, which
are the same everywhere. So whatever reads feature maps reads these: their mean is the mean of the
patches with the class token beside it. Blocks are the transformer's layers. Positions are
interpolated for images of another size than in training, as by Dosovitskiy et al. 2021 ("An Image
is Worth 16x16 Words", section 3.2).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tl_keras.errors import WeightsError
from tl_keras.models.hub.own_layers import call_opened


@dataclass(frozen=True)
class _Parts:
    """What a vision transformer consists of.

    Attributes:
        patches: from images to one vector for each patch.
        leading: the class token, then registers where there are any, with their positions,
            (leading, channels).
        positions: of the patches in training, (patches, channels).
        layers: from tokens (batch, leading + patches, channels) to tokens.
        norm: of what the last layer gives.
        antialias: whether positions are smoothed where there are fewer patches than in training.
    """

    patches: keras.layers.Conv2D
    leading: np.ndarray
    positions: np.ndarray
    layers: Sequence[Any]
    norm: keras.layers.Layer
    antialias: bool = True


def is_transformer(backbone: Any) -> bool:
    """Whether it is one of those that `as_maps` knows."""
    return type(backbone).__name__ in _KNOWN


def as_maps(backbone: Any, image_size: int) -> keras.Model:
    """A transformer as a network from images of a size to feature maps.

    It shares its layers with the backbone, and names them anew.

    Args:
        backbone: one that `is_transformer` knows.
        image_size: height and width of the images, pixels.

    Raises:
        WeightsError: patches do not fill such images, or there is no class token.
    """
    parts = _KNOWN[type(backbone).__name__](backbone)
    side = parts.patches.kernel_size[0]
    if image_size % side:
        fitting = max(1, round(image_size / side)) * side
        raise WeightsError(
            f"images must be a multiple of {side} pixels, the side of its patches; got "
            f"{image_size}. Set backbone.image_size to {fitting}."
        )
    images = keras.Input((image_size, image_size, 3))
    grid = _Grid(image_size // side, *parts.leading.shape)
    maps = grid.first_map(parts.patches(images), parts)
    for number, layer in enumerate(parts.layers, 1):
        # what is inside is named after it
        layer.name = f"block_{number}"
        tokens = call_opened(layer, grid.tokens(maps, layer.name))
        is_last = number == len(parts.layers)
        maps = grid.map(parts.norm(tokens) if is_last else tokens, layer.name)
    return keras.Model(images, maps, name=backbone.name)


@dataclass(frozen=True)
class _Grid:
    """Where tokens lie.

    Attributes:
        side: patches in a row, and in a column.
        leading: tokens before those of the patches.
        channels: of a token.
    """

    side: int
    leading: int
    channels: int

    def first_map(self, patches: Any, parts: _Parts) -> Any:
        """Of patches (batch, side, side, channels), with positions and the leading tokens."""
        tokens = keras.layers.Reshape((self.side**2, self.channels))(patches)
        tokens = keras.layers.ZeroPadding1D((self.leading, 0))(tokens)
        added = np.concatenate([parts.leading, _positions(parts, self.side)])
        return self.map(_plus(tokens, added), "stem")

    def map(self, tokens: Any, name: str) -> Any:
        """Of tokens (batch, leading + patches, channels), (batch, side, side, channels x more)."""
        patches = keras.layers.Cropping1D((self.leading, 0), name=f"{name}_patches")(tokens)
        patches = keras.layers.Reshape((self.side, self.side, self.channels))(patches)
        beside = keras.layers.Cropping1D((0, self.side**2), name=f"{name}_class")(tokens)
        beside = keras.layers.Reshape((1, 1, self.leading * self.channels))(beside)
        beside = keras.layers.UpSampling2D(self.side)(beside)
        return keras.layers.Concatenate(name=f"{name}_map")([patches, beside])

    def tokens(self, maps: Any, name: str) -> Any:
        """Of what `map` gives."""
        side, more = self.side, self.leading
        # five axes: with four it would be a map, where a block could end
        maps = keras.layers.Reshape((side, side, 1 + more, self.channels))(maps)
        crop = keras.layers.Cropping3D(((0, 0), (0, 0), (0, more)), name=f"{name}_patches_of")
        patches = keras.layers.Reshape((side**2, self.channels))(crop(maps))
        corner = ((0, side - 1), (0, side - 1), (1, 0))
        beside = keras.layers.Cropping3D(corner, name=f"{name}_class_of")(maps)
        beside = keras.layers.Reshape((more, self.channels))(beside)
        return keras.layers.Concatenate(axis=1)([beside, patches])


def _plus(tokens: Any, added: np.ndarray) -> Any:
    """Tokens, the first of them zeros, and weights (tokens, channels) that are the same for all."""
    first = keras.layers.Cropping1D((0, len(added) - 1))(tokens)
    zero = keras.layers.GlobalMaxPooling1D(data_format="channels_first")(first)
    # no layer of Keras has weights and no input: the bias of one whose input is 0
    layer = keras.layers.Dense(added.size, name="stem_positions")
    positions = keras.layers.Reshape(added.shape)(layer(zero))
    layer.set_weights([np.zeros((1, added.size), np.float32), added.ravel()])
    return keras.layers.Add(name="stem_tokens")([tokens, positions])


def _positions(parts: _Parts, side: int) -> np.ndarray:
    """Of the patches of a square, (side * side, channels)."""
    trained, channels = round(len(parts.positions) ** 0.5), parts.positions.shape[1]
    if trained == side:
        return parts.positions
    grid = parts.positions.reshape(trained, trained, channels)
    resized = keras.ops.image.resize(
        grid, (side, side), interpolation="bicubic", antialias=parts.antialias
    )
    return np.asarray(resized).reshape(side**2, channels)


def _vit(backbone: Any) -> _Parts:
    embedding, encoder = (
        backbone.get_layer(name) for name in ("vit_patching_and_embedding", "vit_encoder")
    )
    if not embedding.use_class_token:
        raise WeightsError("it must have a class token. Choose another preset.")
    positions = np.asarray(embedding.position_embedding.embeddings)
    return _Parts(
        patches=embedding.patch_embedding,
        leading=np.asarray(embedding.class_token)[0] + positions[:1],
        positions=positions[1:],
        layers=encoder.encoder_layers,
        norm=encoder.layer_norm,
    )


def _dinov2(backbone: Any) -> _Parts:
    embedding = backbone.embeddings
    positions = np.asarray(embedding.position_embeddings)[0]
    leading = [np.asarray(embedding.cls_token)[0] + positions[:1]]
    if embedding.num_register_tokens:
        leading.append(np.asarray(embedding.register_tokens)[0])
    return _Parts(
        patches=embedding.patch_embeddings.projection,
        leading=np.concatenate(leading),
        positions=positions[1:],
        layers=backbone.encoder.layers,
        norm=backbone.layernorm,
        antialias=embedding.antialias_in_interpolation,
    )


_KNOWN: Mapping[str, Callable[[Any], _Parts]] = {"ViTBackbone": _vit, "DINOV2Backbone": _dinov2}
