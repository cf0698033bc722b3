"""The stage that says what the finished runs tell together: tables, probes, learning curves."""

from dataclasses import dataclass

import pandas as pd

from tl_keras.digests import keep_json
from tl_keras.engine.pool import Pool
from tl_keras.experiment.prepare import Prepared
from tl_keras.experiment.small_runs import SmallRuns
from tl_keras.results.comparisons import comparison_table
from tl_keras.results.learning_curves import curve_facts, curve_table, learning_curves
from tl_keras.results.summary_tables import confusion_table, per_class_table, summary_table
from tl_keras.results.test_results import TestResults

_CURVES = "learning_curve.json"


@dataclass(frozen=True)
class Tables:
    """What `results/README.md` describes under the same names; `probes` only where any were."""

    summary: pd.DataFrame
    comparisons: pd.DataFrame
    per_class: pd.DataFrame
    confusion: pd.DataFrame
    history: pd.DataFrame
    probes: pd.DataFrame | None


def compare(prepared: Prepared, runs: pd.DataFrame) -> Tables:
    """Write and return the tables over all runs.

    Args:
        prepared: the experiment.
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


def begin_small_runs(prepared: Prepared, pool: Pool) -> SmallRuns | None:
    """Where one size was asked, the runs that give a learning curve, unless it is there."""
    config = prepared.config
    if len(config.data.training_sizes) > 1 or not config.learning_curve or _has_curves(prepared):
        return None
    small = SmallRuns(prepared, pool)
    small.begin()
    return small


def write_learning_curves(prepared: Prepared, runs: pd.DataFrame, small: SmallRuns | None) -> None:
    """Write them, once: of all strategies that were trained in several sizes.

    Args:
        prepared: the experiment.
        runs: as `runs.csv`.
        small: further runs, which may be under way.
    """
    if _has_curves(prepared):
        return
    results = test_results(prepared, runs)
    if small is not None:
        prepared.monitor.stage("Measuring a learning curve")
        runs, results = small.beside(runs, results)
    curves = learning_curves(runs, results)
    if curves:
        prepared.store.write("learning_curve", curve_table(curves))
        keep_json(prepared.store.place(_CURVES), curve_facts(curves, results))


def _has_curves(prepared: Prepared) -> bool:
    return prepared.store.place(_CURVES).exists()
