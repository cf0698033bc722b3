"""What an experiment would do, and about how long it would take, before it does it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.schema import BackboneConfig, ExperimentConfig
from tl_keras.data.corrections import counted
from tl_keras.data.corrections import in_words as corrections_in_words
from tl_keras.data.rows import spread
from tl_keras.experiment.expected_time import expected_seconds
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.monitor import Warned
from tl_keras.experiment.network_choice import scaling_doubt
from tl_keras.experiment.prepare import Images, load_backbone, prepare_images
from tl_keras.experiment.workbench import Workbench
from tl_keras.models.own_network.scaling_fit import MOST_PHOTOS
from tl_keras.models.sources.source_places import read_source_card
from tl_keras.results.test_results import strategy_name
from tl_keras.safe_text import one_line
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import Run, plan_runs
from tl_keras.transfer.source_checks import source_notes

# Loading TensorFlow and the weights, looking at the images.
_START_SECONDS = 12.0
# A line each, and no more than a screen of them.
_MOST_CLASSES = 12


@dataclass(frozen=True)
class Plan:
    """What an experiment would do.

    Attributes:
        config: of the experiment.
        images: that it would use, and how they would be divided.
        runs: in their order.
        warnings: of images and source.
        seconds: that it would take on two cores, roughly.
    """

    config: ExperimentConfig
    images: Images
    runs: Sequence[Run]
    warnings: Sequence[str]
    seconds: float


def make_plan(looked: FirstLook) -> Plan:
    """What an experiment would do; what would stop the experiment stops this as well.

    Args:
        looked: at the experiment.

    Raises:
        DataError: the images cannot be read.
        WeightsError: the weights are of another network.
    """
    config, monitor = looked.config, Warned()
    images = prepare_images(looked, monitor)
    splits, runs = images.splits, plan_runs(config)
    trained = [len(splits.draws[run.seed, run.train_per_class].train) for run in runs]
    for note in _about_source(config, images, max(trained)):
        monitor.warn(note)
    each = (config.with_network(one) for one in config.backbone.candidates.values())
    longest = max(sum(expected_seconds(one, splits, runs).values()) for one in each)
    seconds = _START_SECONDS + longest
    return Plan(config, images, runs, monitor.warnings, seconds)


def in_words(plan: Plan) -> str:
    """A screen of it: photos by class, what would run, about how long, what is doubtful."""
    config, table, backbone = plan.config, plan.images.table, plan.config.backbone
    left_out = plan.images.audit.left_out
    sizes = config.data.training_sizes
    each = f"{config.draws} {'folds' if config.estimate.folds else 'seeds'}"
    if len(sizes) > 1:
        each += f" and {len(sizes)} training sizes"
    strategies = dict.fromkeys(_named(run) for run in plan.runs)
    return "\n".join(
        [
            f"Images: {len(table.frame)} in {len(table.classes)} classes{_grouped(plan)}"
            + (f"; {left_out} unreadable left out" if left_out else ""),
            *_class_lines(plan),
            *(f"warning {text}" for text in plan.warnings),
            *([table.notice] if table.notice else []),
            *filter(None, [corrections_in_words(counted(table.corrections))]),
            f"Network: {_networks(backbone)}, {_either(backbone.asked_sizes)} px",
            f"Runs: {len(plan.runs)}, of {each} each:",
            *(f"  {name}" for name in strategies),
            *_search_lines(config),
            f"About {_rounded(plan.seconds)} on two cores (a rough guess; early stopping decides).",
            f"Results: {config.results_folder}",
            "The whole configuration: the same with --json",
        ]
    )


def as_json(plan: Plan) -> dict[str, Any]:
    """The same for programs, with the whole configuration."""
    return {
        "configuration": plan.config.as_dict(),
        "images": _counts(plan).to_dict("index"),
        "runs": [run.run_id for run in plan.runs],
        "warnings": list(plan.warnings),
        "seconds": round(plan.seconds),
    }


def _counts(plan: Plan) -> pd.DataFrame:
    """Photos by class: all, and of the first seed and largest size by part."""
    table = plan.images.table
    labels = table.frame["label"].to_numpy(object)
    return pd.DataFrame(
        {
            name: pd.Series(labels[rows]).value_counts().reindex(table.classes, fill_value=0)
            for name, rows in _parts(plan).items()
        }
    )


def _parts(plan: Plan) -> dict[str, np.ndarray]:
    """Positions of all photos, and of those of the first seed and largest size by part."""
    splits, seed = plan.images.splits, plan.runs[0].seed
    draw = splits.draws[seed, plan.config.data.training_sizes[-1]]
    return {
        "photos": np.arange(len(plan.images.table)),
        "training": draw.train,
        "validation": draw.validation,
        "test": splits.test_of(seed),
    }


def _class_lines(plan: Plan) -> Iterator[str]:
    """A table with a line per class, the smallest first where they are many."""
    counts = _counts(plan)
    if len(counts) > _MOST_CLASSES:
        counts = counts.sort_values("photos", kind="stable")
    shown = counts.head(_MOST_CLASSES)
    names = [one_line(str(name)) for name in shown.index]
    width = max(len(name) for name in (*names, "class"))
    yield f"  {'class':<{width}}" + "".join(f"{name:>12}" for name in counts)
    for name, row in zip(names, shown.to_numpy().tolist(), strict=True):
        yield f"  {name:<{width}}" + "".join(f"{count:>12}" for count in row)
    if (rest := counts.iloc[_MOST_CLASSES:]["photos"]).size:
        yield f"  and {rest.size} classes with {rest.min()} to {rest.max()} photos"
    yield f"  ({_divided(plan.config)})"


def _divided(config: ExperimentConfig) -> str:
    estimate = config.estimate
    if estimate.folds is None:
        return "training and validation of the first seed; the test split is the same for all"
    times = "once" if estimate.repeats == 1 else f"{estimate.repeats} times"
    return f"the first run's; each photo is tested {times}, in one of {estimate.folds} folds"


def _grouped(plan: Plan) -> str:
    """How many groups there are where any is shared, and in training and test."""
    groups, parts = plan.images.table.frame["group"].to_numpy(object), _parts(plan)
    if len(set(groups)) == len(groups):
        return ""
    trained, tested = (len(set(groups[parts[name]])) for name in ("training", "test"))
    return f" and {len(set(groups))} groups ({trained} in training, {tested} in test)"


def _named(run: Run) -> str:
    row = {"strategy": run.strategy, "unfrozen_blocks": run.unfrozen_blocks}
    return strategy_name(row)


def _networks(backbone: BackboneConfig) -> str:
    def with_source(network: BackboneConfig) -> str:
        weights = network.weights
        source = "random weights" if weights is None else f"the weights {weights}"
        return f"{network.label} with {source}"

    return _either([with_source(network) for network in backbone.networks.values()])


def _either(choices: Sequence[object]) -> str:
    return " or ".join(map(str, choices))


def _about_source(config: ExperimentConfig, images: Images, trained: int) -> tuple[str, ...]:
    """What speaks against the source weights, which are loaded unless that is a download.

    Raises:
        WeightsError: they do not fit the network.
    """
    notes: list[str] = []
    rows = spread(images.splits.labelled(seed=0), MOST_PHOTOS)
    for network in config.backbone.networks.values():
        single = config.with_network(network.at_largest)
        if network.weights == "imagenet":
            notes += source_notes(read_source_card(network.network, network.weights), trained)
            continue
        backbone, card = load_backbone(single)
        notes += source_notes(card, trained)
        doubt = scaling_doubt(Workbench(single, backbone, images.table, rows, Warned()), rows)
        notes += [] if doubt is None else [doubt]
    return tuple(dict.fromkeys(notes))


def _searches(config: ExperimentConfig) -> bool:
    return any(STRATEGIES[name].searches for name in config.strategies)


def _search_lines(config: ExperimentConfig) -> list[str]:
    if not _searches(config):
        return []
    sizes, folds = len(config.data.training_sizes), config.search.folds
    per_size = f"{config.search.max_trials} trials ({config.search.oracle})"
    per_size += f" on {folds} folds each" if folds > 1 else ""
    each = [f"{sizes} training sizes"] if sizes > 1 else []
    each += [f"{config.estimate.runs} folds"] if config.estimate.runs else []
    return [f"Search: {per_size}" + (f" for each of {' and of '.join(each)}" if each else "")]


def _rounded(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return "a minute"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
