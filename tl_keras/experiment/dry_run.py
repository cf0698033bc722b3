"""What an experiment would do, and about how long it would take, before it does it."""

import json

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.splits import Splits
from tl_keras.experiment.expected_time import expected_seconds
from tl_keras.experiment.first_look import FirstLook
from tl_keras.experiment.monitor import Silent
from tl_keras.experiment.prepare import load_backbone, prepare_images
from tl_keras.models.source_places import read_source_card
from tl_keras.safe_text import one_line
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import plan_runs
from tl_keras.transfer.source_checks import source_notes

# Loading TensorFlow and the weights, looking at the images.
_START_SECONDS = 12.0


def describe_plan(looked: FirstLook) -> str:
    """The resolved configuration, the images, the runs, and a rough time on two cores.

    What would stop the experiment stops this as well.

    Args:
        looked: at the experiment.

    Raises:
        DataError: the images cannot be read.
        WeightsError: the weights are of another network.
    """
    config, warnings = looked.config, _Warnings()
    images = prepare_images(looked, warnings)
    table, splits = images.audit.table, images.splits
    counts = table.frame["label"].value_counts().reindex(table.classes)
    runs = plan_runs(config)
    trained = [len(splits.draws[run.seed, run.train_per_class].train) for run in runs]
    for note in _about_source(config, max(trained)):
        warnings.warn(note)
    seconds = _START_SECONDS + sum(expected_seconds(config, splits, runs).values())
    return "\n".join(
        [
            json.dumps(config.as_dict(), indent=2),
            "",
            f"Images: {len(table.frame)} in {len(counts)} classes ("
            + ", ".join(f"{one_line(label)} {count}" for label, count in counts.items())
            + f"), {_tested(config, splits)}"
            + (f"; {images.audit.left_out} unreadable left out" if images.audit.left_out else ""),
            *(f"warning {text}" for text in warnings.texts),
            *([table.notice] if table.notice else []),
            f"Runs: {len(runs)}",
            *(f"  {run.run_id}" for run in runs),
            *_search_lines(config),
            f"About {_rounded(seconds)} on two cores (a rough guess; early stopping decides).",
            f"Results: {config.results_folder}",
        ]
    )


class _Warnings(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn(self, text: str) -> None:
        self.texts.append(text)


def _about_source(config: ExperimentConfig, training_images: int) -> tuple[str, ...]:
    """What speaks against the source weights, which are loaded unless that is a download.

    Raises:
        WeightsError: they do not fit the network.
    """
    if config.backbone.weights != "imagenet":
        load_backbone(config)
    card = read_source_card(config.backbone.name, config.backbone.weights)
    return source_notes(card, training_images)


def _tested(config: ExperimentConfig, splits: Splits) -> str:
    estimate = config.estimate
    if estimate.folds is None:
        return f"{len(splits.tested)} of them in the test split"
    times = "once" if estimate.repeats == 1 else f"{estimate.repeats} times"
    return f"each tested {times}, in one of {estimate.folds} folds"


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
