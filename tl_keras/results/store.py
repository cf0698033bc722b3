"""An experiment's folder: its finished runs, and what is kept beside them.

<results_dir>/<experiment>/
    config.json               the configuration, defaults included
    tables/                   over all finished runs; `runs_table` says what a run's row holds
    state/runs/<run_id>/      one finished run: row.json, history.csv, probabilities.npz,
                              weights.npz, and probes.csv of a linear probe
    state/search/n<size>/     search.json, what its trials depend on, and a file per finished
                              training; n<size>-s<seed>/ where every fold searches for itself
    state/digests.json        what each of these files must be; every run and search has its own
    state/refitted.npz        the chosen run's classifier, fitted anew on all photos

`tl_keras.results_layout` has the rest, and where an earlier version put it.

A run's folder appears under its name only when it is complete, so a killed experiment goes on
where it was. Whatever is read is found whole first; `repair` is what becomes of the rest.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tl_keras.atomic_files import UNFINISHED, check_writable, replacing, write_json
from tl_keras.config.files import differences, fingerprint
from tl_keras.config.schema import ExperimentConfig
from tl_keras.config.stored import completed, continued
from tl_keras.csv_tables import csv_text, lines_of, lines_of_table
from tl_keras.digests import (
    DIGESTS,
    any_json,
    expects,
    forget,
    keep_json,
    keeping,
    known_json,
    listed,
    seal,
    whole_json,
)
from tl_keras.errors import DamagedError, ResultsError
from tl_keras.invocation import again, fresh, go_on
from tl_keras.results.folder_lock import LOCK, in_a_sentence
from tl_keras.results.old_folder import put_in_place
from tl_keras.results.repair import finished_run, set_aside, set_aside_damaged, was_set_aside
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.stored_tables import keep_csv, keep_parquet, read_arrays, read_csv
from tl_keras.results_layout import CONFIG, LAYOUT, PICTURES, STATE, place
from tl_keras.safe_text import one_line

# Of `environment.json`.
_WEIGHTS = "source_weights_sha256"
REFITTED, _WEIGHT, _HELD_OUT = "refitted.npz", "weight_", "held_out"
# The table of what `data.corrections` said of labels.
CORRECTIONS = "corrections"
# What the tables that all runs share are about, and what else must be restored.
_INPUTS = {"images": "images", "splits": "division", CORRECTIONS: "corrections"}


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
    def open(
        cls,
        config: ExperimentConfig,
        *,
        fresh: bool = False,
        mend: Callable[[str], None] | None = None,
    ) -> "Store":
        """The experiment's folder, created or continued.

        Args:
            config: the experiment.
            fresh: move an existing folder aside first.
            mend: set aside what is damaged, so that it is made again, and say so; None leaves it
                to be refused by whoever reads it.

        Raises:
            ResultsError: the folder holds results of another configuration or other files, or
                cannot be written.
        """
        folder = Path(config.results_folder)
        with in_a_sentence(folder):
            if fresh and os.path.lexists(folder):
                folder.rename(folder.with_name(f"{folder.name}.{datetime.now():%Y%m%d-%H%M%S}"))
            cls.check(config)
            folder.mkdir(parents=True, exist_ok=True)
            put_in_place(folder)
            if mend is not None and (damaged := set_aside_damaged(folder)):
                mend(damaged)
            keep_json(folder / CONFIG, config.as_dict())
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
        # none, or a damaged one, of which `check` tells, is as empty
        stored = known_json(Path(config.results_folder) / CONFIG)
        return continued(config, stored) if stored and not fresh else (config, None)

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
        stored = folder / CONFIG
        with in_a_sentence(folder):
            if fresh:
                check_writable(folder.parent)
                return
            if _is_listed(stored, config.as_dict()) or _made_all_runs(config, folder):
                pass  # whatever became of it
            elif stored.exists():
                _refuse_changes(folder, _stored_config(stored), config.as_dict())
            elif folder.exists():
                _refuse_other_files(folder)
            check_writable(folder)

    def place(self, name: str) -> Path:
        """Where a file or folder of the experiment is, such as "runs.csv" or "choice.json"."""
        return place(self.folder, name)

    def is_finished(self, run_id: str) -> bool:
        return self._run(run_id).is_dir()

    def add(self, run_id: str, outcome: Outcome) -> None:
        """Keep a finished run; it is there completely or not at all."""
        run = self._run(run_id)
        run.parent.mkdir(parents=True, exist_ok=True)
        with replacing(run) as unfinished:
            unfinished.mkdir()
            _write_outcome(unfinished, outcome)
            seal(unfinished)

    def run(self, run_id: str) -> FinishedRun:
        """A finished run.

        Raises:
            DamagedError: its row is not as it was written.
        """
        return finished_run(self._run(run_id))

    def histories(self, run_ids: Iterable[str]) -> pd.DataFrame:
        """The epochs of several runs in one table."""
        tables = [read_csv(self._run(run_id) / "history.csv") for run_id in run_ids]
        # the majority class has no epochs; beside an empty table whole numbers become fractions
        return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)

    def probes(self, run_ids: Iterable[str]) -> pd.DataFrame | None:
        """The probes at every block of several runs in one table; None without any."""
        paths = [self._run(run_id) / "probes.csv" for run_id in run_ids]
        tables = [read_csv(path) for path in paths if path.exists()]
        return pd.concat(tables, ignore_index=True) if tables else None

    def test_probabilities(self, run_id: str) -> np.ndarray:
        return self._probabilities(run_id)["test"]

    def validation_probabilities(self, run_id: str) -> np.ndarray:
        return self._probabilities(run_id)["validation"]

    def selection_losses(self, run_id: str) -> np.ndarray:
        """By which the run is compared with others, (validation images,).

        Raises:
            ResultsError: an earlier version made the run, which did not keep them.
        """
        stored = self._probabilities(run_id)
        if "tempered" not in stored:
            raise ResultsError(
                f"{self.folder} must hold runs of this version, with losses to choose among "
                f"them; got {run_id} of an earlier one. Use {fresh()} to move the folder aside."
            )
        return stored["tempered"]

    def _probabilities(self, run_id: str) -> dict[str, np.ndarray]:
        path = self._run(run_id) / "probabilities.npz"
        stored = read_arrays(path)
        if absent := {"test", "validation"} - stored.keys():
            raise DamagedError(path, f"it lacks the array {min(absent)}")
        return stored

    def weights(self, run_id: str) -> dict[str, np.ndarray]:
        """What a finished run trained, by name.

        Raises:
            DamagedError: they are not as they were written.
        """
        return read_arrays(self._run(run_id) / "weights.npz")

    def has_weights(self, run_id: str) -> bool:
        """Whether what a finished run trained is still there."""
        return (self._run(run_id) / "weights.npz").exists()

    def keep_refitted(self, weights: Mapping[str, np.ndarray], held_out: np.ndarray | None) -> None:
        """Keep what the chosen classifier became when it was fitted anew on all photos.

        Args:
            weights: as those of the run.
            held_out: (repeats, images, classes), or None.
        """
        arrays = {_WEIGHT + name: values for name, values in weights.items()}
        if held_out is not None:
            arrays[_HELD_OUT] = held_out
        with keeping(self.place(REFITTED)) as unfinished:
            np.savez(unfinished, allow_pickle=False, **arrays)

    def refitted(self) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """The weights and the held-out probabilities that `keep_refitted` kept.

        Raises:
            DamagedError: they are not as they were written.
        """
        stored = read_arrays(self.place(REFITTED))
        weights = {
            name.removeprefix(_WEIGHT): values
            for name, values in stored.items()
            if name.startswith(_WEIGHT)
        }
        return weights, stored.get(_HELD_OUT)

    def keep_weights_of(self, run_id: str) -> None:
        """Remove the weights of every other run: they were kept for the export's choice alone."""
        for weights in self.place("runs").glob("*/weights.npz"):
            if weights.parent.name != run_id:
                forget(weights)

    def keep_inputs(
        self,
        images: pd.DataFrame,
        splits: pd.DataFrame,
        corrections: pd.DataFrame | None = None,
    ) -> None:
        """Write `images.csv` and `splits.csv`, which all runs of the experiment share.

        Args:
            images: one row per image, with image_id and sha256.
            splits: the manifest of the splits.
            corrections: what was said of labels, for `corrections.csv`; None without any.

        Raises:
            ResultsError: the finished runs used other images, labels or another division, or nobody
                knows which.
        """
        if corrections is not None:
            # first: they explain what follows from them
            self._refuse_other(CORRECTIONS, corrections, [str(name) for name in corrections])
        self._refuse_other("images", images, ["image_id", "sha256"])
        self._refuse_other("splits", splits, [str(name) for name in splits])
        if corrections is not None:
            self.write(CORRECTIONS, corrections)
        self.write("images", images)
        self.write("splits", splits)

    def keep_environment(self, facts: Mapping[str, Any]) -> None:
        """Write `environment.json`.

        Args:
            facts: JSON types; `source_weights_sha256` tells what every run starts from.

        Raises:
            ResultsError: the finished runs started from other weights.
        """
        path = self.place("environment.json")
        if self._has_runs() and not _is_listed(path, facts):
            if not path.exists():
                raise self._unknown(path, "weights")
            _refuse_other_weights(self.folder, whole_json(path), facts)
        elif path.exists() and _other_weights(whole_json(path), facts):
            # made with the weights of before, and looked at by nobody yet
            for name in ("advice.json", "audit.json"):
                forget(self.place(name))
        keep_json(path, facts)

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
        folder = self.search_folder(train_per_class, seed)
        record = folder / "search.json"
        if _is_listed(record, facts):
            pass  # whatever became of it
        elif record.exists():
            _refuse_changes(folder, _search_facts(record, facts), facts)
        elif any(folder.glob("trial-*.json")):
            # nobody knows what they depend on
            set_aside(self.folder, folder)
        folder.mkdir(parents=True, exist_ok=True)
        keep_json(record, facts)
        return folder

    def search_folder(self, train_per_class: int | None, seed: int | None = None) -> Path:
        """Where `open_search` keeps the trials of a size, or of one seed of it."""
        size = "all" if train_per_class is None else train_per_class
        return self.place("search") / (f"n{size}" if seed is None else f"n{size}-s{seed}")

    def lost_trials(self, train_per_class: int | None, seed: int | None = None) -> bool:
        """Whether the table of a finished search, or what it rests on, is gone."""
        folder = self.search_folder(train_per_class, seed)
        begun = folder.exists() or was_set_aside(self.folder, folder)
        written = {"trials.csv", *listed(folder)}
        return begun and not all((folder / name).exists() for name in written)

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
        keep_csv(folder / "trials.csv", table)
        self.join_trials()

    def join_trials(self) -> None:
        """Write the trials of all finished searches as `trials.csv`, where there are any."""
        finished = sorted(self.place("search").glob("*/trials.csv"))
        if not finished:
            return
        # those of an earlier version have no seed: it was the first
        tables = [read_csv(path) for path in finished]
        joined = pd.concat([found if "seed" in found else found.assign(seed=0) for found in tables])
        self.write("trials", joined.sort_values(["train_per_class", "seed", "trial"]))

    def trials(self) -> pd.DataFrame | None:
        """Trials of all finished searches; None without any."""
        return self.read("trials") if self.place("trials.csv").exists() else None

    def write(self, name: str, table: pd.DataFrame) -> Path:
        """Write a table of raw numbers as `<name>.csv`; a reader never sees half of it."""
        path = self.place(f"{name}.csv")
        path.parent.mkdir(exist_ok=True)
        keep_csv(path, table)
        return path

    def write_runs(self, table: pd.DataFrame) -> None:
        """Write the table of finished runs as `runs.csv` and, with its types, `runs.parquet`."""
        self.write("runs", table)
        keep_parquet(self.place("runs.parquet"), table)

    def read(self, name: str) -> pd.DataFrame:
        """`<name>.csv` as it was written, but for the types of empty columns.

        Raises:
            DamagedError: there is none, or it is not as it was written.
        """
        return read_csv(self.place(f"{name}.csv"))

    def _has_runs(self) -> bool:
        return bool(_rows(self.folder))

    def _unknown(self, path: Path, what: str) -> ResultsError:
        return ResultsError(
            f"{path} must say which {what} the finished runs in {self.folder} rest on; it was "
            f"damaged or removed, and the {what} of now cannot be proven to be the same. Put it "
            f"back, or run the experiment under another name, or with {fresh()}, which moves this "
            "folder aside."
        )

    def _refuse_other(self, name: str, table: pd.DataFrame, columns: list[str]) -> None:
        """Raise where a table is on disk with other values in these columns."""
        path = self.place(f"{name}.csv")
        if not path.exists():
            if self._has_runs() and not expects(path, csv_text(table).encode()):
                raise self._unknown(path, _INPUTS[name])
            return
        if absent := set(columns) - set(read_csv(path)):
            raise self._unknown(path, f"{min(absent)} of the images")
        old, new = lines_of(path, columns), lines_of_table(table[columns])
        gone, come = set(old) - set(new), set(new) - set(old)
        changed = [line for line in (*old, *new) if line in gone | come]
        if changed:
            count = f"{len(changed)} line{'s' * (len(changed) > 1)}"
            which = "was there before" if changed[0] in gone else "is new"
            such = one_line(changed[0])
            what = name if name == CORRECTIONS else "images"
            raise ResultsError(
                f"The {what} are not those of the results in {self.folder}: {name}.csv differs in "
                f"{count}, such as {such}, which {which}. Restore the {what}, or run "
                f"under another name, or with {fresh()}, which moves this folder aside."
            )

    def _run(self, run_id: str) -> Path:
        return self.place("runs") / run_id


