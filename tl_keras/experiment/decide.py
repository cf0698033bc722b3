"""From the probabilities of finished runs to decisions: the rule, and what it gives on test.

Measured is a rule whose temperature, threshold and band come from validation photos of all seeds of
the chosen strategy; the test photos of the chosen run only say what that gives. A model that has
learned every photo is handed over with a rule that is fitted in the same way, to what is said of
every photo by a model that did not learn it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tl_keras.digests import forget, keep_json, whole_json
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions
from tl_keras.evaluation.rule_figures import RuleFigures
from tl_keras.evaluation.rule_fit import FittedRule, fit_rule
from tl_keras.experiment.hand_over import HandedOver, learned_rows, predictions_of
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.strangers import familiar_test_photos
from tl_keras.reporting.decision_words import in_words
from tl_keras.results.runs_table import FinishedRun, run_of
from tl_keras.results.store import Store
from tl_keras.results.test_results import method_of
from tl_keras.results_layout import place
from tl_keras.serving.decision_record import RECORD


def decide(
    prepared: Prepared, runs: pd.DataFrame, run_id: str, handed: HandedOver | None = None
) -> dict[str, Any] | None:
    """Write `decision.json`, `calibration.csv` and `thresholds.csv` for a run.

    Args:
        prepared: The experiment.
        runs: All finished ones, as `runs.csv`.
        run_id: Of the run that is exported, or would be.
        handed: What is exported of it; None is the run itself.

    Returns:
        What `decision.json` holds; None of a run that is no model, which decides nothing.
    """
    chosen = run_of(runs, run_id)
    if chosen.spec.trivial:
        return None
    prepared.monitor.stage("Deciding by photos that were held out")
    config, store = prepared.config.decision, prepared.store
    pool = [FinishedRun.from_row(row) for row in method_of(runs, run_id).to_dict("records")]
    test = prepared.test_of(chosen)
    fitted, validation = _fitted(
        prepared,
        chosen,
        [_validation(prepared, run, test) for run in pool],
        labels=np.delete(prepared.labels, test),
        learned=learned_rows(prepared, chosen),
    )
    tested = predictions_of(prepared, test, store.test_probabilities(run_id))
    familiar = familiar_test_photos(prepared, chosen) if config.stranger_share > 0 else None
    figures = RuleFigures(fitted.rule, config, tested, familiar)
    _write_tables(store, figures, validation)
    measured_with = None
    if handed is not None and handed.learned_all:
        measured_with = {
            **_figures_of(fitted),
            "images": validation.n_images,
            "groups": validation.n_groups,
        }
        every = np.sort(prepared.bench.rows)
        fitted, validation = _fitted(
            prepared, chosen, handed.held_out, labels=prepared.labels[every], learned=every
        )
    facts = {
        "run_id": run_id,
        "pooled_runs": [run.run_id for run in pool],
        "validation_images": validation.n_images,
        "validation_groups": validation.n_groups,
        "measured_with": measured_with,
        "asked": config.model_dump(mode="json"),
        **_facts(fitted, figures),
    }
    record = {**facts, "text": in_words(facts)}
    keep_json(store.place(RECORD), record)
    return record


def read_decision(folder: Path, run_id: str) -> dict[str, Any] | None:
    """What `decision.json` in an experiment's folder says of a run; None where it does not."""
    path = place(folder, RECORD)
    record = whole_json(path) if path.exists() else {}
    return record if record.get("run_id") == run_id else None


def _write_tables(store: Store, figures: RuleFigures, validation: HeldOut) -> None:
    store.write("calibration", figures.reliability())
    if figures.rule.threshold is None:
        # of a decision with other keys
        forget(store.place("thresholds.csv"))
    else:
        store.write("thresholds", figures.curve(validation))


def _fitted(
    prepared: Prepared,
    run: FinishedRun,
    held_out: Sequence[Predictions],
    *,
    labels: NDArray[np.integer],
    learned: NDArray[np.integer],
) -> tuple[FittedRule, HeldOut]:
    """The rule for a model, and what it is fitted to.

    Args:
        prepared: the experiment.
        run: whose strategy the model is of.
        held_out: what models like it say of photos that they did not learn from.
        labels: of the photos that say how often each class is met.
        learned: rows of the photos that the model learned from.
    """
    labelled = _count(prepared, labels)
    shares = labelled / labelled.sum()
    pooled = HeldOut.pooled(held_out, shares)
    factors = shares / _expected_shares(prepared, run, learned)
    names = dict(zip(prepared.classes, labelled.tolist(), strict=True))
    return fit_rule(prepared.config.decision, pooled, factors, names), pooled


def _figures_of(fitted: FittedRule) -> dict[str, Any]:
    """What a rule decides by, for comparison."""
    rule = fitted.rule
    return {
        "temperature": rule.temperature,
        "threshold": rule.threshold,
        "review_limit": rule.review_limit,
    }


def _facts(fitted: FittedRule, figures: RuleFigures) -> dict[str, Any]:
    rule = fitted.rule
    low, high = rule.band() or (None, None)
    unsure = rule.threshold is None and rule.review_limit is not None
    return {
        "positive_reason": fitted.positive.reason,
        "temperature": fitted.temperature,
        "threshold": fitted.threshold,
        "served_threshold": fitted.served_threshold,
        "review": {
            "score_low": low,
            "score_high": high,
            "confidence_below": 1 - (rule.review_limit or 0.0) if unsure else None,
        },
        "words": dict(zip(("positive", "negative"), rule.words(), strict=True)),
        "decisions": list(rule.names),
        "rule": {name: _listed(value) for name, value in asdict(rule).items()},
        "calibration": figures.calibration(),
        "test": figures.tested(),
    }


def _validation(prepared: Prepared, run: FinishedRun, test: NDArray[np.integer]) -> Predictions:
    rows = prepared.draw_of(run).validation
    # where every run has a test split of its own, another run's validation may lie in this one
    free = ~np.isin(rows, test)
    probabilities = prepared.store.validation_probabilities(run.run_id)
    return predictions_of(prepared, rows[free], probabilities[free])


def _expected_shares(
    prepared: Prepared, run: FinishedRun, learned: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The class shares that a run was trained to expect, by the photos that it learned from."""
    if prepared.config.training.class_weights == "balanced" and run.spec.by_steps:
        return np.full(len(prepared.classes), 1 / len(prepared.classes))
    counts = _count(prepared, prepared.labels[learned])
    return np.asarray(counts / counts.sum())


def _count(prepared: Prepared, labels: NDArray[np.integer]) -> NDArray[np.int_]:
    return np.bincount(labels, minlength=len(prepared.classes))


def _listed(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value
