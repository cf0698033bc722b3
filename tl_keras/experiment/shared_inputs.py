"""What every worker process has: the experiment as it was prepared, read from a folder."""

from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import tensorflow as tf

from tl_keras.config.schema import CacheConfig, ExperimentConfig
from tl_keras.data.rows import MappedRows, Rows
from tl_keras.experiment.monitor import Notes
from tl_keras.experiment.prepare import Images, Prepared
from tl_keras.experiment.workbench import Workbench
from tl_keras.keras_settings import needed_keras
from tl_keras.models.backbone import Backbone
from tl_keras.models.networks import build_backbone
from tl_keras.models.source_card import SourceCard
from tl_keras.results.store import Store
from tl_keras.transfer.run_plan import Run

_INPUTS, _PIXELS = "inputs.joblib", "pixels"
_BATCH = 256


@dataclass(frozen=True)
class _Inputs:
    """Of `Prepared` what is no network; `weights` are the source's."""

    config: ExperimentConfig
    images: Images
    card: SourceCard | None
    cut: str
    planned: tuple[Run, ...]
    store: Store
    rows: np.ndarray
    weights: tuple[np.ndarray, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class SharedInputs:
    """An experiment in a folder: pixels and weights are mapped by all processes, not copied.

    Attributes:
        folder: an empty one at first.
    """

    folder: str

    def write(self, prepared: Prepared) -> None:
        """Put an experiment there."""
        bench = prepared.bench
        # one that reads all from the folder of the cache, which this process fills
        cache = CacheConfig(memory_megabytes=0, folder=str(bench.cache.folder))
        pixels = bench.images.pixels
        inputs = _Inputs(
            config=prepared.config.model_copy(update={"cache": cache}),
            images=prepared.images,
            card=prepared.card,
            cut=prepared.cut,
            planned=prepared.planned,
            store=prepared.store,
            rows=bench.rows,
            weights=prepared.backbone.source_weights,
            shape=pixels.shape,
        )
        _copy(pixels, bench.rows, self._path(_PIXELS))
        joblib.dump(inputs, self._path(_INPUTS))

    @needed_keras()
    def __call__(self) -> Prepared:
        """The experiment, with a network and a workbench of this process.

        Its operations are deterministic from then on, or not, as the experiment asks.
        """
        inputs: _Inputs = joblib.load(self._path(_INPUTS), mmap_mode="r")
        config, monitor = inputs.config, Notes()
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        settings = config.backbone
        model = build_backbone(settings.name, image_size=settings.image_size, alpha=settings.alpha)
        model.set_weights(list(inputs.weights))
        backbone = Backbone.wrap(settings.name, settings.alpha, model)
        file = self._path(_PIXELS).open("r+b")
        bench = Workbench(
            config,
            backbone,
            inputs.images.table,
            inputs.rows,
            monitor,
            decoded=MappedRows(file, inputs.shape, np.uint8),
        )
        return Prepared(
            config=config,
            images=inputs.images,
            backbone=replace(backbone, source_weights=inputs.weights),
            card=inputs.card,
            cut=inputs.cut,
            planned=inputs.planned,
            store=inputs.store,
            monitor=monitor,
            bench=bench,
        )

    def _path(self, name: str) -> Path:
        return Path(self.folder) / name


def _copy(pixels: Rows, rows: np.ndarray, path: Path) -> None:
    """The rows that are used, a part at a time."""
    with path.open("w+b") as file:
        copied = MappedRows(file, pixels.shape, np.uint8)
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for row, picture in zip(part, pixels[part], strict=True):
                copied[row] = picture
