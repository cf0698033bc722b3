"""An experiment's folder: its finished runs, and what is kept beside them.

<results_dir>/<experiment>/
    config.json           the configuration, defaults included
    runs/<run_id>/        one finished run: row.json, history.csv, probabilities.npz, weights.npz,
                          and probes.csv of a linear probe
    search/n<size>/       search.json, what its trials depend on, and a file per finished training;
                          n<size>-s<seed>/ where every fold searches for itself
    *.csv, runs.parquet   tables over all finished runs; `runs_table` says what a run's row holds
    tensorboard/<run_id>/ the course of a run, for TensorBoard
    export/<version>/     the chosen run as a SavedModel
    model.keras           the same as a plain model of Keras

A run's folder appears under its name only when it is complete, so a killed experiment goes on
where it was.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tl_keras.atomic_files import UNFINISHED, check_writable, replacing, write_csv, write_json
from tl_keras.config.files import differences
from tl_keras.config.schema import ExperimentConfig
from tl_keras.config.stored import completed, continued
from tl_keras.csv_tables import lines_of, lines_of_table, read_table
from tl_keras.errors import ResultsError
from tl_keras.results.runs_table import FinishedRun
from tl_keras.safe_text import one_line


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves.

    Attributes:
        run: its row of `runs.csv`.
        history: a row per epoch.
        validation_probabilities: float32 (validation images, classes).
        selection_losses: (validation images,), what strategies are compared by, in nats.
        test_probabilities: float32 (test images, classes).
        weights: name to array; empty for the majority class.
        probes: a row per block, where the run looked at all of them.
    """

    run: FinishedRun
    history: pd.DataFrame
    validation_probabilities: np.ndarray
    selection_losses: np.ndarray
    test_probabilities: np.ndarray
    weights: dict[str, np.ndarray]
    probes: pd.DataFrame | None = None


