"""What a benchmark trains on: photos in memory, the weights to start from, and how long."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tl_keras.config.schema import DataConfig
from tl_keras.data.picture_reading import DEFAULTS
from tl_keras.data.sources import load_images
from tl_keras.drawn.surface_defect_drawing import CLASS_NAMES, draw

BACKBONE = "MobileNetV2"


@dataclass(frozen=True)
class Task:
    """One comparison's inputs, the same for every side.

    Attributes:
        source: name of the photos, for the tables.
        pixels: uint8 (n, size, size, 3), RGB 0..255.
        labels: int (n,), 0..classes-1.
        train, validation, test: rows of `pixels`.
        weights: file of the backbone without its classifier; None is random initialisation.
        batch_size: images per training step.
        head_epochs, epochs: of the head, and of fine-tuning after it.
        head_rate, rate: their learning rates, those of the Keras guide.
        patience: epochs without a better validation loss after which both sides stop.
    """

    source: str
    pixels: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    weights: str | None
    head_epochs: int = 20
    epochs: int = 10
    batch_size: int = 32
    head_rate: float = 1e-3
    rate: float = 1e-5
    patience: int | None = None

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def image_size(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def case(self) -> str:
        """In words, for the tables."""
        start = "given weights" if self.weights else "random weights"
        return (
            f"{self.source}, {len(self.train)} + {len(self.validation)} images of "
            f"{self.image_size} px, {self.head_epochs} + {self.epochs} epochs, {start}"
        )

    def part(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels and labels of these rows."""
        return self.pixels[rows], self.labels[rows]

    def until_convergence(self, epochs: int, patience: int) -> "Task":
        """The same with at most so many epochs in each phase."""
        return replace(self, head_epochs=epochs, epochs=epochs, patience=patience)


def load_task(
    images: Path | None,
    weights: Path | None,
    *,
    counts: Sequence[int],
    image_size: int,
    head_epochs: int,
    epochs: int,
) -> Task:
    """Decode the photos and divide them at random.

    Args:
        images: folder with one sub-folder per class; None draws surface defects.
        weights: see `Task`.
        counts: training, validation and test images.
        image_size: pixels.
        head_epochs: see `Task`.
        epochs: see `Task`.
    """
    total = sum(counts)
    pixels, labels = _photos(images, total, image_size) if images else _drawn(total, image_size)
    train, validation, test = np.split(np.arange(total), np.cumsum(counts)[:2])
    return Task(
        source=images.name if images else "generated surface defects",
        pixels=pixels,
        labels=labels,
        train=train,
        validation=validation,
        test=test,
        weights=str(weights.resolve()) if weights else None,
        head_epochs=head_epochs,
        epochs=epochs,
    )


def _photos(folder: Path, total: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    table = load_images(DataConfig(folder=str(folder)))
    if len(table) < total:
        raise SystemExit(f"{folder} must hold at least {total} images; got {len(table)}")
    rows = np.random.default_rng(0).permutation(len(table))[:total]
    return table.decode(rows, image_size, DEFAULTS)[rows], table.labels[rows]


def _drawn(total: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.random.default_rng(0).permutation(np.arange(total) % len(CLASS_NAMES))
    gray = np.stack([draw(label, row, size=image_size) for row, label in enumerate(labels)])
    return np.repeat(gray[..., None], 3, axis=-1), labels
