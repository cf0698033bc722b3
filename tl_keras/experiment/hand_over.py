"""The stage that fits the chosen strategy anew on every label, for the model that is handed over.

What is measured needs photos that were held out; what is handed over does not. All that was chosen
stays (blocks, penalty, epochs, augmentation), the weights are fitted to the photos of training,
validation and test together. How good that is nobody can measure any more: the figures stay those
of the measured runs, and the learning curve says what the further photos are worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tl_keras.config.schema import ExportConfig
from tl_keras.digests import forget, keep_json, known_json
from tl_keras.evaluation.metrics import evaluate
from tl_keras.evaluation.pooled_predictions import Predictions
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strategies.making import ModelMaking, model_making
from tl_keras.results.runs_table import FinishedRun, run_of
from tl_keras.results.store import Store
from tl_keras.results.test_results import method_of

HANDED_OVER = "handed_over.json"
# Of the photos that all measured runs answer alike, the share to which the new fit may give an
# answer that is neither theirs nor the label; one photo is always within chance.
MOST_CONTRADICTED = 0.05
# Its loss on the photos that it learned, in nats: at most so many times that of the measured run on
# its own, and so much more.
TIMES, MORE = 2.0, 0.1


@dataclass(frozen=True)
class HandedOver:
    """The classifier to decide with and to export.

    Attributes:
        run: the chosen one, which was measured.
        held_out: what it, or runs like it, say of photos that they did not learn from.
        facts: JSON types: `run_id`, `train_on` ("all", or "training" of the run itself), and of a
            new fit how long it trained and what the check of it found.
        refitted: its weights, as the strategy names them; None of the run itself.
    """

    run: FinishedRun
    held_out: Sequence[Predictions]
    facts: Mapping[str, Any]
    refitted: Mapping[str, np.ndarray] | None = None

    @property
    def learned_all(self) -> bool:
        """Whether it learned from every photo, those of the test too."""
        return self.refitted is not None

    def weights(self, store: Store) -> Mapping[str, np.ndarray]:
        """Of the classifier, as the strategy names them.

        Raises:
            DamagedError: those of the run are gone, or not as they were written.
        """
        return store.weights(self.run.run_id) if self.refitted is None else self.refitted


def hand_over(prepared: Prepared, runs: pd.DataFrame, run_id: str) -> HandedOver | None:
    """What is handed over of the chosen run, fitted once where it has to be.

    Args:
        prepared: the experiment.
        runs: as `runs.csv`.
        run_id: of the chosen one.

    Returns:
        None of a run that is no model.
    """
    chosen, config = run_of(runs, run_id), prepared.config.export
    if chosen.spec.trivial:
        return None
    alike = [FinishedRun.from_row(row) for row in method_of(runs, run_id).to_dict("records")]
    measured = [part for run in alike for part in _held_out(prepared, run)]
    making = model_making(chosen.strategy)
    all_photos = isinstance(config, ExportConfig) and config.train_on == "all"
    # without weights: another run was exported before
    if making is not None and all_photos and prepared.store.has_weights(run_id):
        return _refit(prepared, making, [chosen, *_others(alike, run_id)], measured)
    return HandedOver(chosen, measured, _as_measured(run_id))


def handed_before(prepared: Prepared, run_id: str) -> HandedOver:
    """What was handed over of a run that was exported, which need not be the chosen one.

    Args:
        prepared: the experiment.
        run_id: of the run.

    Raises:
        DamagedError: its row, or what it became, is not as it was written.
    """
    store, run = prepared.store, prepared.store.run(run_id)
    record = known_json(store.place(HANDED_OVER))
    if record.get("run_id") == run_id and record.get("sound"):
        return HandedOver(run, [], record, store.refitted()[0])
    return HandedOver(run, [], _as_measured(run_id))


def _refit(
    prepared: Prepared,
    making: ModelMaking,
    alike: Sequence[FinishedRun],
    measured: Sequence[Predictions],
) -> HandedOver:
    """What becomes of the first of some runs of one strategy."""
    store, rows, chosen = prepared.store, np.sort(prepared.bench.rows), alike[0]
    record = known_json(store.place(HANDED_OVER))
    # that of a measured model says nothing of a fit
    if record.get("run_id") != chosen.run_id or "sound" not in record:
        record = _make_refit(prepared, making, alike, measured)
    if not record["sound"]:
        return HandedOver(chosen, measured, record)
    weights, held_out = store.refitted()
    answers = measured
    if held_out is not None:
        answers = [predictions_of(prepared, rows, division) for division in held_out]
    return HandedOver(chosen, answers, record, weights)


def _make_refit(
    prepared: Prepared,
    making: ModelMaking,
    alike: Sequence[FinishedRun],
    measured: Sequence[Predictions],
) -> dict[str, Any]:
    """Fit and check it; what the record says then."""
    store, rows, chosen = prepared.store, np.sort(prepared.bench.rows), alike[0]
    forget(store.place(HANDED_OVER))
    name = prepared.name_of(chosen)
    prepared.monitor.stage(f"Fitting {name} anew to all {len(rows)} photos")
    refitted = making.refit(prepared, alike, rows)
    store.keep_refitted(refitted.weights, refitted.held_out)
    check = _check(prepared, making, chosen, refitted.weights, measured)
    record = {
        "run_id": chosen.run_id,
        "train_on": "all" if check["sound"] else "training",
        "epochs": dict(refitted.epochs),
        **check,
    }
    keep_json(store.place(HANDED_OVER), record)
    if not check["sound"]:
        prepared.monitor.warn(
            f"The model of {name} was fitted anew to all {len(rows)} photos, and is not to be "
            f"trusted: {check['reason']}. The measured model is handed over."
        )
    return record


def _check(
    prepared: Prepared,
    making: ModelMaking,
    chosen: FinishedRun,
    weights: Mapping[str, np.ndarray],
    measured: Sequence[Predictions],
) -> dict[str, Any]:
    """Whether the new fit answers as one would expect of it, with the figures, for JSON."""
    rows, labels = np.sort(prepared.bench.rows), prepared.labels
    answers = making.probabilities(prepared, chosen, weights, rows)
    own = learned_rows(prepared, chosen)
    before = making.probabilities(prepared, chosen, prepared.store.weights(chosen.run_id), own)
    loss = evaluate(labels[rows], answers).cross_entropy
    measured_loss = evaluate(labels[own], before).cross_entropy
    told = dict(zip(rows.tolist(), answers.argmax(axis=1).tolist(), strict=True))
    agreed = {image: answer for image, answer in _agreed(measured).items() if image in told}
    against = sum(told[image] not in (answer, labels[image]) for image, answer in agreed.items())
    reason = None
    if not loss <= TIMES * measured_loss + MORE:
        reason = (
            f"on the photos that it learned its loss is {loss:.3f}, against {measured_loss:.3f}"
        )
    elif against > max(1, MOST_CONTRADICTED * len(agreed)):
        reason = f"it contradicts what all measured runs say of {against} of {len(agreed)} photos"
    return {
        "sound": reason is None,
        "reason": reason,
        "loss_on_learned": loss,
        "measured_loss_on_learned": measured_loss,
        "agreed_by_measured": len(agreed),
        "contradicted": against,
    }


def _others(runs: Sequence[FinishedRun], run_id: str) -> list[FinishedRun]:
    return [run for run in runs if run.run_id != run_id]


def _agreed(measured: Sequence[Predictions]) -> dict[int, int]:
    """The answer to each photo that all runs which held it out give alike."""
    told = pd.DataFrame(
        {
            "image": np.concatenate([part.images for part in measured]),
            "answer": np.concatenate([part.probabilities.argmax(axis=1) for part in measured]),
        }
    )
    answers = told.groupby("image")["answer"].agg(["nunique", "first"])
    alike = answers.loc[answers["nunique"] == 1, "first"]
    return dict(zip(alike.index.tolist(), alike.tolist(), strict=True))


def _held_out(prepared: Prepared, run: FinishedRun) -> list[Predictions]:
    """What a measured run says of its validation and test photos."""
    store = prepared.store
    return [
        predictions_of(prepared, rows, probabilities)
        for rows, probabilities in (
            (prepared.draw_of(run).validation, store.validation_probabilities(run.run_id)),
            (prepared.test_of(run), store.test_probabilities(run.run_id)),
        )
    ]


def predictions_of(
    prepared: Prepared, rows: NDArray[np.integer], probabilities: NDArray[np.floating]
) -> Predictions:
    """What is said of the photos at these rows, with their labels and groups."""
    groups = pd.factorize(prepared.groups)[0]
    return Predictions(rows, prepared.labels[rows], probabilities, groups[rows])


def learned_rows(prepared: Prepared, run: FinishedRun) -> NDArray[np.integer]:
    """Rows of the photos that a measured run learned from."""
    draw = prepared.draw_of(run)
    return np.concatenate([draw.train, draw.validation]) if run.train_on == "all" else draw.train


def _as_measured(run_id: str) -> dict[str, Any]:
    return {"run_id": run_id, "train_on": "training"}
