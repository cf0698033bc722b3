"""What an experiment would do, and about how long it would take, before it does it."""

import json

from tl_keras.backbone_table import BACKBONES
from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.splits import Splits
from tl_keras.errors import ResultsError, WeightsError
from tl_keras.experiment.monitor import Silent
from tl_keras.experiment.stages import load_backbone, prepare_images
from tl_keras.models.source_models import read_source_card
from tl_keras.results.store import Ledger
from tl_keras.transfer.source_checks import source_notes
from tl_keras.transfer.strategies import AUGMENTATIONS, Run, plan_runs

# Measured with MobileNetV2 (0.3 G multiply-adds at 224 px) at 96 px on two cores: 500 images a
# second forwards, three times that work for a training step, 15 s to trace a whole network.
_GFLOPS_PER_SECOND = 500 * 0.3 * (96 / 224) ** 2
_TRACE_SECONDS = 15.0
_HEAD_SECONDS = 3.0
# Of a linear probe: divisions times folds, and seconds of one fold with 100 images.
_FOLDS, _FOLD_SECONDS = 20, 0.02
_START_SECONDS = 25.0
# Early stopping ends most trainings before the last epoch allowed.
_SHARE_OF_EPOCHS = 0.5


def describe_plan(config: ExperimentConfig, *, fresh: bool = False) -> str:
    """The resolved configuration, the images, the runs, and a rough time on two cores.

    What would stop the experiment otherwise, older results or weights, is among the warnings.

    Args:
        config: of the experiment.
        fresh: whether older results would be moved aside.

    Raises:
        DataError: the images cannot be used.
    """
    warnings = _Warnings()
    if not fresh:
        _warn_of_older_results(config, warnings)
    images = prepare_images(config, warnings)
    table, splits = images.audit.table, images.splits
    counts = table.frame["label"].value_counts().reindex(table.classes)
    runs = plan_runs(config)
    trained = [len(splits.draws[run.seed, run.train_per_class].train) for run in runs]
    for note in _about_source(config, max(trained)):
        warnings.warn(note)
    validated = [len(splits.draws[run.seed, run.train_per_class].validation) for run in runs]
    seconds = _START_SECONDS + sum(
        _run_seconds(run, config, train, validation)
        for run, train, validation in zip(runs, trained, validated, strict=True)
    )
    if "searched" in config.strategies:
        seconds += _search_seconds(config, max(trained), max(validated))
    return "\n".join(
        [
            json.dumps(config.as_dict(), indent=2),
            "",
            f"Images: {len(table.frame)} in {len(counts)} classes ("
            + ", ".join(f"{label} {count}" for label, count in counts.items())
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


def _warn_of_older_results(config: ExperimentConfig, warnings: _Warnings) -> None:
    try:
        Ledger.check(config)
    except ResultsError as error:
        warnings.warn(str(error))


def _about_source(config: ExperimentConfig, training_images: int) -> tuple[str, ...]:
    """What speaks against the source weights; a plan can be shown before they are there."""
    notes: tuple[str, ...] = ()
    try:
        card = read_source_card(config.backbone.name, config.backbone.weights)
        notes = source_notes(card, training_images)
        # which may be a download
        if config.backbone.weights != "imagenet":
            load_backbone(config)
    except WeightsError as error:
        return (*notes, str(error))
    return notes


def _tested(config: ExperimentConfig, splits: Splits) -> str:
    estimate = config.estimate
    if estimate.folds is None:
        return f"{len(splits.tested)} of them in the test split"
    times = "once" if estimate.repeats == 1 else f"{estimate.repeats} times"
    return f"each tested {times}, in one of {estimate.folds} folds"


def _search_lines(config: ExperimentConfig) -> list[str]:
    if "searched" not in config.strategies:
        return []
    sizes, folds = len(config.data.training_sizes), config.search.folds
    per_size = f"{config.search.max_trials} trials ({config.search.oracle})"
    per_size += f" on {folds} folds each" if folds > 1 else ""
    each = [f"{sizes} training sizes"] if sizes > 1 else []
    each += [f"{config.estimate.runs} folds"] if config.estimate.runs else []
    return [f"Search: {per_size}" + (f" for each of {' and of '.join(each)}" if each else "")]


def _run_seconds(run: Run, config: ExperimentConfig, train: int, validation: int) -> float:
    if run.strategy == "majority_class":
        return 0.0
    if run.strategy == "linear_probe":
        spec = BACKBONES[config.backbone.name]
        forward = spec.gflops * (config.backbone.image_size / 224) ** 2 / _GFLOPS_PER_SECOND
        # Every fold of every block is a decomposition of a matrix with a row per image.
        folds = len(spec.blocks) * _FOLDS * _FOLD_SECONDS * (train / 100) ** 2
        return _HEAD_SECONDS + forward * (train + validation) + folds
    depth = {"from_scratch": "all", "searched": "all"}.get(run.strategy, run.unfrozen_blocks or 0)
    training = config.training
    phase = training.from_scratch if run.strategy == "from_scratch" else training.phase_2
    candidates = len(AUGMENTATIONS) if training.augmentation == "search" else 1
    return candidates * _training_seconds(config, depth, phase.epochs, train, validation)


def _search_seconds(config: ExperimentConfig, train: int, validation: int) -> float:
    depths = config.search.unfrozen_blocks
    per_trial = [
        _training_seconds(config, depth, config.training.phase_2.epochs, train, validation)
        for depth in depths
    ]
    traces = sum(_TRACE_SECONDS * _share(config, depth) for depth in depths)
    trainings = len(config.data.training_sizes) * config.search.max_trials * config.search.folds
    trainings *= config.estimate.runs or 1
    return trainings * sum(per_trial) / len(depths) + traces


def _training_seconds(
    config: ExperimentConfig, depth: int | str, epochs: int, train: int, validation: int
) -> float:
    """Phase 1 and, if anything is unfrozen, phase 2, whose cost is that of the unfrozen share."""
    backbone = config.backbone
    spec = BACKBONES[backbone.name]
    forward = spec.gflops * (backbone.image_size / 224) ** 2 / _GFLOPS_PER_SECOND
    share = _share(config, depth)
    changes = config.training.augmentation != "none"
    views = config.training.augmented_views if changes else 0
    through_frozen = 1 - share if changes and not views else 0.0
    per_epoch = forward * (train * (3 * share + through_frozen) + validation * share)
    frozen_pass = forward * (train * max(1, views) + validation)
    return _HEAD_SECONDS + frozen_pass + _SHARE_OF_EPOCHS * epochs * per_epoch


def _share(config: ExperimentConfig, depth: int | str) -> float:
    """Of the network that a training step passes: from the lowest unfrozen block upwards."""
    blocks = BACKBONES[config.backbone.name].blocks
    if isinstance(depth, int) or depth == "all":
        return (len(blocks) if depth == "all" else int(depth)) / len(blocks)
    return 1 - blocks.index(depth.partition(":")[0]) / len(blocks)


def _rounded(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return "a minute"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
