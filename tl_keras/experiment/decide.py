"""From the probabilities of finished runs to decisions: the rule, and what it gives on test.

Temperature, threshold and band come from validation photos of all seeds of the chosen strategy;
the test photos of the one run that is exported only say what that gives.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.audit import Audit
from tl_keras.data.splits import Splits
from tl_keras.evaluation.pooled_predictions import HeldOut, Predictions
from tl_keras.evaluation.rule_figures import RuleFigures
from tl_keras.evaluation.rule_fit import FittedRule, fit_rule
from tl_keras.reporting.decision_words import how_to_apply, in_words
from tl_keras.results.store import Ledger, write_json
from tl_keras.results.test_results import method_of
from tl_keras.serving.decision_record import RECORD


@dataclass(frozen=True)
class RunRows:
    """Row positions, in the table of images, of what a run held out, in the order of its answers.

    Attributes:
        train: That it was trained on.
        validation: That chose its epoch.
        test: That chose nothing.
    """

    train: NDArray[np.integer]
    validation: NDArray[np.integer]
    test: NDArray[np.integer]


def rows_of(run: pd.Series, splits: Splits) -> RunRows:
    """Which images a run was trained on and which it held out.

    Args:
        run: Its row of `runs.csv`.
        splits: Of the experiment.
    """
    size = None if pd.isna(run["train_per_class"]) else int(run["train_per_class"])
    draw = splits.draws[int(run["seed"]), size]
    return RunRows(draw.train, draw.validation, splits.test_of(int(run["seed"])))


class DecisionMaker:
    """Makes the decision rule of an experiment's chosen run and measures it."""

    def __init__(
        self, config: ExperimentConfig, audit: Audit, splits: Splits, ledger: Ledger
    ) -> None:
        """Take over what the experiment knows.

        Args:
            config: Of the experiment.
            audit: Of its images.
            splits: Of its images.
            ledger: With the finished runs; gets the files.
        """
        self._config, self._splits, self._ledger = config, splits, ledger
        self._classes = tuple(audit.table.classes)
        self._labels = audit.table.frame["class_index"].to_numpy(np.int64)

    def write(self, runs: pd.DataFrame, run_id: str) -> dict[str, Any] | None:
        """Write `decision.json`, `calibration.csv` and `thresholds.csv` for a run.

        Args:
            runs: All finished ones, as `runs.csv`.
            run_id: Of the run that is exported, or would be.

        Returns:
            What `decision.json` holds; None of a majority class, which decides nothing.
        """
        chosen = runs[runs["run_id"] == run_id].iloc[0]
        if chosen["strategy"] == "majority_class":
            return None
        pool, own = method_of(runs, run_id), rows_of(chosen, self._splits)
        labelled = self._count(np.delete(self._labels, own.test))
        shares = labelled / labelled.sum()
        validation = HeldOut.pooled(
            [self._validation(run, own.test) for _, run in pool.iterrows()], shares
        )
        fitted = fit_rule(
            self._config.decision,
            validation,
            shares / self._expected_shares(chosen, own.train),
            dict(zip(self._classes, labelled.tolist(), strict=True)),
        )
        figures = RuleFigures(fitted.rule, self._config.decision, self._tested(run_id, own.test))
        self._write_tables(figures, validation)
        facts = {
            "run_id": run_id,
            "pooled_runs": pool["run_id"].tolist(),
            "validation_images": validation.n_images,
            **self._facts(fitted, figures),
        }
        record = {**facts, "text": in_words(facts), "how_to_apply": how_to_apply(facts)}
        write_json(self._ledger.folder / RECORD, record)
        return record

    def _write_tables(self, figures: RuleFigures, validation: HeldOut) -> None:
        self._ledger.write("calibration", figures.reliability())
        if figures.rule.threshold is None:
            # of a decision with other keys
            (self._ledger.folder / "thresholds.csv").unlink(missing_ok=True)
        else:
            self._ledger.write("thresholds", figures.curve(validation))

    def _facts(self, fitted: FittedRule, figures: RuleFigures) -> dict[str, Any]:
        rule, asked = fitted.rule, self._config.decision.model_dump(mode="json")
        low, high = rule.band() or (None, None)
        unsure = rule.threshold is None and rule.review_limit is not None
        return {
            "asked": asked,
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
            "rule": {name: _listed(value) for name, value in asdict(rule).items()},
            "calibration": figures.calibration(),
            "test": figures.tested(),
        }

    def _tested(self, run_id: str, rows: NDArray[np.integer]) -> Predictions:
        return Predictions(rows, self._labels[rows], self._ledger.test_probabilities(run_id))

    def _validation(self, run: pd.Series, test: NDArray[np.integer]) -> Predictions:
        rows = rows_of(run, self._splits).validation
        # where every run has a test split of its own, another run's validation may lie in this one
        free = ~np.isin(rows, test)
        probabilities = self._ledger.validation_probabilities(str(run["run_id"]))
        return Predictions(rows[free], self._labels[rows[free]], probabilities[free])

    def _expected_shares(self, run: pd.Series, train: NDArray[np.integer]) -> NDArray[np.float64]:
        """The class shares that a run was trained to expect."""
        balanced = self._config.training.class_weights == "balanced"
        if balanced and run["strategy"] != "linear_probe":
            return np.full(len(self._classes), 1 / len(self._classes))
        counts = self._count(self._labels[train])
        return np.asarray(counts / counts.sum())

    def _count(self, labels: NDArray[np.integer]) -> NDArray[np.int_]:
        return np.bincount(labels, minlength=len(self._classes))


def read_decision(folder: Path, run_id: str) -> dict[str, Any] | None:
    """What `decision.json` in an experiment's folder says of a run; None where it does not."""
    path = folder / RECORD
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return record if record.get("run_id") == run_id else None


def _listed(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value
