"""Advice on an experiment without running it: what to borrow, in seconds."""

import numpy as np

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.pixels import load_pictures
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.stages import load_backbone, prepare_images
from tl_keras.transfer.advice import Advice, advise
from tl_keras.transfer.linear_probe import LinearProbes
from tl_keras.transfer.measurements import measure
from tl_keras.transfer.trainer import LabelledImages


def advise_on(config: ExperimentConfig, monitor: Monitor, seed: int = 0) -> Advice:
    """What to borrow for the images of an experiment.

    Only training and validation images of one seed, in the largest training size, are looked at;
    the test split is not even decoded.

    Args:
        config: of the experiment.
        monitor: hears what takes long, and warnings about the images.
        seed: of the draw, below `seeds` of the configuration.

    Raises:
        DataError: the images cannot be used.
        WeightsError: the source weights cannot be had or do not fit.
    """
    backbone, card = load_backbone(config)
    images = prepare_images(config, monitor)
    rows = images.splits.labelled(seed)
    table = images.audit.table
    monitor.stage("Decoding the images")
    pixels = load_pictures(
        table.frame["path"].tolist(),
        rows,
        image_size=config.backbone.image_size,
        resize=config.data.resize,
    )
    labels = table.frame["class_index"].to_numpy(np.int64)
    labelled = LabelledImages(pixels, labels, len(table.classes))
    monitor.stage("Measuring what to borrow")
    probes = LinearProbes(backbone, labelled, table.frame["group"].to_numpy(str), rows)
    return advise(measure(backbone, card, labelled, probes, rows))
