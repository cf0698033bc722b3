"""Rows for the table of figures, from what was measured in turn."""

from pathlib import Path

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


def keep_in_table(path: Path, rows: pd.DataFrame, *keys: str) -> None:
    """Put rows into a CSV file, in place of older ones of the same things, and print them.

    Args:
        path: of the file, which need not exist.
        rows: to keep.
        keys: the columns that say what a row is about.
    """
    table = rows
    if path.exists():
        old = pd.read_csv(path)
        about, replaced = (pd.MultiIndex.from_frame(each[[*keys]]) for each in (old, rows))
        table = pd.concat([old[~about.isin(replaced)], rows])
    table.to_csv(path, index=False)
    print(rows.to_string(index=False, float_format="%.4f"), flush=True)