@dataclass(frozen=True)
class Store:
    """The folder of one experiment."""

    folder: Path

    @classmethod
    def open(cls, config: ExperimentConfig, *, fresh: bool = False) -> "Store":
        """The experiment's folder, created or continued.

        Args:
            config: the experiment.
            fresh: move an existing folder aside first.

        Raises:
            ResultsError: the folder holds results of another configuration or other files, or
                cannot be written.
        """
        folder = Path(config.results_folder)
        with _in_a_sentence(folder):
            if fresh and folder.exists():
                folder.rename(folder.with_name(f"{folder.name}.{datetime.now():%Y%m%d-%H%M%S}"))
            cls.check(config)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "config.json", config.as_dict())
        return cls(folder)

    @staticmethod
    def continued(
        config: ExperimentConfig, *, fresh: bool = False
    ) -> tuple[ExperimentConfig, str | None]:
        """The experiment as it goes on in its folder, and what is to be said of it.

        Args:
            config: the experiment.
            fresh: whether what is there will be moved aside first.
        """
        try:
            stored = json.loads((Path(config.results_folder) / "config.json").read_text())
        # none, or a damaged one, of which `check` tells
        except (OSError, ValueError, RecursionError):
            return config, None
        if fresh or not isinstance(stored, dict):
            return config, None
        return continued(config, stored)

    @staticmethod
    def check(config: ExperimentConfig, *, fresh: bool = False) -> None:
        """Nothing, if the experiment can begin or go on in its folder; leaves nothing there.

        Args:
            config: the experiment.
            fresh: whether what is there will be moved aside first.

        Raises:
            ResultsError: the folder holds results of another configuration or other files, or is
                none, or cannot be made or written.
        """
        folder = Path(config.results_folder)
        stored = folder / "config.json"
        with _in_a_sentence(folder):
            if fresh:
                check_writable(folder.parent)
                return
            if stored.exists():
                _refuse_changes(folder, _stored_config(stored), config.as_dict())
            elif folder.exists():
                _refuse_other_files(folder)
            check_writable(folder)

    def is_finished(self, run_id: str) -> bool:
        return self._run(run_id).is_dir()

    def add(self, run_id: str, outcome: Outcome) -> None:
        """Keep a finished run; it is there completely or not at all."""
        run = self._run(run_id)
        run.parent.mkdir(exist_ok=True)
        with replacing(run) as unfinished:
            unfinished.mkdir()
            _write_outcome(unfinished, outcome)

    def run(self, run_id: str) -> FinishedRun:
        """A finished run."""
        return FinishedRun.from_row(json.loads((self._run(run_id) / "row.json").read_text()))

    def histories(self, run_ids: Iterable[str]) -> pd.DataFrame:
        """The epochs of several runs in one table."""
        tables = [_read_csv(self._run(run_id) / "history.csv") for run_id in run_ids]
        # the majority class has no epochs; beside an empty table whole numbers become fractions
        return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)

    def probes(self, run_ids: Iterable[str]) -> pd.DataFrame | None:
        """The probes at every block of several runs in one table; None without any."""
        paths = [self._run(run_id) / "probes.csv" for run_id in run_ids]
        tables = [_read_csv(path) for path in paths if path.exists()]
        return pd.concat(tables, ignore_index=True) if tables else None

    def test_probabilities(self, run_id: str) -> np.ndarray:
        with np.load(self._run(run_id) / "probabilities.npz") as stored:
            return np.asarray(stored["test"])

    def validation_probabilities(self, run_id: str) -> np.ndarray:
        with np.load(self._run(run_id) / "probabilities.npz") as stored:
            return np.asarray(stored["validation"])

    def selection_losses(self, run_id: str) -> np.ndarray:
        """By which the run is compared with others, (validation images,).

        Raises:
            ResultsError: an earlier version made the run, which did not keep them.
        """
        with np.load(self._run(run_id) / "probabilities.npz") as stored:
            if "selection" not in stored:
                raise ResultsError(
                    f"{self.folder} must hold runs of this version, with losses to choose among "
                    f"them; got {run_id} of an earlier one. Use --fresh to move the folder aside."
                )
            return np.asarray(stored["selection"])

    def weights(self, run_id: str) -> dict[str, np.ndarray]:
        with np.load(self._run(run_id) / "weights.npz") as stored:
            return dict(stored)

    def keep_weights_of(self, run_id: str) -> None:
        """Remove the weights of every other run: they were kept for the export's choice alone."""
        for weights in self.folder.glob("runs/*/weights.npz"):
            if weights.parent.name != run_id:
                weights.unlink()

    def keep_inputs(self, images: pd.DataFrame, splits: pd.DataFrame) -> None:
        """Write `images.csv` and `splits.csv`, which all runs of the experiment share.

        Args:
            images: one row per image, with image_id and sha256.
            splits: the manifest of the splits.

        Raises:
            ResultsError: the finished runs used other images or another division.
        """
        self._refuse_other("images", images[["image_id", "sha256"]])
        self._refuse_other("splits", splits)
        self.write("images", images)
        self.write("splits", splits)

    def keep_environment(self, facts: Mapping[str, Any]) -> None:
        """Write `environment.json`.

        Args:
            facts: JSON types; `source_weights_sha256` tells what every run starts from.

        Raises:
            ResultsError: the finished runs started from other weights.
        """
        path = self.folder / "environment.json"
        if path.exists() and any(self.folder.glob("runs/*/row.json")):
            _refuse_other_weights(self.folder, json.loads(path.read_text()), facts)
        write_json(path, facts)

    def open_search(
        self, train_per_class: int | None, facts: Mapping[str, Any], seed: int | None = None
    ) -> Path:
        """The folder where the search of a training size, or of one seed of it, keeps its trials.

        They may be older than the first finished run, from which on the experiment's own files
        guard the folder.

        Args:
            train_per_class: the size; None is all.
            facts: JSON types: all that the trials depend on.
            seed: whose search it is, where every seed has its own.

        Raises:
            ResultsError: the trials there depend on something else.
        """
        size = "all" if train_per_class is None else train_per_class
        folder = self.folder / "search" / (f"n{size}" if seed is None else f"n{size}-s{seed}")
        record = folder / "search.json"
        if record.exists():
            _refuse_changes(folder, _search_facts(record, facts), facts)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(record, facts)
        return folder

    def add_trials(
        self, folder: Path, train_per_class: int | None, seed: int, trials: pd.DataFrame
    ) -> None:
        """Keep the table of a finished search, and write those of all as `trials.csv`.

        Args:
            folder: of the search, as `open_search` gave it.
            train_per_class: the size; None is all.
            seed: whose training and validation images it used.
            trials: the table.
        """
        size = pd.array([train_per_class] * len(trials), dtype="Int64")
        table = trials.assign(train_per_class=size, seed=seed)
        write_csv(folder / "trials.csv", table)
        finished = sorted(self.folder.glob("search/*/trials.csv"))
        # those of an earlier version have no seed: it was the first
        tables = [_read_csv(path) for path in finished]
        joined = pd.concat([found if "seed" in found else found.assign(seed=0) for found in tables])
        self.write("trials", joined.sort_values(["train_per_class", "seed", "trial"]))

    def trials(self) -> pd.DataFrame | None:
        """Trials of all finished searches; None without any."""
        return self.read("trials") if (self.folder / "trials.csv").exists() else None

    def write(self, name: str, table: pd.DataFrame) -> Path:
        """Write a table of raw numbers as `<name>.csv`; a reader never sees half of it."""
        path = self.folder / f"{name}.csv"
        write_csv(path, table)
        return path

    def write_runs(self, table: pd.DataFrame) -> None:
        """Write the table of finished runs as `runs.csv` and, with its types, `runs.parquet`."""
        self.write("runs", table)
        with replacing(self.folder / "runs.parquet") as unfinished:
            table.to_parquet(unfinished, index=False)

    def read(self, name: str) -> pd.DataFrame:
        """`<name>.csv` as it was written, but for the types of empty columns."""
        return _read_csv(self.folder / f"{name}.csv")

    def _refuse_other(self, name: str, table: pd.DataFrame) -> None:
        """Raise where a table is on disk with other values in these columns."""
        path = self.folder / f"{name}.csv"
        if not path.exists():
            return
        old, new = lines_of(path, list(map(str, table))), lines_of_table(table)
        gone, come = set(old) - set(new), set(new) - set(old)
        changed = [line for line in (*old, *new) if line in gone | come]
        if changed:
            count = f"{len(changed)} line{'s' * (len(changed) > 1)}"
            which = "was there before" if changed[0] in gone else "is new"
            such = one_line(changed[0])
            raise ResultsError(
                f"The images are not those of the results in {self.folder}: {name}.csv differs in "
                f"{count}, such as {such}, which {which}. Restore the images, or run them "
                "under another name, or with run --fresh, which moves this folder aside."
            )

    def _run(self, run_id: str) -> Path:
        return self.folder / "runs" / run_id


