"""What advice is drawn from: probes, LogME and distances, on training and validation images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tl_keras.data.rows import spread
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.transfer.features import FeatureBank
from tl_keras.transfer.probes import LinearProbes
from tl_keras.transfer.representation import Representation
from tl_keras.transfer.similarity import block_distances
from tl_keras.transfer.source_checks import scaling_note, scaling_taken
from tl_keras.transfer.trainer import LabelledImages
from tl_keras.transfer.transferability import logme

# LogME settles with some hundred images, and its time grows with the square of their number.
MOST_SCORED = 1000
# Images whose pixels are looked at.
MOST_SEEN = 64


@dataclass(frozen=True)
class Measurements:
    """What the advice is drawn from, all on training and validation images.

    Attributes:
        probes: from `cross_validate`; empty where the images are too few.
        logme: by block.
        distances: from `block_distances`.
        labels: int (n,) of the images.
        pixels: uint8 (k, size, size, 3), some of them.
        card: of the source model; None for random initialisation.
        image_size: of the network's input, pixels.
        representation: that the probes read; None where the images are too few.
        networks: a row per network and size that were measured; None without a choice.
        seed: of the draw that the images are of.
        scaling: of `scaling_note`.
        scaling_taken: of that function.
    """

    probes: pd.DataFrame
    logme: Mapping[str, float]
    distances: Mapping[str, float] | None
    labels: np.ndarray
    pixels: np.ndarray
    card: SourceCard | None
    image_size: int
    representation: Representation | None
    networks: pd.DataFrame | None = None
    seed: int = 0
    scaling: str | None = None
    scaling_taken: str = ""


def measure(
    bank: FeatureBank,
    card: SourceCard | None,
    images: LabelledImages,
    probes: LinearProbes,
    rows: np.ndarray,
    networks: pd.DataFrame | None = None,
    seed: int = 0,
) -> Measurements:
    """Measure the images at some positions.

    Args:
        bank: of the images, and of a backbone with the source weights.
        card: of its source.
        images: that `rows` are positions in.
        probes: on the same bank.
        rows: positions of training and validation images, none of the test split.
        networks: what was measured of several networks, and sizes of their input.
        seed: of the draw that the images are of.
    """
    some = spread(rows, MOST_SCORED)
    labels = images.class_indices[some]
    chosen = probes.choose(rows, seed=0)
    pixels = images.pixels[spread(rows, MOST_SEEN)]
    return Measurements(
        probes=pd.DataFrame() if chosen is None else chosen.found.table,
        logme={name: logme(values, labels) for name, values in probes.features(some).items()},
        distances=block_distances(bank, rows),
        labels=images.class_indices[rows],
        pixels=pixels,
        card=card,
        image_size=bank.backbone.image_size,
        representation=None if chosen is None else chosen.representation,
        networks=networks,
        seed=seed,
        scaling=scaling_note(bank.backbone, pixels),
        scaling_taken=scaling_taken(bank.backbone),
    )
