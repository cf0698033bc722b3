"""What a frozen backbone gives for images, computed once per image."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tl_keras.data.cache_entries import DIGEST_BYTES
from tl_keras.data.row_cache import BATCH, RowCache, StoredRows
from tl_keras.data.rows import ChosenRows, Rows
from tl_keras.models.backbone import Backbone, Depth
from tl_keras.models.blocks import unfrozen_range
from tl_keras.models.pooling import PLAIN, STRAIGHT, VIEWS, Pooling, View
from tl_keras.progress import far, far_of
from tl_keras.transfer.passes import (
    Pass,
    batch_norms,
    channels,
    to_batch_norms,
    to_block,
    to_pooled_blocks,
)


@dataclass(frozen=True)
class SideBySide:
    """Features of several places in a network, of the same images.

    Attributes:
        rows: float32 (n, sum of widths).
        columns: where each place's features are, by its name, from input to output.
    """

    rows: StoredRows
    columns: Mapping[str, slice]

    @classmethod
    def of(cls, rows: StoredRows, places: Mapping[str, int]) -> "SideBySide":
        """Rows of places with these widths."""
        ends = np.cumsum(list(places.values())).tolist()
        slices = (slice(end - width, end) for end, width in zip(ends, places.values(), strict=True))
        return cls(rows, dict(zip(places, slices, strict=True)))

    def place(self, name: str) -> Rows:
        """The features of one place, (n, width), read when asked for."""
        return self.rows.columns(self.columns[name])

    def read(
        self, rows: np.ndarray | None = None, last: str | None = None
    ) -> dict[str, np.ndarray]:
        """The features by place, each float32 (k, width).

        Args:
            rows: k of the n; None is all.
            last: the place to end with; None is the last.
        """
        values = self.rows[np.arange(len(self.rows)) if rows is None else rows]
        names = list(self.columns)
        end = len(names) if last is None else names.index(last) + 1
        return {name: np.ascontiguousarray(values[:, self.columns[name]]) for name in names[:end]}


@dataclass(frozen=True)
class PooledBlocks:
    """What heads read of the blocks of a network, of the same images.

    Attributes:
        views: the moments of each block's output, by view of the images: means over height and
            width, then means of squares.
        pooling: how features are made of them.
    """

    views: tuple[SideBySide, ...]
    pooling: Pooling

    @property
    def blocks(self) -> tuple[str, ...]:
        """From input to output."""
        return tuple(self.views[0].columns)

    def block(self, name: str) -> Rows:
        """The features of one block, float32 (n, features), made when they are read."""
        return _FeatureRows(tuple(view.place(name) for view in self.views), self.pooling)

    def read(
        self, rows: np.ndarray | None = None, last: str | None = None
    ) -> dict[str, np.ndarray]:
        """The features by block, each float32 (k, features).

        Args:
            rows: k of the n; None is all.
            last: the block to end with; None is the last.
        """
        views = [view.read(rows, last) for view in self.views]
        return {name: self.pooling.of_moments([view[name] for view in views]) for name in views[0]}


@dataclass(frozen=True)
class _FeatureRows:
    """Of the moments of each view, (n, 2 * channels)."""

    views: tuple[Rows, ...]
    pooling: Pooling

    @property
    def shape(self) -> tuple[int, ...]:
        images, moments = self.views[0].shape
        return images, self.pooling.width(moments // 2)

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        return self.pooling.of_moments([np.asarray(view[rows]) for view in self.views])


@dataclass
class FeatureBank:
    """What the blocks of one backbone give for a set of images, each computed when first asked for.

    Frozen layers do not change, so what they give is the same in every epoch, phase, trial, run
    and process. It is known by what determines it: the weights on the way as they are at that
    moment, and the decoded pixels of an image.

    Attributes:
        backbone: whose lower part is applied.
        pixels: uint8 (n, size, size, 3), 0..255.
        cache: where the features are kept; may be shared.
    """

    backbone: Backbone
    pixels: Rows
    cache: RowCache = field(default_factory=RowCache)
    _ways: dict[str | View, Pass] = field(default_factory=dict, init=False, repr=False)
    _digests: "_Digests" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._digests = _Digests(self.pixels)

    def features(
        self,
        positions: np.ndarray,
        unfrozen_blocks: Depth,
        cut: str | None = None,
        pooling: Pooling = PLAIN,
    ) -> Rows:
        """Inputs of the unfrozen blocks.

        Args:
            positions: k rows of `pixels`.
            unfrozen_blocks: blocks that train, counted from the cut, or a range of them.
            cut: the last block that is used; None is the last of all.
            pooling: of what a head takes.

        Returns:
            float32 (k, ...) activations, pooled where no block trains; with the first block
            unfrozen uint8 pixels.

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
        last = blocks[frozen - 1].name
        if frozen == len(blocks):
            return self.pooled(positions, pooling).block(last)
        return self.activations(positions, last)

    def activations(self, positions: np.ndarray, block: str) -> Rows:
        """Outputs of a block in inference mode.

        Args:
            positions: k rows of `pixels`.
            block: name of the block.

        Returns:
            float32 (k, height, width, channels).

        Raises:
            CacheError: there is room neither in memory nor on the disk.
            ValueError: there is no such block.
        """
        if block not in self._ways:
            self._ways[block] = to_block(self.backbone, block)
        return self._rows(self._ways[block], positions)

    def pooled(self, positions: np.ndarray, pooling: Pooling = PLAIN) -> PooledBlocks:
        """What a head reads of every block's output, in inference mode.

        Args:
            positions: k rows of `pixels`.
            pooling: how; every view goes through the network.

        Returns:
            By block float32 (k, features).

        Raises:
            CacheError: there is room neither in memory nor on the disk.
        """
        places = {block.name: 2 * channels(block.output) for block in self.backbone.blocks}
        ways = map(self._to_pooled, VIEWS[pooling.views])
        views = (SideBySide.of(self._rows(way, positions), places) for way in ways)
        return PooledBlocks(tuple(views), pooling)

    def batch_norm_inputs(self, positions: np.ndarray) -> SideBySide:
        """Means and variances over height and width of what the BatchNorm layers take.

        The images pass all blocks for it, and the pooled outputs are kept as well: of images that
        both are wanted of, ask for this first.

        Args:
            positions: k rows of `pixels`.

        Returns:
            By layer float32 (k, 2 * channels): means, then variances.

        Raises:
            CacheError: there is room neither in memory nor on the disk.
        """
        layers = [layer for found in batch_norms(self.backbone).values() for layer in found]
        places = {layer.name: 2 * channels(layer.input) for layer in layers}
        way, on_the_way = self._to_batch_norms, self._to_pooled(STRAIGHT)
        images = self._digests.of(positions)

        def compute(wanted: np.ndarray, values: np.ndarray) -> None:
            pooled = np.empty((len(wanted), *on_the_way.shape), np.float32)
            for batch in _batches(len(wanted), way.batch):
                pooled[batch], values[batch] = way(self.pixels[positions[wanted[batch]]])
                _tell(wanted[batch], positions)
            self._keep(on_the_way, images[wanted], pooled)

        return SideBySide.of(self.cache.rows(way.facts(), way.shape, images, compute), places)

    def _to_pooled(self, view: View) -> Pass:
        if view not in self._ways:
            self._ways[view] = to_pooled_blocks(self.backbone, view)
        return self._ways[view]

    @cached_property
    def _to_batch_norms(self) -> Pass:
        return to_batch_norms(self.backbone)

    def _rows(self, way: Pass, positions: np.ndarray) -> StoredRows:
        def compute(wanted: np.ndarray, values: np.ndarray) -> None:
            for batch in _batches(len(wanted), way.batch):
                values[batch] = way(self.pixels[positions[wanted[batch]]])
                _tell(wanted[batch], positions)

        rows = self.cache.rows(way.facts(), way.shape, self._digests.of(positions), compute)
        far("")
        return rows

    def _keep(self, way: Pass, images: np.ndarray, rows: np.ndarray) -> None:
        """Into the cache, as far as they are not there."""

        def copy(wanted: np.ndarray, values: np.ndarray) -> None:
            values[:] = rows[wanted]

        self.cache.rows(way.facts(), way.shape, images, copy)


class _Digests:
    """Of images' decoded pixels, each computed once."""

    def __init__(self, pixels: Rows) -> None:
        self._pixels = pixels
        self._values = np.zeros(len(pixels), f"V{DIGEST_BYTES}")
        self._known = np.zeros(len(pixels), bool)

    def of(self, positions: np.ndarray) -> np.ndarray:
        missing = np.unique(positions[~self._known[positions]])
        for batch in _batches(len(missing), BATCH):
            rows = missing[batch]
            for row, image in zip(rows, self._pixels[rows], strict=True):
                digest = hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES)
                self._values[row] = digest.digest()
        self._known[missing] = True
        return self._values[positions]


def _tell(made: np.ndarray, positions: np.ndarray) -> None:
    """Tell how far it has come; images are made in their order, so that all before are there."""
    far_of(int(made[-1]) + 1, len(positions), "photos")


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
