"""About how long the parts of an experiment take, before they are begun."""

from collections.abc import Sequence

from tl_keras.config.schema import ExperimentConfig, ExportConfig
from tl_keras.data.parts import SHARES
from tl_keras.data.splits import Splits
from tl_keras.experiment.first_look import is_exported
from tl_keras.experiment.strategies.by_steps import MOST_TIMES
from tl_keras.experiment.strategies.duration import (
    HEAD_SECONDS,
    TRACE_SECONDS,
    pooling_seconds,
    training_seconds,
    unfrozen_share,
)
from tl_keras.experiment.strategies.making import making
from tl_keras.strategy_table import STRATEGIES
from tl_keras.target_table import TARGETS
from tl_keras.transfer.run_plan import Run

# Names of the parts that are no runs.
SEARCH, CURVE, REFIT = "search", "learning curve", "new fit"
ERRORS, EXPORT, REPORT = "errors", "export", "report"
# Measured with MobileNetV2 at 96 px on two cores; they hardly depend on the images.
_AFTERWARDS = {ERRORS: 2.0, REPORT: 1.0}
_EXPORT_SECONDS = 7.0


def expected_seconds(
    config: ExperimentConfig, splits: Splits, runs: Sequence[Run]
) -> dict[str, float]:
    """Seconds on two cores that trainings take one after the other, and what comes after them.

    Args:
        config: of the experiment.
        splits: of its images.
        runs: those that are left.

    Returns:
        By run_id, and by the names of the other parts that there will be.
    """
    seconds = {run.run_id: _of_run(config, splits, run) for run in runs}
    if any(STRATEGIES[run.strategy].searches for run in runs):
        seconds[SEARCH] = _of_searches(config, splits)
    quick = [run for run in runs if STRATEGIES[run.strategy].quick]
    if config.learning_curve and len(config.data.training_sizes) == 1 and quick:
        seconds[CURVE] = len(quick) * len(SHARES) * HEAD_SECONDS / 2
    seconds |= _AFTERWARDS
    if is_exported(config):
        others = sum(TARGETS[name].seconds for name in config.export_targets)
        seconds[EXPORT] = _EXPORT_SECONDS + others
        if isinstance(config.export, ExportConfig) and config.export.train_on == "all":
            seconds[REFIT] = _of_refit(config, splits, runs)
    return seconds


def _of_refit(config: ExperimentConfig, splits: Splits, runs: Sequence[Run]) -> float:
    """Of a strategy that nobody knows yet: the mean of all."""
    fitted = [run for run in runs if not STRATEGIES[run.strategy].trivial]
    if not fitted:
        return 0.0
    used = splits.manifest["image_id"].nunique()
    learned = max(len(draw.train) for draw in splits.draws.values())
    mean = sum(_of_run(config, splits, run) for run in fitted) / len(fitted)
    return float(min(MOST_TIMES, used / learned) * mean)


def _of_run(config: ExperimentConfig, splits: Splits, run: Run) -> float:
    draw = splits.draws[run.seed, run.train_per_class]
    module = making(run.strategy)
    return module.seconds(run, config, len(draw.train), len(draw.validation))


def _of_searches(config: ExperimentConfig, splits: Splits) -> float:
    train = max(len(draw.train) for draw in splits.draws.values())
    validation = max(len(draw.validation) for draw in splits.draws.values())
    traces = sum(
        TRACE_SECONDS * unfrozen_share(config, depth) for depth in config.search.unfrozen_blocks
    )
    choices = _searches(config) * pooling_seconds(config, train + validation)
    return sum(search_trainings(config, train, validation)) + traces + choices


def search_trainings(config: ExperimentConfig, train: int, validation: int) -> list[float]:
    """About how many seconds each training of all searches takes, without what is traced.

    Args:
        config: of the experiment.
        train: training images.
        validation: validation images.
    """
    depths, epochs = config.search.unfrozen_blocks, config.training.phase_2.epochs
    each = [training_seconds(config, depth, epochs, train, validation) for depth in depths]
    return [sum(each) / len(each)] * (
        _searches(config) * config.search.max_trials * config.search.folds
    )


def _searches(config: ExperimentConfig) -> int:
    """How many there are: one for each training size, and for each fold."""
    return len(config.data.training_sizes) * (config.estimate.runs or 1)