def _write_outcome(folder: Path, outcome: Outcome) -> None:
    write_json(folder / "row.json", outcome.run.as_row())
    outcome.history.to_csv(folder / "history.csv", index=False)
    np.savez(
        folder / "probabilities.npz",
        validation=outcome.validation_probabilities,
        tempered=outcome.selection_losses,
        test=outcome.test_probabilities,
    )
    np.savez(folder / "weights.npz", allow_pickle=False, **outcome.weights)
    if outcome.probes is not None:
        outcome.probes.to_csv(folder / "probes.csv", index=False)


def _as_text(content: Any) -> bytes:
    """As `write_json` writes it."""
    return (json.dumps(content, indent=2) + "\n").encode()


def _is_listed(path: Path, content: Any) -> bool:
    try:
        return expects(path, _as_text(content))
    except DamagedError:
        return False


def _made_all_runs(config: ExperimentConfig, folder: Path) -> bool:
    """Whether there are finished runs, all of this configuration but for keys without effect."""
    try:
        hashes = {finished_run(path.parent).configuration_hash for path in _rows(folder)}
    except DamagedError:
        return False
    return hashes == {fingerprint(config)}


def _rows(folder: Path) -> list[Path]:
    return sorted(place(folder, "runs").glob("*/row.json"))


def _stored_config(path: Path) -> dict[str, Any]:
    """A folder's configuration, with the defaults of keys that are younger than the folder."""
    try:
        # also one that was changed by hand: the comparison names what
        raw = any_json(path)
    except DamagedError as error:
        raise ResultsError(
            f"{path} must be the configuration of the results beside it; got a file that cannot be "
            f"used: {error.why}. Restore it, or use {fresh()} to move the folder aside."
        ) from error
    try:
        return ExperimentConfig.model_validate_json(json.dumps(completed(raw))).as_dict()
    except ValidationError:
        # Some of its keys are no longer known: the comparison names them.
        return raw


