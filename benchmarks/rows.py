"""Rows for the table of figures, from what was measured in turn."""

import numpy as np
import pandas as pd

Row = dict[str, object]


def raw(runs: pd.DataFrame) -> list[Row]:
    """One row for each number of each run.

    Args:
        runs: of `benchmarks.fresh.in_turn`.
    """
    return [
        row(f"{run['side']}, run {run['repeat']}, {variable}", value, unit_of(str(variable)))
        for run in runs.to_dict("records")
        for variable, value in run.items()
        if variable not in ("side", "repeat") and not np.isnan(value)
    ]


def row(measure: str, value: float, unit: str, target: str | None = None) -> Row:
    """One row, to which the benchmark and its case are added."""
    return {"measure": measure, "value": value, "unit": unit, "target": target}


def mean(runs: pd.DataFrame, side: str, column: str = "seconds") -> float:
    """Of the runs of one side."""
    return float(runs.loc[runs["side"] == side, column].mean())


def unit_of(variable: str) -> str:
    """The unit of what was measured, by its name."""
    units = {"epochs": "epochs", "trials": "trials", "loss": "nats", "peak_megabytes": "MB"}
    return "fraction" if "accuracy" in variable else units.get(variable, "s")
