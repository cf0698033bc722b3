"""`runs.csv`: a finished run as a typed value, whose fields are the columns, and the table of them.

A new column is a field of `FinishedRun`; `tl_keras.experiment.train` gives it its value, or the
module of a strategy does. One that may be empty gets its type in `runs_table`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from tl_keras.errors import ResultsError
from tl_keras.evaluation.metrics import METRICS, column_of
from tl_keras.results.stored_tables import read_parquet
from tl_keras.results_layout import place
from tl_keras.strategy_table import STRATEGIES, StrategySpec

# What `fresh` adds to a folder's name.
_MOVED_ASIDE = re.compile(r"\.\d{8}-\d{6}$")
# Columns of these fields carry their names as a prefix or suffix.
_TEST, _VERSION = "test_", "_version"


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """One finished run; the order of the fields is that of the columns.

    `results/README.md` says what each means, with units. None is a missing value. What has a
    default is told by the strategy; the default is for one that has no such thing.

    Attributes:
        test: scores on the test images by name; the columns are `test_<name>`.
        versions: of the packages that change numbers by name; the columns are `<name>_version`.
    """

    experiment: str
    run_id: str
    strategy: str
    seed: int
    train_per_class: int | None
    labelled_images_per_class: float
    unfrozen_blocks: str | None = None
    cut: str | None = None
    head_blocks: str | None = None
    unfrozen_layers: int = 0
    trainable_parameters: int = 0
    augmentation: str | None = None
    hidden_units: str | None = None
    pooling: str | None = None
    views: str | None = None
    penalty: float | None = None
    train_on: str | None = None
    learning_rate: float | None = None
    layer_decay: float | None = None
    epochs: int = 0
    validation_loss: float
    validation_accuracy: float
    selection_loss: float
    test: Mapping[str, float | None]
    classes: int
    training_images: int
    validation_images: int
    test_images: int
    images_left_out: int
    generated_images: bool
    backbone: str
    weights: str | None
    image_size: int
    phase_1_seconds: float = 0.0
    phase_2_seconds: float = 0.0
    parameters: int = 0
    classifier_megabytes: float = 0.0
    milliseconds_per_image: float = 0.0
    configuration_hash: str
    versions: Mapping[str, str]
    peak_memory_megabytes: float

    @property
    def spec(self) -> StrategySpec:
        """What its strategy is."""
        return STRATEGIES[self.strategy]

    @property
    def seconds(self) -> float:
        """Of training, both phases."""
        return self.phase_1_seconds + self.phase_2_seconds

    def as_row(self) -> dict[str, Any]:
        """Its columns by name, in their order."""
        row: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "test":
                row |= {f"{_TEST}{name}": score for name, score in value.items()}
            elif field.name == "versions":
                row |= {f"{name}{_VERSION}": number for name, number in value.items()}
            else:
                row[field.name] = value
        return row

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> "FinishedRun":
        """The run of a row, as `as_row` or a line of a table has it.

        A column that an earlier version did not write is missing.
        """
        plain = {name: _plain(value) for name, value in row.items()}
        known: dict[str, Any] = {field.name: plain.get(field.name) for field in fields(cls)}
        known["test"] = {
            name.removeprefix(_TEST): value
            for name, value in plain.items()
            if name.startswith(_TEST) and name not in known
        }
        known["versions"] = {
            name.removesuffix(_VERSION): value
            for name, value in plain.items()
            if name.endswith(_VERSION)
        }
        return cls(**known)


def run_of(runs: pd.DataFrame, run_id: str) -> FinishedRun:
    """A run of the table of runs.

    Args:
        runs: as `runs.csv`.
        run_id: of a row of it.
    """
    return FinishedRun.from_row(runs[runs["run_id"] == run_id].iloc[0].to_dict())


def _plain(value: Any) -> Any:
    """A cell of a table as a JSON type."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def runs_table(runs: Iterable[FinishedRun]) -> pd.DataFrame:
    """One row per finished run with the columns' types, whatever values occur."""
    table = pd.DataFrame([run.as_row() for run in runs])
    texts = ["unfrozen_blocks", "cut", "augmentation", "hidden_units", "weights"]
    whole = ["train_per_class"]
    # of two classes only: without any value pandas would not know that they are numbers
    numbers = [column_of(name) for name, found in METRICS.items() if found.reads == "positive"]
    present = [name for name in texts if name in table]
    table[present] = table[present].astype("string")
    table = table.astype({name: "float64" for name in numbers if name in table})
    return table.astype({name: "Int64" for name in whole if name in table})


def load_runs(results_dir: str | Path) -> pd.DataFrame:
    """The finished runs of all experiments in a results folder, one row each.

    Results that `--fresh` moved aside are left out.

    Args:
        results_dir: the folder that holds the experiments' folders.

    Raises:
        ResultsError: no experiment there has a finished run, or a table of runs is damaged.
    """
    folders = [path for path in sorted(Path(results_dir).glob("*")) if path.is_dir()]
    current = [path for path in folders if not _MOVED_ASIDE.search(path.name)]
    paths = [place(folder, "runs.parquet") for folder in current]
    tables = [read_parquet(path) for path in paths if path.exists()]
    if not tables:
        raise ResultsError(
            f"{results_dir} must hold folders of experiments with finished runs; found none. Run "
            "an experiment first, or name the folder that holds its folder."
        )
    # Arrow, because pandas guesses the type of a column that one experiment leaves empty.
    joined: pd.DataFrame = pyarrow.concat_tables(tables, promote_options="permissive").to_pandas()
    return joined
