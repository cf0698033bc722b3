"""Activations of the frozen part of a backbone, computed once per image and view."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tl_keras
from tl_keras.data.cache_entries import DIGEST_BYTES
from tl_keras.data.row_cache import BATCH, RowCache
from tl_keras.data.rows import ChosenRows, Rows
from tl_keras.data.views import View, changing
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.blocks import unfrozen_range


@dataclass
class FeatureBank:
    """What the blocks of one backbone give for a set of images, each computed when first asked for.

    Frozen layers do not change, so their activations are the same in every epoch, phase, trial,
    run and process. They are known by what determines them: the weights up to the block as they
    are at that moment, the decoded pixels of an image, and the view.

    Attributes:
        backbone: whose lower part is applied.
        pixels: uint8 (n, size, size, 3), 0..255.
        cache: where the activations are kept; may be shared.
    """

    backbone: Backbone
    pixels: Rows
    cache: RowCache = field(default_factory=RowCache)
    _parts: dict[tuple[str, bool], "_Part"] = field(default_factory=dict, init=False, repr=False)
    _changes: dict[str, Callable[..., Any]] = field(default_factory=dict, init=False, repr=False)
    _digests: "_Digests" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._digests = _Digests(self.pixels)

    def features(
        self,
        positions: np.ndarray,
        unfrozen_blocks: Depth,
        view: View | None = None,
        cut: str | None = None,
    ) -> Rows:
        """Inputs of the unfrozen blocks.

        Args:
            positions: k rows of `pixels`.
            unfrozen_blocks: blocks that train, counted from the cut, or a range of them.
            view: a variant of the images; None is the images as they are.
            cut: the last block that is used; None is the last of all.

        Returns:
            float32 (k, ...) activations; with the first block unfrozen uint8 pixels.

        Raises:
            ConfigError: `unfrozen_blocks` does not suit the blocks.
            CacheError: there is room neither in memory nor on the disk.
        """
        blocks = self.backbone.blocks
        if cut is not None:
            blocks = blocks[: self.backbone.block_names.index(cut) + 1]
        frozen = unfrozen_range(blocks, unfrozen_blocks).start
        if frozen == 0:
            return ChosenRows(self.pixels, positions)
        block, pooled = blocks[frozen - 1].name, frozen == len(blocks)
        return self.activations(positions, block, pooled=pooled, view=view)

    def activations(
        self, positions: np.ndarray, block: str, *, pooled: bool, view: View | None = None
    ) -> Rows:
        """Outputs of a block in inference mode.

        Args:
            positions: k rows of `pixels`.
            block: name of the block.
            pooled: whether to average over height and width.
            view: a variant of the images; None is the images as they are.

        Returns:
            float32 (k, height, width, channels), or (k, channels) where they are pooled.

        Raises:
            CacheError: there is room neither in memory nor on the disk.
        """
        part = self._part(block, pooled)
        images = self._digests.of(positions)

        def compute(wanted: np.ndarray, values: np.ndarray) -> None:
            for start in range(0, len(wanted), BATCH):
                batch = wanted[start : start + BATCH]
                pixels = self._viewed(positions[batch], images[batch], view)
                values[start : start + BATCH] = part(pixels)

        facts = part.facts() | {"view": None if view is None else asdict(view)}
        return self.cache.rows(facts, part.shape, images, compute)

    def _part(self, block: str, pooled: bool) -> "_Part":
        if (block, pooled) not in self._parts:
            self._parts[block, pooled] = _Part(self.backbone, block, pooled)
        return self._parts[block, pooled]

    def _viewed(self, positions: np.ndarray, images: np.ndarray, view: View | None) -> Any:
        pixels = tf.cast(self.pixels[positions], tf.float32)
        if view is None:
            return pixels
        if view.level not in self._changes:
            self._changes[view.level] = changing(view.level, self.pixels.shape[1:])
        return self._changes[view.level](pixels, view, images)


class _Part:
    """A backbone up to a block."""

    def __init__(self, backbone: Backbone, block: str, pooled: bool) -> None:
        self._model = backbone.up_to(block, pooled=pooled)
        self._forward = tf.function(
            lambda batch: self._model(batch, training=False),
            input_signature=[tf.TensorSpec((None, *self._model.input.shape[1:]), tf.float32)],
            autograph=False,
        )
        self._name = {
            "backbone": backbone.spec.name,
            "block": block,
            "pooled": pooled,
            "image_size": backbone.image_size,
            "scaling": backbone.spec.scaling,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._model.output.shape[1:])

    def __call__(self, pixels: Any) -> np.ndarray:
        # A batch of one takes another way through the libraries, to other last digits.
        padded = tf.repeat(pixels, 2, axis=0) if len(pixels) == 1 else pixels
        return np.asarray(self._forward(padded)[: len(pixels)])

    def facts(self) -> dict[str, Any]:
        """All that determines the activations, but for the images."""
        device = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        versions = (tl_keras.__version__, tf.__version__, keras.__version__)
        weights = hashlib.sha256()
        for values in self._model.get_weights():
            weights.update(f"{values.shape} {values.dtype} ".encode())
            weights.update(np.ascontiguousarray(values).data)
        return self._name | {
            "weights": weights.hexdigest(),
            "computed_by": "tl_keras {} on TensorFlow {}, Keras {}".format(*versions),
            "device": device,
        }


class _Digests:
    """Of images' decoded pixels, each computed once."""

    def __init__(self, pixels: Rows) -> None:
        self._pixels = pixels
        self._values = np.zeros(len(pixels), f"V{DIGEST_BYTES}")
        self._known = np.zeros(len(pixels), bool)

    def of(self, positions: np.ndarray) -> np.ndarray:
        missing = np.unique(positions[~self._known[positions]])
        for start in range(0, len(missing), BATCH):
            rows = missing[start : start + BATCH]
            for row, image in zip(rows, self._pixels[rows], strict=True):
                digest = hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES)
                self._values[row] = digest.digest()
        self._known[missing] = True
        return self._values[positions]
