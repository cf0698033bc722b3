"""What every worker process has: the experiment as it was prepared, read from a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import tensorflow as tf

from tl_keras.atomic_files import named
from tl_keras.backbone_table import BackboneSpec
from tl_keras.config.schema import CacheConfig, ExperimentConfig
from tl_keras.data.rows import ChosenRows, MappedRows, Rows
from tl_keras.experiment.monitor import Notes
from tl_keras.experiment.prepare import Images, Prepared
from tl_keras.experiment.workbench import Workbench
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.models.networks import build_backbone
from tl_keras.models.own_network.open_network import described, from_description
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.results.store import Store
from tl_keras.transfer.run_plan import Run

_INPUTS, _PIXELS = "inputs.joblib", "pixels"
_BATCH = 256


@dataclass(frozen=True)
class Inputs:
    """Of `Prepared` what is no network and no picture.

    Attributes:
        config, images, card, cut, planned, store: as there.
        rows: of the images that are used.
        side: of the network's input, pixels.
        spec: of the network.
        network: its graph as JSON types, where it is from a file; None for one of the table.
        weights: the source's.
    """

    config: ExperimentConfig
    asked: ExperimentConfig
    images: Images
    card: SourceCard | None
    cut: str
    planned: tuple[Run, ...]
    store: Store
    rows: np.ndarray
    side: int
    spec: BackboneSpec
    network: Any
    weights: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, prepared: Prepared, cache: CacheConfig) -> "Inputs":
        """Those of an experiment, for processes that keep features as `cache` says."""
        return cls(
            config=prepared.config.model_copy(update={"cache": cache}),
            asked=prepared.asked,
            images=prepared.images,
            card=prepared.card,
            cut=prepared.cut,
            planned=prepared.planned,
            store=prepared.store,
            rows=prepared.bench.rows,
            side=prepared.backbone.image_size,
            spec=prepared.backbone.spec,
            network=described(prepared.backbone.model)
            if prepared.backbone.spec.file_digest
            else None,
            weights=prepared.backbone.source_weights,
        )

    @needed_keras()
    def prepared(self, pixels: Rows) -> Prepared:
        """The experiment, with a network and a workbench of this process.

        Its operations are deterministic from then on, or not, as the experiment asks.

        Args:
            pixels: uint8 (images, size, size, 3); those at `rows` are read.
        """
        if self.config.deterministic:
            tf.config.experimental.enable_op_determinism()
        table, monitor, backbone = self.images.table, Notes(), self._backbone()
        return Prepared(
            config=self.config,
            asked=self.asked,
            images=self.images,
            backbone=backbone,
            card=self.card,
            cut=self.cut,
            planned=self.planned,
            store=self.store,
            monitor=monitor,
            bench=Workbench(self.config, backbone, table, self.rows, monitor, decoded=pixels),
        )

    def _backbone(self) -> Backbone:
        alpha = self.config.backbone.alpha
        if self.network is not None:
            return Backbone.wrap(self.spec, alpha, from_description(self.network, self.weights))
        model = build_backbone(self.spec.name, image_size=self.side, alpha=alpha)
        model.set_weights(list(self.weights))
        return Backbone.wrap(self.spec, alpha, model)


@dataclass(frozen=True)
class InFolder:
    """An experiment in a folder: pixels and weights are mapped by all processes, not copied.

    Attributes:
        folder: an empty one at first.
    """

    folder: str

    def write(self, prepared: Prepared) -> "InFolder":
        """Put an experiment there, and give this back.

        Raises:
            OSError: there is no room, with the name of the file.
        """
        bench = prepared.bench
        # one that reads all from the folder of the cache, which this process fills
        cache = CacheConfig(memory_megabytes=0, folder=str(bench.cache.folder))
        with named(self._path(_PIXELS)):
            _copy(bench.images.pixels, bench.rows, self._path(_PIXELS))
        with named(self._path(_INPUTS)):
            joblib.dump(Inputs.of(prepared, cache), self._path(_INPUTS))
        return self

    def __call__(self) -> Prepared:
        """The experiment."""
        inputs: Inputs = joblib.load(self._path(_INPUTS), mmap_mode="r")
        file, side = self._path(_PIXELS).open("r+b"), inputs.side
        shape = (len(inputs.images.table), side, side, 3)
        return inputs.prepared(MappedRows(file, shape, np.uint8))

    def _path(self, name: str) -> Path:
        return Path(self.folder) / name


@dataclass(frozen=True)
class InStore:
    """An experiment in Ray's store, whose arrays all workers of a machine read in place.

    Attributes:
        reference: of it.
    """

    reference: Any

    @classmethod
    def of(cls, prepared: Prepared) -> "InStore":
        """Put an experiment there: what crosses the network is the pixels and the weights."""
        import ray

        bench = prepared.bench
        # of the machine where a worker is
        cache = prepared.config.cache.model_copy(update={"folder": None})
        pixels = np.asarray(bench.images.pixels[bench.rows])
        return cls(ray.put((Inputs.of(prepared, cache), pixels)))

    def __call__(self) -> Prepared:
        """The experiment."""
        import ray

        inputs, pixels = ray.get(self.reference)
        places = np.zeros(len(inputs.images.table), np.intp)
        places[inputs.rows] = np.arange(len(inputs.rows))
        return inputs.prepared(ChosenRows(pixels, places))


def _copy(pixels: Rows, rows: np.ndarray, path: Path) -> None:
    """The rows that are used, a part at a time."""
    with path.open("w+b") as file:
        copied = MappedRows(file, pixels.shape, np.uint8)
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for row, picture in zip(part, pixels[part], strict=True):
                copied[row] = picture
