"""One run, made and evaluated."""

from typing import Any

import numpy as np

from tl_keras.config.files import fingerprint
from tl_keras.data.splits import Draw, labelled_images_per_class
from tl_keras.evaluation.metrics import evaluate
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.fitted import Fitted
from tl_keras.experiment.strategies.making import making
from tl_keras.results.environment import peak_memory_megabytes, versions
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.store import Outcome
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.selection_losses import cross_fitted_losses


def make_run(prepared: Prepared, run: Run, draw: Draw | None = None) -> Outcome:
    """Train and evaluate one run; nothing is written.

    Args:
        prepared: the experiment.
        run: the strategy, its seed and size.
        draw: of other images than those that the experiment drew for the seed and size.
    """
    draw = draw or prepared.draw_of(run)
    fitted = making(run.strategy).fit(prepared, run, draw)
    losses = fitted.selection_losses
    if losses is None:
        losses = _without_epochs(prepared, draw, fitted.validation)
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


def _without_epochs(prepared: Prepared, draw: Draw, probabilities: np.ndarray) -> np.ndarray:
    """The losses to compare by of what has no epochs, (validation images,)."""
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    labels, groups = (of[draw.validation] for of in (prepared.labels, prepared.groups))
    return cross_fitted_losses(logs[np.newaxis], labels, groups)


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
        "backbone": config.backbone.label,
        "weights": config.backbone.weights,
        "image_size": prepared.backbone.image_size,
        "configuration_hash": fingerprint(prepared.asked),
        "versions": versions(),
        "peak_memory_megabytes": peak_memory_megabytes(),
    }
    return FinishedRun(**known | dict(fitted.columns))
