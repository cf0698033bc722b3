"""The stage that says what the finished runs tell together: tables, probes, learning curves."""

from dataclasses import dataclass

import pandas as pd

from tl_keras.digests import keep_json
from tl_keras.engine.pool import Pool
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.small_runs import with_parts
from tl_keras.reporting.plots import probes_figure, save
from tl_keras.results.comparisons import comparison_table
from tl_keras.results.learning_curves import curve_facts, curve_table, learning_curves
from tl_keras.results.summary_tables import confusion_table, per_class_table, summary_table
from tl_keras.results.test_results import TestResults


@dataclass(frozen=True)
class Tables:
    """What `results/README.md` describes under the same names; `probes` only where any were."""

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    history: pd.DataFrame
    probes: pd.DataFrame | None


def compare(prepared: Prepared, pool: Pool, runs: pd.DataFrame) -> Tables:
    """Write and return the tables over all runs, and write the learning curves.

    Args:
        prepared: the experiment.
        pool: of its workers.
        runs: as `runs.csv`.
    """
    results = test_results(prepared, runs)
    tables = Tables(
        summary=summary_table(runs, results),
        comparisons=comparison_table(runs, results),
        per_class=per_class_table(runs, results),
        confusion=confusion_table(runs, results),
        history=prepared.store.histories(runs["run_id"]),
        probes=prepared.store.probes(runs["run_id"]),
    )
    for name, table in vars(tables).items():
        if table is not None:
            prepared.store.write(name, table)
    if tables.probes is not None:
        save(probes_figure(tables.probes), prepared.store.folder / "probes.png")
    _learning_curves(prepared, pool, runs, results)
    return tables


def test_results(prepared: Prepared, runs: pd.DataFrame) -> TestResults:
    """Read the test predictions of finished runs.

    Args:
        prepared: the experiment.
        runs: as `runs.csv`.
    """
    splits, store = prepared.images.splits, prepared.store
    seeds = dict(zip(runs["run_id"], runs["seed"], strict=True))
    return TestResults(
        prepared.labels,
        {run_id: splits.test_of(seed) for run_id, seed in seeds.items()},
        {run_id: store.test_probabilities(run_id).argmax(axis=1) for run_id in seeds},
        prepared.classes,
        prepared.config.estimate.folds or 0,
        pd.factorize(prepared.groups)[0],
    )


def _learning_curves(
    prepared: Prepared, pool: Pool, runs: pd.DataFrame, results: TestResults
) -> None:
    """Write them, once: of all strategies that were trained in several sizes."""
    config, store = prepared.config, prepared.store
    record = store.folder / "learning_curve.json"
    if record.exists():
        return
    if len(config.data.training_sizes) == 1 and config.learning_curve:
        prepared.monitor.stage("Measuring a learning curve")
        runs, results = with_parts(prepared, pool, runs, results)
    curves = learning_curves(runs, results)
    if curves:
        store.write("learning_curve", curve_table(curves))
        keep_json(record, curve_facts(curves, results))
