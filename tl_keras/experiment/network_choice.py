"""The stage that chooses the network and the size of its input, where these are left open.

Linear probes read the same training and validation photos with every network at every size. One
whose photos take longer to answer is taken only where the loss of held-out photos falls by more
than half a standard error: with few photos a whole one hides what a size is worth, and none lets
chance decide.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tl_keras.config.schema import BackboneConfig, ExperimentConfig
from tl_keras.data.rows import Rows, spread
from tl_keras.data.sources import ImageTable
from tl_keras.data.splits import Draw
from tl_keras.digests import whole_json
from tl_keras.errors import DamagedError
from tl_keras.evaluation.dependence import standard_error
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.strategies.duration import forward_seconds, training_seconds
from tl_keras.experiment.workbench import Workbench
from tl_keras.models.backbone import Backbone
from tl_keras.models.own_network.scaling_fit import MOST_PHOTOS
from tl_keras.models.pooling import Pooling
from tl_keras.transfer.probing import AVERAGE, average_weights
from tl_keras.transfer.representation import Chosen, cheapest_within
from tl_keras.transfer.source_checks import scaling_note

# A network, as it was named, and a size of its input.
Candidate = tuple[str, int]
# Standard errors.
WITHIN = 0.5
_READ = ["accuracy", "accuracy_low", "accuracy_high", "cross_entropy"]
_COST = ["megabytes", "milliseconds_per_image", "fine_tuning_minutes"]
_BESIDE = ["beside", "beside_image_size"]
COLUMNS = [
    *("network", "random_weights", "image_size", *_READ),
    *("excess", "excess_se", "views", *_COST, "chosen"),
    *_BESIDE,
]


def choose_network(
    config: ExperimentConfig,
    table: ImageTable,
    draw: Draw,
    load: Callable[[ExperimentConfig], Backbone],
    monitor: Monitor,
) -> pd.DataFrame:
    """Measure every network and size that was asked for.

    Args:
        config: of the experiment.
        table: of its images.
        draw: of it, whose training and validation images are read.
        load: the backbone of an experiment with one network and size, with its source weights.
        monitor: hears what takes long.

    Returns:
        A row per network, as they are named, and size, ascending: network, random_weights (whether
        it borrows nothing), image_size, accuracy of the probe that an experiment would take,
        cross-validated, with its 95% interval, cross_entropy (nats), by how much that exceeds the
        lowest (excess) with the standard error over images or groups of them (excess_se), views
        that this probe reads, its megabytes and milliseconds_per_image, all views included,
        fine_tuning_minutes of the whole network with this draw, chosen. Where the images are too
        few to hold any out, the first network at its smallest size alone, of which nothing is
        known. Where one head on the features of the two best networks side by side would be worth
        its time, a last row, never chosen, says what it reads; its second network and size are
        `beside` and `beside_image_size`, else missing.
    """
    candidates = config.backbone.candidates
    measured = _measured(config, table, draw, load, monitor)
    if not measured:
        first = {**_named(*next(iter(candidates.items()))), "chosen": True}
        return pd.DataFrame([first]).reindex(columns=COLUMNS)
    found = pd.DataFrame(
        [_named(key, settings) | measured[key].facts for key, settings in candidates.items()]
    )
    costs = costs_of(found)
    probes = {key: measured[key].probes for key in candidates}
    losses = [chosen.folds.losses(chosen.found.average()) for chosen in probes.values()]
    groups = next(iter(probes.values())).folds.groups
    place, excess, error = choose_among(losses, groups, costs)
    found = found.assign(excess=excess, excess_se=error, chosen=np.arange(len(found)) == place)
    pair = side_by_side(found, costs, losses, probes)
    return pd.DataFrame([*found.to_dict("records"), *pair]).reindex(columns=COLUMNS)


def costs_of(found: pd.DataFrame) -> np.ndarray:
    """Milliseconds per image by which candidates are ranked, (candidates,).

    Of one network a pass at a larger size is the dearer one, whatever the clock said.

    Args:
        found: network, views and milliseconds_per_image of each, sizes ascending.
    """
    passes = found["views"].map(lambda views: Pooling(views=views).passes)
    each = found["milliseconds_per_image"] / passes
    return np.asarray(each.groupby(found["network"]).cummax() * passes)


@dataclass(frozen=True)
class _Measured:
    """What probes tell of one network at one size.

    Attributes:
        facts: of its row, but for how it compares.
        probes: of all its blocks.
    """

    facts: dict[str, object]
    probes: Chosen


def _measured(
    config: ExperimentConfig,
    table: ImageTable,
    draw: Draw,
    load: Callable[[ExperimentConfig], Backbone],
    monitor: Monitor,
) -> dict[Candidate, _Measured]:
    """Of each candidate; of none where the images are too few to hold any out."""
    rows = np.concatenate([draw.train, draw.validation])
    measured: dict[Candidate, _Measured] = {}
    decoded: dict[int, Rows] = {}
    checked: set[str] = set()
    candidates = config.backbone.candidates.items()
    # by size, for pictures are decoded once for all networks
    for (name, side), settings in sorted(candidates, key=lambda item: item[0][1]):
        single = config.with_network(settings)
        monitor.stage(f"Probing every block of {settings.label} at {side} px")
        decoded = {each: pixels for each, pixels in decoded.items() if each == side}
        bench = Workbench(single, load(single), table, rows, monitor, decoded.get(side))
        decoded[side] = bench.images.pixels
        if name not in checked and (doubt := scaling_doubt(bench, rows)):
            monitor.warn(doubt)
        checked.add(name)
        chosen = bench.probes.choose(rows, seed=0)
        if chosen is None:
            return {}
        measured[name, side] = _Measured(_facts(bench, chosen, draw), chosen)
    return measured


def _named(candidate: Candidate, settings: BackboneConfig) -> dict[str, object]:
    """The beginning of its row."""
    name, side = candidate
    return {"network": name, "random_weights": settings.weights is None, "image_size": side}


def scaling_doubt(bench: Workbench, rows: np.ndarray) -> str | None:
    """What photos at some positions say against the scaling of a network from a file."""
    if not bench.backbone.spec.file_digest:
        return None  # no photo is looked at, nor decoded, for it
    return scaling_note(bench.backbone, bench.images.pixels[spread(rows, MOST_PHOTOS)])


def side_by_side(
    found: pd.DataFrame,
    costs: np.ndarray,
    losses: list[np.ndarray],
    probes: Mapping[Candidate, Chosen],
) -> Iterator[dict[str, object]]:
    """The row of the two best networks together, where that would be chosen.

    Args:
        found: the rows of single networks.
        costs: of them, as of `choose_among`.
        losses: of them, likewise.
        probes: of them, by network and size.
    """
    best = found.sort_values("excess", kind="stable").drop_duplicates("network").head(2)
    if len(best) < 2:
        return
    pair = [probes[key] for key in zip(best["network"], best["image_size"], strict=True)]
    folds, cost = pair[0].folds, best[_COST[:2]].sum()
    row, loss = folds.side_by_side([chosen.found.average() for chosen in pair])
    everything = np.append(costs, cost["milliseconds_per_image"])
    if choose_among([*losses, loss], folds.groups, everything)[0] < len(losses):
        return
    less = loss - losses[best.index[0]]
    first, second = best[["network", "image_size"]].to_numpy().tolist()
    yield {
        **dict(zip(["network", "image_size", *_BESIDE], [*first, *second], strict=True)),
        **{name: row[name] for name in _READ},
        "excess": less.mean(),
        "excess_se": standard_error(less, folds.groups),
        **cost,
        "chosen": False,
    }


def choose_among(
    losses: Sequence[np.ndarray], groups: np.ndarray | None, costs: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """The cheapest of several candidates that is as good as the best, as far as one can tell.

    Args:
        losses: (images,) of each candidate, in nats, of the same held-out images.
        groups: (images,); None where each image is its own.
        costs: (candidates,), milliseconds per image; of equal ones the first is the cheaper.

    Returns:
        Its place; by how much each mean loss exceeds the lowest, and the standard error of that,
        over images or groups of them, both (candidates,).
    """
    order = np.argsort(costs, kind="stable")
    place, *rest = cheapest_within([losses[each] for each in order], groups, WITHIN)
    excess, error = (values[np.argsort(order)] for values in rest)
    return int(order[place]), excess, error


def _facts(bench: Workbench, chosen: Chosen, draw: Draw) -> dict[str, object]:
    """What a row says of one network at one size, but for how it compares."""
    probes, pooling = chosen.found.table, chosen.representation.pooling
    cost = bench.costs.of(list(average_weights(probes)), pooling=pooling)
    return {
        **probes.set_index("block").loc[AVERAGE, _READ],
        "views": pooling.views,
        "megabytes": cost.megabytes,
        "milliseconds_per_image": cost.milliseconds_per_image,
        "fine_tuning_minutes": _fine_tuning_minutes(bench, draw),
    }


def _fine_tuning_minutes(bench: Workbench, draw: Draw) -> float:
    """What the work is expected to take, at the speed with which this machine passes the network.

    Multiply-adds alone say little of a network with many small layers.
    """
    config = bench.config
    passed = bench.costs.milliseconds(bench.backbone.block_names[-1]) / 1000
    epochs, counts = config.training.phase_2.epochs, (len(draw.train), len(draw.validation))
    seconds = training_seconds(config, "all", epochs, *counts)
    return seconds * passed / forward_seconds(config) / 60


def chosen_candidate(config: ExperimentConfig, networks: pd.DataFrame) -> BackboneConfig:
    """The network at the size that was chosen, of `choose_network`."""
    row = networks[networks["chosen"]].iloc[0]
    return config.backbone.candidates[str(row["network"]), int(row["image_size"])]


def candidate_in(record: Path, settings: BackboneConfig) -> BackboneConfig | None:
    """The one that a record of advice tells of, of those asked for; None without a whole one.

    An earlier version had one network, and kept the size alone.
    """
    try:
        told = whole_json(record) if record.exists() else {}
        name = told.get("network") or next(iter(settings.networks))
        return settings.candidates.get((name, int(told["image_size"])))
    except (DamagedError, KeyError, TypeError, ValueError):
        return None
