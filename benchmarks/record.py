"""The tables of the benchmarks' figures, results/benchmarks.csv among them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tl_keras.results.environment import environment

PATH = Path(__file__).parents[1] / "results" / "benchmarks.csv"
COLUMNS = ["benchmark", "case", "measure", "value", "unit", "target", "versions", "date"]
NAMED = ("python", "tensorflow", "keras", "keras_tuner")


def record(rows: list[dict[str, object]], path: Path = PATH) -> None:
    """Put rows into the table, in place of older ones of the same benchmarks and cases.

    Args:
        rows: with benchmark, case, measure, value, unit and, where there is one, target. The
            versions and the date are added here.
        path: a CSV file, made if it is not there.
    """
    facts = versions_and_date()
    put([{"target": None, **row, **facts} for row in rows], path, COLUMNS[:2], COLUMNS)


def put(
    rows: list[dict[str, Any]],
    path: Path,
    key: Sequence[str],
    columns: list[str] | None = None,
) -> pd.DataFrame:
    """Put rows into a table, in place of older ones that agree in `key`; the whole table.

    Args:
        rows: all with the same columns.
        path: a CSV file, made if it is not there.
        key: columns that tell what a row is of.
        columns: in this order; None is that of the rows.
    """
    table = pd.DataFrame(rows, columns=columns)
    if path.exists():
        old = pd.read_csv(path)
        replaced = set(table[list(key)].astype(str).itertuples(index=False, name=None))
        keys = old[list(key)].astype(str).itertuples(index=False, name=None)
        kept = [one not in replaced for one in keys]
        table = pd.concat([part for part in (old[kept], table) if len(part)])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return table


def versions_and_date() -> dict[str, str]:
    """The columns that tell what was measured, and when."""
    return {"versions": _versions(), "date": datetime.now(UTC).date().isoformat()}


def _versions() -> str:
    facts = environment()
    accelerators = len(facts["accelerators"])
    machine = f"{facts['processors']} processors, {accelerators} accelerators"
    return ", ".join([*(f"{name} {facts[name]}" for name in NAMED), machine])
