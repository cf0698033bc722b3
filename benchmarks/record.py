"""The table of the benchmarks' figures, results/benchmarks.csv."""

from datetime import UTC, datetime
from pathlib import Path

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
    facts = {"versions": _versions(), "date": datetime.now(UTC).date().isoformat()}
    table = pd.DataFrame([{"target": None, **row, **facts} for row in rows], columns=COLUMNS)
    if path.exists():
        old = pd.read_csv(path)
        replaced = set(zip(table["benchmark"], table["case"], strict=True))
        kept = [key not in replaced for key in zip(old["benchmark"], old["case"], strict=True)]
        table = pd.concat([part for part in (old[kept], table) if len(part)])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def _versions() -> str:
    facts = environment()
    accelerators = len(facts["accelerators"])
    machine = f"{facts['processors']} processors, {accelerators} accelerators"
    return ", ".join([*(f"{name} {facts[name]}" for name in NAMED), machine])
