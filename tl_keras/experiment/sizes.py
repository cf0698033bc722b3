"""The stage that chooses the size of the network's input, where an experiment leaves it open.

Linear probes read the same training and validation photos at every size. A larger one, whose photos
take longer to answer, is taken only where the loss of held-out photos falls by more than half a
standard error: with few photos a whole one hides what a size is worth, and none lets chance decide.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.sources import ImageTable
from tl_keras.digests import whole_json
from tl_keras.errors import DamagedError
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.workbench import Workbench
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.probing import AVERAGE, average_weights
from tl_keras.transfer.representation import cheapest_within

# Standard errors.
WITHIN = 0.5
_READ = ["accuracy", "accuracy_low", "accuracy_high", "cross_entropy"]
COLUMNS = ["image_size", *_READ, "excess", "excess_se", "views", "milliseconds_per_image", "chosen"]


def choose_size(
    config: ExperimentConfig,
    table: ImageTable,
    rows: np.ndarray,
    load: Callable[[int], Backbone],
    monitor: Monitor,
) -> pd.DataFrame:
    """Measure every size that was asked for.

    Args:
        config: of the experiment.
        table: of its images.
        rows: positions of training and validation images, none of a test split.
        load: the backbone with its source weights, for a size.
        monitor: hears what takes long.

    Returns:
        A row per size, ascending: image_size, accuracy of the probe that an experiment would take,
        cross-validated, with its 95% interval, cross_entropy (nats), by how much that exceeds the
        lowest (excess) with the standard error over images or groups of them (excess_se), views
        that this probe reads, milliseconds_per_image of it, all views included, chosen. Where the
        images are too few to hold any out, the smallest alone, of which nothing is known.
    """
    measured, losses, groups = [], [], None
    for side in config.backbone.asked_sizes:
        monitor.stage(f"Probing every block at {side} px")
        bench = Workbench(config, load(side), table, rows, monitor)
        chosen = bench.probes.choose(rows, seed=0)
        if chosen is None:
            break
        average = chosen.found.table.set_index("block").loc[AVERAGE]
        last = list(average_weights(chosen.found.table))[-1]
        pooling = chosen.representation.pooling
        facts = {
            "image_size": side,
            "views": pooling.views,
            "milliseconds_per_image": bench.costs.milliseconds(last, pooling),
        }
        measured.append({**average[_READ], **facts})
        losses.append(chosen.folds.losses(chosen.found.average()))
        groups = chosen.folds.groups
    if not losses:
        smallest = {"image_size": list(config.backbone.asked_sizes[:1]), "chosen": [True]}
        return pd.DataFrame(smallest).reindex(columns=COLUMNS)
    place, excess, error = cheapest_within(losses, groups, WITHIN)
    found = pd.DataFrame(measured).reindex(columns=COLUMNS)
    return found.assign(excess=excess, excess_se=error, chosen=np.arange(len(found)) == place)


def chosen_size(sizes: pd.DataFrame) -> int:
    """The one that was chosen, of `choose_size`."""
    return int(sizes.loc[sizes["chosen"], "image_size"].iloc[0])


def size_in(record: Path) -> int | None:
    """The size that a record of advice tells of; None where there is no whole one."""
    try:
        return int(whole_json(record)["image_size"]) if record.exists() else None
    except (DamagedError, KeyError, TypeError):
        return None