def _search_facts(path: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a search depends on, with the defaults of keys that are younger than its folder."""
    facts = any_json(path)
    sections = {key: value for key, value in facts.items() if key in ExperimentConfig.model_fields}
    try:
        text = json.dumps({"name": "any", **completed(sections)})
        complete = ExperimentConfig.model_validate_json(text).as_dict()
    except ValidationError:
        return facts
    return facts | {key: complete[key] for key in wanted if key in complete}


def _refuse_other_files(folder: Path) -> None:
    if not all(map(_begins, folder.iterdir())):
        raise ResultsError(
            f"{folder} must be empty or hold results of this package; got other files. Choose "
            f"another name, or use {fresh()} to move the folder aside."
        )


def _begins(path: Path) -> bool:
    """Whether a kill may have left it before the configuration was written."""
    if path.name == STATE and path.is_dir():
        return all(_begins(inside) or inside.name == LAYOUT for inside in path.iterdir())
    return path.name.startswith((UNFINISHED, LOCK, DIGESTS))


def _other_weights(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return bool(old.get(_WEIGHTS, new[_WEIGHTS]) != new[_WEIGHTS])


def _refuse_other_weights(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if _other_weights(old, new):
        raise ResultsError(
            f"The source weights are not those of the results in {folder}: their SHA-256 must be "
            f"{old[_WEIGHTS]}, got {new[_WEIGHTS]}. Restore the weights, give this experiment "
            f"another name, or use {fresh()} to move the old folder aside."
        )


def _free_name(folder: Path) -> str:
    """A name near that of a folder, which no other folder beside it has."""
    names = (f"{folder.name}_{number}" for number in count(2))
    return next(name for name in names if not os.path.lexists(folder.with_name(name)))


def _others_given(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What it means that another table was written of what Python gave."""
    before, now = (str((each.get("data") or {}).get("table")) for each in (old, new))
    if before == now or PICTURES not in Path(now).parts:
        return ""
    return (
        "\nThe images that are given now are others than those of the results, or their labels, "
        "groups or order are."
    )


def _refuse_changes(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if changes := differences(old, new):
        raise ResultsError(
            f"{folder} holds results of another configuration:\n  "
            + "\n  ".join(changes)
            + _others_given(old, new)
            + f"\nTo go on with the settings of these results: {go_on(folder / CONFIG)}\n"
            f"For other settings use {fresh()}, which moves the old folder aside, or another name: "
            f"{again({'name': _free_name(folder)})}"
        )
