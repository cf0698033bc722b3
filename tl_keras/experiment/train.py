"""The stage that makes the runs that are not there yet."""

from dataclasses import replace
from typing import Any

import pandas as pd

from tl_keras.config.files import fingerprint
from tl_keras.data.splits import Draw, labelled_images_per_class
from tl_keras.evaluation.metrics import METRICS, cross_entropies, evaluate
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.fitted import Fitted
from tl_keras.experiment.strategies.making import making
from tl_keras.experiment.study import lost_table, study
from tl_keras.results.environment import peak_memory_megabytes, versions
from tl_keras.results.runs_table import FinishedRun, runs_table
from tl_keras.results.store import Outcome
from tl_keras.results.tensorboard import FOLDER as EVENTS_FOLDER
from tl_keras.results.tensorboard import write_events
from tl_keras.strategy_table import STRATEGIES
from tl_keras.transfer.run_plan import Run


def train(prepared: Prepared) -> pd.DataFrame:
    """Make what is left of the planned runs; the table of all, as `runs.csv`."""
    store, planned = prepared.store, prepared.planned
    left = [run for run in planned if not store.is_finished(run.run_id)]
    prepared.monitor.plan(planned, len(planned) - len(left))
    for run in left:
        outcome = _with_cost(prepared, make_run(prepared, run))
        # before the run counts as finished, so that a kill between them loses neither
        write_events(store.folder / EVENTS_FOLDER / run.run_id, outcome.history)
        store.add(run.run_id, outcome)
        prepared.monitor.run(run, outcome.run)
        write_runs(prepared)
    _complete_trials(prepared)
    return write_runs(prepared)


def _complete_trials(prepared: Prepared) -> None:
    """Make the table of a search again that was damaged after its runs had finished."""
    for run in prepared.planned:
        if STRATEGIES[run.strategy].searches and lost_table(prepared, run):
            study(prepared, run)
    prepared.store.join_trials()


def write_runs(prepared: Prepared) -> pd.DataFrame:
    """Write and return the table of the runs finished so far, in the planned order."""
    store = prepared.store
    finished = [run.run_id for run in prepared.planned if store.is_finished(run.run_id)]
    table = runs_table([_scored_as_asked(prepared, store.run(run_id)) for run_id in finished])
    store.write_runs(table)
    return table


def _scored_as_asked(prepared: Prepared, run: FinishedRun) -> FinishedRun:
    """With the scores of the class that `decision.positive` names; it may have changed since."""
    asked, classes = prepared.config.decision.positive, prepared.classes
    if len(classes) != 2 or asked is None:
        return run
    probabilities = prepared.store.test_probabilities(run.run_id)
    labels = prepared.labels[prepared.test_of(run)]
    scores = evaluate(labels, probabilities, classes.index(asked[0])).metrics
    own = {name: scores[name] for name, metric in METRICS.items() if metric.reads == "positive"}
    return replace(run, test={**run.test, **own})


def make_run(prepared: Prepared, run: Run, draw: Draw | None = None) -> Outcome:
    """Train and evaluate one run; nothing is written but the search's trials.

    Args:
        prepared: the experiment.
        run: the strategy, its seed and size.
        draw: of other images than those that the experiment drew for the seed and size.
    """
    draw = draw or prepared.draw_of(run)
    fitted = making(run.strategy).fit(prepared, run, draw)
    losses = fitted.selection_losses
    if losses is None:
        losses = cross_entropies(prepared.labels[draw.validation], fitted.validation)
    finished = _finished(prepared, run, draw, fitted, float(losses.mean()))
    history = fitted.history.copy()
    history.insert(0, "run_id", run.run_id if len(history) else [])
    weights = dict(fitted.weights)
    return Outcome(
        run=finished,
        history=history,
        validation_probabilities=fitted.validation,
        selection_losses=losses,
        test_probabilities=fitted.test,
        weights=weights,
        probes=fitted.probes,
    )


def _with_cost(prepared: Prepared, outcome: Outcome) -> Outcome:
    """With what the classifier costs, where it is a head on blocks."""
    run = outcome.run
    if run.head_blocks is None:
        return outcome
    hidden_units = [int(units) for units in (run.hidden_units or "").split()]
    cost = prepared.bench.costs.of(run.head_blocks.split(), hidden_units)
    costing = replace(
        run,
        parameters=cost.parameters,
        classifier_megabytes=cost.megabytes,
        milliseconds_per_image=cost.milliseconds_per_image,
    )
    return replace(outcome, run=costing)


def _finished(
    prepared: Prepared, run: Run, draw: Draw, fitted: Fitted, selection_loss: float
) -> FinishedRun:
    """What is known of any run, changed by what its strategy knows."""
    config, table = prepared.config, prepared.images.table
    test_rows = prepared.test_of(run)
    tested = evaluate(prepared.labels[test_rows], fitted.test)
    held_out = evaluate(prepared.labels[draw.validation], fitted.validation)
    known: dict[str, Any] = {
        "experiment": config.name,
        "run_id": run.run_id,
        "strategy": run.strategy,
        "seed": run.seed,
        "train_per_class": run.train_per_class,
        "labelled_images_per_class": labelled_images_per_class(draw, len(table.classes)),
        "validation_loss": held_out.cross_entropy,
        "validation_accuracy": held_out.metrics["accuracy"],
        "selection_loss": selection_loss,
        "test": {"loss": tested.cross_entropy, **tested.metrics},
        "classes": len(table.classes),
        "training_images": len(draw.train),
        "validation_images": len(draw.validation),
        "test_images": len(test_rows),
        "images_left_out": prepared.images.audit.left_out,
        "generated_images": table.notice is not None,
        "backbone": config.backbone.name,
        "weights": config.backbone.weights,
        "image_size": config.backbone.image_size,
        "configuration_hash": fingerprint(config),
        "versions": versions(),
        "peak_memory_megabytes": peak_memory_megabytes(),
    }
    return FinishedRun(**known | dict(fitted.columns))
