"""What the runs of an experiment share, each made once, when it is first asked for."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.cache_entries import default_folder
from tl_keras.data.picture_reading import PictureReading
from tl_keras.data.row_cache import RowCache
from tl_keras.data.rows import Rows
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Draw
from tl_keras.experiment.monitor import Monitor
from tl_keras.models.backbone import Backbone
from tl_keras.models.cost import Costs
from tl_keras.models.pooling import MEAN
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.recipe import Recipe
from tl_keras.transfer.representation import Candidates
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.trainer import LabelledImages, Trainer

# Some 25 MobileNetV2: enough for the trials that a later run repeats.
REMEMBERED_BYTES = 2**28


@dataclass(frozen=True)
class Workbench:
    """Decoded pictures, frozen features, traced graphs, what searches have found.

    Attributes:
        config: of the experiment.
        backbone: the whole one, with its source weights.
        table: the images that can be used.
        rows: positions of those that any run uses.
        monitor: hears what takes long.
        decoded: uint8 (images, size, size, 3), where they were decoded before.
        winners: what searches have found, by the runs that train it.
    """

    config: ExperimentConfig
    backbone: Backbone
    table: ImageTable
    rows: np.ndarray
    monitor: Monitor
    decoded: Rows | None = None
    winners: dict[Run, Recipe] = field(default_factory=dict)

    @property
    def labels(self) -> np.ndarray:
        """Int (images,), class indices."""
        return self.table.labels

    @property
    def groups(self) -> np.ndarray:
        """Int (images,), the number of the group of each image."""
        return self.table.groups

    @cached_property
    def images(self) -> LabelledImages:
        """The decoded pictures; those that no run uses are undefined."""
        pixels = self._decode() if self.decoded is None else self.decoded
        return LabelledImages(pixels, self.labels, len(self.table.classes), self.groups)

    def _decode(self) -> Rows:
        self.monitor.stage("Decoding the images")
        reading = PictureReading.of(self.config.data)
        return self.table.decode(self.rows, self.backbone.image_size, reading)

    @cached_property
    def cache(self) -> RowCache:
        """Of what the backbone gives for the pictures, kept in a folder where there is one."""
        settings = self.config.cache
        folder = Path(settings.folder) if settings.folder else default_folder()
        if folder is None:
            self.monitor.warn(
                "There is no home folder to keep the feature cache in: features are kept for this "
                "run alone. Set cache.folder to keep them."
            )
        return RowCache(
            settings.memory_megabytes * 10**6,
            folder,
            made_by=self.config.name,
            warn=self.monitor.warn,
        )

    @cached_property
    def trainer(self) -> Trainer:
        """The trainer of all runs."""
        cache = self.cache  # before the pictures are decoded: where it cannot be kept, it says so
        return Trainer(
            self.backbone,
            self.images,
            self.config.head,
            self.config.training,
            remembered_bytes=REMEMBERED_BYTES,
            cache=cache,
        )

    @property
    def bank(self) -> FeatureBank:
        """What the backbone gives for the pictures."""
        return self.trainer.bank

    @cached_property
    def probes(self) -> LinearProbes:
        """Of every block, on all images that are used."""
        bank = self.bank
        self.monitor.stage("Probing every block")
        candidates = Candidates.of(self.config.probe)
        return LinearProbes(bank, self.images, self.groups, self.rows, candidates)

    def head_pooling(self, draw: Draw, seed: int, cut: str | None) -> str:
        """The kind of pooling of a head.

        Args:
            draw: the images that it learns from.
            seed: of the folds that choose where the experiment leaves it open.
            cut: the source's block that it reads; None is one of a network from scratch, of which
                nothing is known: means.
        """
        asked = self.config.head.pooling
        if asked != "search":
            return asked
        if cut is None:
            return MEAN
        return self.probes.choose_kind(np.concatenate([draw.train, draw.validation]), seed, cut)

    def pooled_blocks(self) -> list[tuple[str, np.ndarray]]:
        """Name and pooled features of every block, of the images at `rows`."""
        return list(self.probes.features(self.rows).items())

    @cached_property
    def costs(self) -> Costs:
        """What classifiers of the images cost."""
        return Costs(self.backbone, len(self.table.classes))
