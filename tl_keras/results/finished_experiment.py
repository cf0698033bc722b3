"""The folder of an experiment as it can be read again: tables and facts, without its images."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.problems import nearest
from tl_keras.data.corrections import COLUMNS, Correction
from tl_keras.data.picture_rows import with_rows
from tl_keras.digests import is_listed, whole_bytes, whole_json
from tl_keras.errors import DamagedError, ResultsError
from tl_keras.invocation import go_on
from tl_keras.path_kinds import A_FOLDER, NOTHING, kind_of
from tl_keras.results.folder_lock import at_work
from tl_keras.results.store import CORRECTIONS, Store
from tl_keras.results.summary_tables import largest_size
from tl_keras.results.test_results import KEYS, method_of, rows_like, run_name, seed_name
from tl_keras.results_layout import AUDIT, CONFIG, WRITTEN, place
from tl_keras.strategy_table import STRATEGIES

# What each record must say, for those who read it.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "config": ("name", "description", "data", "backbone", "strategies", "seeds", "estimate"),
    "choice": ("run_id", "advised", "overruled", "sentence"),
    "advice": ("strategy", "cut"),
    "learning_curve": ("sentences",),
    "errors": ("wrong",),
}
_RECALL_BOUNDS = ["recall_low", "recall_high"]


@dataclass(frozen=True, repr=False)
class FinishedExperiment:
    """A finished experiment.

    Attributes:
        folder: of the experiment.
        config: as `config.json`.
    """

    folder: Path
    config: dict[str, Any]

    def __repr__(self) -> str:
        """With the names that `table` and `facts` take."""
        there = [Path(name) for name in WRITTEN if place(self.folder, name).exists()]
        tables, facts = (
            ", ".join(file.stem for file in there if file.suffix == ending)
            for ending in (".csv", ".json")
        )
        return f"<FinishedExperiment {self.folder}: tables {tables}; facts {facts}>"

    @classmethod
    def open(cls, folder: Path) -> "FinishedExperiment":
        """Look into the folder of an experiment.

        Raises:
            ResultsError: it holds no finished experiment.
            DamagedError: its configuration.
        """
        check_experiment_folder(folder, "choice.json")
        return cls(folder, whole_json(folder / CONFIG, _KEYS["config"]))

    def table(self, name: str) -> pd.DataFrame | None:
        """`<name>.csv`; None where the experiment has none, or an empty one.

        Where images were given as arrays, the column row says which each is.

        Raises:
            DamagedError: it is not as it was written.
            ResultsError: no experiment has a table of this name.
        """
        _check_name(name, ".csv")
        path = place(self.folder, f"{name}.csv")
        # a table without columns is an empty line
        if self._lacks(path) or whole_bytes(path).strip() == b"":
            return None
        table = Store(self.folder).read(name)
        return with_rows(table) if len(table) else None

    def facts(self, name: str) -> dict[str, Any] | None:
        """`<name>.json`; None where the experiment has none.

        Raises:
            DamagedError: it is not as it was written.
            ResultsError: no experiment has a record of this name.
        """
        _check_name(name, ".json")
        path = place(self.folder, f"{name}.json")
        return None if self._lacks(path) else whole_json(path, _KEYS.get(name, ()))

    def _lacks(self, path: Path) -> bool:
        """Whether the experiment has no such file; one that is listed is damaged if it is gone."""
        return not path.exists() and not is_listed(path)

    @contextmanager
    def as_this_version_writes(self) -> Iterator[None]:
        """Say so where what the block reads is not: an earlier version listed no digests.

        Raises:
            ResultsError: the block stumbled, and the folder holds files that no list proves whole.
        """
        try:
            yield
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            read = (place(self.folder, name) for name in WRITTEN)
            unproven = sorted(p.name for p in read if p.exists() and not is_listed(p))
            if not unproven:
                raise
            raise ResultsError(
                f"{self.folder} must hold tables as this version writes them; got something else "
                f"({type(error).__name__}: {error}) in one of {', '.join(unproven)}, which are of "
                "an earlier version or from elsewhere. Go on with the experiment, which writes "
                f"them again: {go_on(self.folder / CONFIG)}"
            ) from error

    @cached_property
    def runs(self) -> pd.DataFrame:
        return Store(self.folder).read("runs")

    @cached_property
    def summary(self) -> pd.DataFrame:
        return Store(self.folder).read("summary")

    @cached_property
    def chosen(self) -> Mapping[Any, Any]:
        """The row of the run that was chosen."""
        return self._row("runs", self.runs[self.runs["run_id"] == self.choice["run_id"]])

    @cached_property
    def choice(self) -> dict[str, Any]:
        """As `choice.json`."""
        return whole_json(place(self.folder, "choice.json"), _KEYS["choice"])

    @property
    def folds(self) -> int:
        """Of a division, each of which is a test split once; 0 with one test split."""
        return int(self.config["estimate"]["folds"] or 0)

    @property
    def run_name(self) -> str:
        """The chosen run, for people."""
        return run_name(self.chosen, self.folds)

    @property
    def test_photos(self) -> str:
        """What the chosen run was tested on, in words."""
        if not self.folds:
            return "the test split"
        return seed_name(int(self.chosen["seed"]), self.folds)

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """Test photos by true (rows) and predicted class: of the chosen run, or of all its folds.

        With folds every photo is counted once in each repeat.
        """
        pairs = self.table("confusion")
        if pairs is None:
            path = place(self.folder, "confusion.csv")
            raise DamagedError(path, "there is no table of confusion")
        chosen = str(self.chosen["run_id"])
        counted = method_of(self.runs, chosen)["run_id"].tolist() if self.folds else [chosen]
        own = pairs[pairs["run_id"].isin(counted)]
        return own.pivot_table(
            "count", "true_class", "predicted_class", aggfunc="sum", sort=False
        ).astype(int)

    @cached_property
    def class_scores(self) -> pd.DataFrame:
        """Of `confusion`, by class: `support`, `recall`, `precision`, `f1`; NaN where undefined.

        Beside the recall `recall_low` and `recall_high`, its 95% interval about the chosen run;
        NaN with folds, and in a folder of an earlier version.
        """
        right = pd.Series(np.diag(self.confusion), self.confusion.index)
        support = self.confusion.sum(axis=1)
        answered = pd.Series(self.confusion.sum(axis=0).to_numpy(), support.index)
        either = support + answered
        bounds = self._recall_bounds().reindex(support.index)
        return pd.DataFrame(
            {
                "support": support,
                "recall": right / support.where(support > 0),
                **{name: bounds[name] for name in _RECALL_BOUNDS},
                "precision": right / answered.where(answered > 0),
                "f1": 2 * right / either.where(either > 0),
            }
        )

    def test_answers(self) -> pd.DataFrame | None:
        """Test photos of the chosen run: image_id, class_index, answered, probability.

        `answered` is a class index, and `probability` its own, 0 to 1. With folds all photos, each
        as the run of the chosen method that was tested on it in the first division answers. None
        where nobody knows which they are.
        """
        if not self.folds:
            return self.chosen_answers()
        own = method_of(self.runs, str(self.chosen["run_id"]))
        own = own[own["seed"] < self.folds]
        return self._answers(dict(zip(own["run_id"], own["seed"], strict=True)))

    def chosen_answers(self) -> pd.DataFrame | None:
        """As `test_answers`, with folds of the chosen run alone."""
        return self._answers({str(self.chosen["run_id"]): self.chosen["seed"]})

    def _answers(self, seeds: Mapping[str, int]) -> pd.DataFrame | None:
        """Of runs, by name, with their seeds."""
        splits = self.table("splits")
        if splits is None:
            return None
        parts = []
        for run_id, seed in seeds.items():
            probabilities = Store(self.folder).test_probabilities(run_id)
            parts.append(
                tested_of(splits, seed)[["image_id", "class_index"]].assign(
                    answered=probabilities.argmax(axis=1), probability=probabilities.max(axis=1)
                )
            )
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def corrections(self) -> tuple[Correction, ...]:
        """What a person said of labels before; nothing without `data.corrections`."""
        table = self.table(CORRECTIONS)
        if table is None:
            return ()
        rows = table[list(COLUMNS)].fillna("").itertuples(index=False)
        return tuple(Correction(*row) for row in rows)

    def _recall_bounds(self) -> pd.DataFrame:
        table = self.table("per_class")
        if self.folds or table is None or not set(_RECALL_BOUNDS) <= set(table.columns):
            return pd.DataFrame(columns=_RECALL_BOUNDS, dtype=float)
        return table[table["run_id"] == self.choice["run_id"]].set_index("class")

    @cached_property
    def largest(self) -> pd.DataFrame:
        """The rows of the summary for the largest training size."""
        return largest_size(self.summary)

    def summary_of(self, run: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """The row of the summary that a run belongs to."""
        # a search in every fold is one strategy, whatever depth it chose for the run
        searched = STRATEGIES[run["strategy"]].searches
        keys = [key for key in KEYS if not (searched and key == "unfrozen_blocks")]
        return self._row("summary", rows_like(self.summary, run, keys))

    def _row(self, name: str, rows: pd.DataFrame) -> Mapping[Any, Any]:
        """The first of some rows of a table."""
        if rows.empty:
            path = place(self.folder, f"{name}.csv")
            raise DamagedError(path, f"it lacks the chosen run, {self.choice['run_id']}")
        return rows.iloc[0].to_dict()


def _check_name(name: str, ending: str) -> None:
    names = [file.removesuffix(ending) for file in WRITTEN if file.endswith(ending)]
    if name not in names:
        kind = "table" if ending == ".csv" else "record"
        near = nearest(name, names)
        meant = f' Did you mean "{near}"?' if near else ""
        raise ResultsError(
            f'The name of a {kind} must be one of {", ".join(names)}; got "{name}".{meant}'
        )


def tested_of(splits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows of `splits.csv` with the test photos of the runs of a seed."""
    own = splits["seed"].isna() | (splits["seed"] == seed)
    return splits[own & (splits["part"] == "test")]


def check_experiment_folder(folder: Path, record: str = CONFIG) -> None:
    """Nothing, if a path is the folder of an experiment that came as far as a record of it.

    Args:
        folder: of the experiment.
        record: its file.

    Raises:
        ResultsError: it is something else, or not as far.
    """
    if not all(place(folder, name).exists() for name in (CONFIG, record)):
        raise ResultsError(
            f"{folder} must be the folder of a finished experiment, such as results/defects; "
            f"{_instead(folder)}"
        )


def _instead(folder: Path) -> str:
    """What a path is that is no finished experiment, and what to do."""
    if who := at_work(folder):
        return f"it is not finished: {who} is at work there. Wait until it has ended."
    if (there := kind_of(folder)) != A_FOLDER:
        return "there is no such path." if there == NOTHING else f"got {there}."
    if (folder / CONFIG).is_file():
        return f"it holds one that was not finished. Go on with it: {go_on(folder / CONFIG)}"
    if (folder / AUDIT).is_file():
        return f"it holds an audit, whose page is {folder / AUDIT}."
    return "it holds none. Run an experiment first."
