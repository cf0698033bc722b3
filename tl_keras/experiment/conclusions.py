"""What follows from the finished runs of an experiment: tables, curves, a decision, the errors."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.schema import ExperimentConfig
from tl_keras.data.audit import Audit
from tl_keras.data.splits import Splits
from tl_keras.experiment.decide import DecisionMaker, rows_of
from tl_keras.experiment.explain import explain
from tl_keras.experiment.monitor import Monitor
from tl_keras.experiment.run_maker import RunMaker, unpack
from tl_keras.experiment.small_runs import with_parts
from tl_keras.reporting.plots import probes_figure, save
from tl_keras.results.choice import Choice, choose_run, follows
from tl_keras.results.comparisons import comparison_table
from tl_keras.results.learning_curves import curve_facts, curve_table, learning_curves
from tl_keras.results.store import Ledger, write_json
from tl_keras.results.tables import confusion_table, per_class_table, summary_table
from tl_keras.results.test_results import TestResults


class Concluder:
    """Writes into an experiment's folder what its finished runs say together."""

    def __init__(
        self,
        config: ExperimentConfig,
        audit: Audit,
        splits: Splits,
        ledger: Ledger,
        maker: RunMaker,
        monitor: Monitor,
    ) -> None:
        """Take over what the experiment knows.

        Args:
            config: of the experiment.
            audit: of its images.
            splits: of its images.
            ledger: with the finished runs; gets the files.
            maker: makes small runs, and rebuilds a run's model.
            monitor: hears what takes long.
        """
        self._config, self._audit, self._splits = config, audit, splits
        self._ledger, self._maker, self._monitor = ledger, maker, monitor

    def tables(self, runs: pd.DataFrame, results: TestResults) -> dict[str, pd.DataFrame]:
        """Write and return the tables over all runs, by name.

        Args:
            runs: as `runs.csv`.
            results: their test predictions.
        """
        tables = {
            "summary": summary_table(runs, results),
            "comparisons": comparison_table(runs, results),
            "per_class": per_class_table(runs, results),
            "confusion": confusion_table(runs, results),
            "history": self._ledger.histories(runs["run_id"]),
        }
        for name, table in tables.items():
            self._ledger.write(name, table)
        return tables

    def probes(self, runs: pd.DataFrame) -> pd.DataFrame | None:
        """Write and plot the probes at every block; None without any.

        Args:
            runs: as `runs.csv`.
        """
        probes = self._ledger.probes(runs["run_id"])
        if probes is not None:
            self._ledger.write("probes", probes)
            save(probes_figure(probes), self._ledger.folder / "probes.png")
        return probes

    def learning_curve(self, runs: pd.DataFrame, results: TestResults) -> None:
        """Write the learning curves, once: of all strategies that were trained in several sizes.

        Args:
            runs: as `runs.csv`.
            results: their test predictions.
        """
        record = self._ledger.folder / "learning_curve.json"
        if record.exists():
            return
        if len(self._config.data.training_sizes) == 1 and self._config.learning_curve:
            self._monitor.stage("Measuring a learning curve")
            runs, results = with_parts(self._maker, self._splits, self._audit.table, runs, results)
        curves = learning_curves(runs, results)
        if curves:
            self._ledger.write("learning_curve", curve_table(curves))
            write_json(record, curve_facts(curves, results))

    def choose(self, runs: pd.DataFrame, last_block: str) -> Choice:
        """Choose the run to hand over, and write why.

        Args:
            runs: as `runs.csv`.
            last_block: of the whole backbone, which the advice calls its top.
        """
        record = self._ledger.folder / "advice.json"
        advice = json.loads(record.read_text()) if record.exists() else None
        groups = self._audit.table.frame["group"].to_numpy(str)
        validation = {
            run["run_id"]: rows_of(run, self._splits).validation for _, run in runs.iterrows()
        }
        choice = choose_run(
            runs,
            {run_id: self._ledger.selection_losses(run_id) for run_id in validation},
            {run_id: groups[rows] for run_id, rows in validation.items()},
            lambda run: advice is not None and follows(advice, run, last_block),
        )
        write_json(self._ledger.folder / "choice.json", asdict(choice))
        return choice

    def decide(self, runs: pd.DataFrame, run_id: str) -> dict[str, Any] | None:
        """Write how to decide with a run's probabilities; None of a majority class.

        Args:
            runs: as `runs.csv`.
            run_id: of the run.
        """
        maker = DecisionMaker(self._config, self._audit, self._splits, self._ledger)
        return maker.write(runs, run_id)

    def explain(self, runs: pd.DataFrame, run_id: str) -> None:
        """Draw the worst errors of a run, once, while its weights are there.

        Args:
            runs: as `runs.csv`.
            run_id: of the run.
        """
        record = self._ledger.folder / "errors.json"
        chosen = runs[runs["run_id"] == run_id].iloc[0]
        if record.exists() or chosen["strategy"] == "majority_class":
            return
        self._monitor.stage("Looking at the errors")
        frame = self._audit.table.frame
        trained = unpack(self._ledger.weights(run_id), chosen, self._config)
        explained = explain(
            self._maker.inference_model(chosen, trained),
            self._maker.trainer().images.pixels,
            frame.iloc[self._splits.test_of(int(chosen["seed"]))],
            self._ledger.test_probabilities(run_id),
            self._audit.table.classes,
            self._ledger.folder,
        )
        self._ledger.write("errors", explained.table)
        write_json(record, {"run_id": run_id, **explained.facts})

    def results(self, runs: pd.DataFrame) -> TestResults:
        """Read the test predictions of finished runs.

        Args:
            runs: as `runs.csv`.
        """
        frame = self._audit.table.frame
        seeds = dict(zip(runs["run_id"], runs["seed"], strict=True))
        return TestResults(
            frame["class_index"].to_numpy(np.int64),
            {run_id: self._splits.test_of(seed) for run_id, seed in seeds.items()},
            {run_id: self._ledger.test_probabilities(run_id).argmax(axis=1) for run_id in seeds},
            self._audit.table.classes,
            self._config.estimate.folds or 0,
            pd.factorize(frame["group"])[0],
        )