def _write_outcome(folder: Path, outcome: Outcome) -> None:
    write_json(folder / "row.json", outcome.run.as_row())
    outcome.history.to_csv(folder / "history.csv", index=False)
    np.savez(
        folder / "probabilities.npz",
        validation=outcome.validation_probabilities,
        selection=outcome.selection_losses,
        test=outcome.test_probabilities,
    )
    np.savez(folder / "weights.npz", allow_pickle=False, **outcome.weights)
    if outcome.probes is not None:
        outcome.probes.to_csv(folder / "probes.csv", index=False)


def _read_csv(path: Path) -> pd.DataFrame:
    """A table as it was written; numbers of blocks stand beside "all" and ranges."""
    return read_table(path, dict.fromkeys(("unfrozen_blocks", "head_blocks"), "string"))


def _stored_config(path: Path) -> dict[str, Any]:
    """A folder's configuration, with the defaults of keys that are younger than the folder."""
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} must be the configuration of the results beside it; got a file that cannot be "
            f"read ({error}). Use --fresh to move the folder aside."
        ) from error
    try:
        return ExperimentConfig.model_validate_json(json.dumps(completed(raw))).as_dict()
    except ValidationError:
        # Some of its keys are no longer known: the comparison names them.
        stored: dict[str, Any] = completed(raw)
        return stored


def _search_facts(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a search depends on, with the defaults of keys that are younger than its folder."""
    facts: dict[str, Any] = json.loads(path.read_text())
    sections = {key: value for key, value in facts.items() if key in ExperimentConfig.model_fields}
    try:
        text = json.dumps({"name": "any", **completed(sections)})
        complete = ExperimentConfig.model_validate_json(text).as_dict()
    except ValidationError:
        return facts
    return facts | {key: complete[key] for key in wanted if key in complete}


@contextmanager
def _in_a_sentence(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{folder} must be a folder that can be written, new or with results of this package; "
            f"got: {error}. Choose another results_dir or name, or use --fresh to move the folder "
            "aside."
        ) from error


def _refuse_other_files(folder: Path) -> None:
    # a kill may have left some before the configuration was written
    if not all(path.name.startswith(UNFINISHED) for path in folder.iterdir()):
        raise ResultsError(
            f"{folder} must be empty or hold results of this package; got other files. Choose "
            "another name, or use --fresh to move the folder aside."
        )


def _refuse_other_weights(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    key = "source_weights_sha256"
    if old.get(key, new[key]) != new[key]:
        raise ResultsError(
            f"The source weights are not those of the results in {folder}: their SHA-256 must be "
            f"{old[key]}, got {new[key]}. Restore the weights, give this experiment another name, "
            "or use --fresh to move the old folder aside."
        )


def _refuse_changes(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if changes := differences(old, new):
        raise ResultsError(
            f"{folder} holds results of another configuration:\n  "
            + "\n  ".join(changes)
            + "\nGive this experiment another name, undo the change, or use --fresh to move the "
            "old folder aside."
        )
