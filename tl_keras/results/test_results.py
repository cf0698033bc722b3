"""Test predictions of finished runs, and what they say of a strategy and of two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.evaluation.comparison import Needed, fold_images_needed, images_needed
from tl_keras.evaluation.fold_intervals import FoldScores, fold_accuracy_interval, fold_difference
from tl_keras.evaluation.intervals import Interval, accuracy_interval, paired_difference
from tl_keras.strategy_table import STRATEGIES, names_where

# What makes runs the same but for the seed.
KEYS = ["strategy", "unfrozen_blocks", "train_per_class"]
# Depth of a strategy that searched in every fold and found several.
VARIES = "varies"


@dataclass(frozen=True)
class TestResults:
    """Test predictions of all finished runs.

    Attributes:
        labels: int (images,), the true class indices of all images of the experiment.
        rows: run_id to int (test images,): positions of the run's test images.
        predicted: run_id to int (test images,), class indices.
        classes: names in the order of the indices.
        folds: of a division whose folds are the test splits; 0 for one test split.
        groups: int (images,), number of the group of every image; None where each is its own.
    """

    # for pytest this is no class of tests
    __test__ = False

    labels: np.ndarray
    rows: Mapping[str, np.ndarray]
    predicted: Mapping[str, np.ndarray]
    classes: Sequence[str]
    folds: int = 0
    groups: np.ndarray | None = None

    def labels_of(self, run_id: str) -> np.ndarray:
        """The true classes of a run's test images, int (test images,)."""
        return np.asarray(self.labels[self.rows[run_id]])

    def correct_of(self, run_id: str) -> np.ndarray:
        """Boolean (test images,)."""
        return np.asarray(self.predicted[run_id] == self.labels_of(run_id))

    def class_ratio(self, run_ids: Sequence[str]) -> float:
        """Test images of the largest class over those of the smallest that has any."""
        rows = np.unique(np.concatenate([self.rows[run_id] for run_id in run_ids]))
        counts = np.bincount(self.labels[rows])
        return float(counts.max() / counts[counts > 0].min())

    def accuracy(self, runs: pd.DataFrame) -> Interval:
        """Test accuracy of a strategy.

        Args:
            runs: its rows of `runs.csv`, one per seed.
        """
        if self.folds:
            return fold_accuracy_interval(self._scores(runs))
        return accuracy_interval(self._matrix(runs), groups=self._groups_of(runs))

    def difference(self, a: pd.DataFrame, b: pd.DataFrame) -> tuple[Interval, Needed] | None:
        """Accuracy of a less that of b, by the seeds that both finished, and what would tell more.

        Args:
            a: rows of `runs.csv` of one strategy, depth and size, one per seed.
            b: of another of the same size.

        Returns:
            None where they have no seed in common.
        """
        paired = set(a["seed"]) & set(b["seed"])
        if not paired:
            return None
        a, b = (table[table["seed"].isin(paired)] for table in (a, b))
        if self.folds:
            folded = self._scores(a), self._scores(b)
            return fold_difference(*folded), fold_images_needed(*folded)
        crossed = self._matrix(a), self._matrix(b)
        groups = self._groups_of(a)
        return paired_difference(*crossed, groups=groups), images_needed(*crossed, groups=groups)

    def answers(self, runs: pd.DataFrame) -> np.ndarray:
        """Which images a strategy answered correctly, boolean (times, images).

        A row per seed with one test split; with folds per division, which tests every image once.

        Args:
            runs: its rows of `runs.csv`, one per seed.
        """
        if not self.folds:
            return self._matrix(runs)
        ordered = _in_order(runs)
        divisions = [ordered[k : k + self.folds] for k in range(0, len(ordered), self.folds)]
        return np.stack([self._joined(division) for division in divisions])

    def answer_groups(self, runs: pd.DataFrame) -> np.ndarray | None:
        """The groups of the images of `answers`, int (images,); None where each is its own.

        Args:
            runs: as of `answers`.
        """
        if self.groups is None or not self.folds:
            return self._groups_of(runs)
        division = _in_order(runs)[: self.folds]
        return np.asarray(
            self.groups[np.sort(np.concatenate([self.rows[run_id] for run_id in division]))]
        )

    def _joined(self, run_ids: Sequence[str]) -> np.ndarray:
        """The answers of a division's folds in the order of the images."""
        order = np.argsort(np.concatenate([self.rows[run_id] for run_id in run_ids]))
        return np.concatenate([self.correct_of(run_id) for run_id in run_ids])[order]

    def _matrix(self, runs: pd.DataFrame) -> np.ndarray:
        """Boolean (seeds, test images)."""
        return np.stack([self.correct_of(run_id) for run_id in _in_order(runs)])

    def _groups_of(self, runs: pd.DataFrame) -> np.ndarray | None:
        if self.groups is None:
            return None
        return np.asarray(self.groups[self.rows[_in_order(runs)[0]]])

    def _scores(self, runs: pd.DataFrame) -> FoldScores:
        ordered = _in_order(runs)
        used = runs["training_images"] + runs["validation_images"]
        return FoldScores(
            [self.correct_of(run_id) for run_id in ordered],
            [self.rows[run_id] for run_id in ordered],
            self.folds,
            round(used.mean()),
            None if self.groups is None else [self.groups[self.rows[run_id]] for run_id in ordered],
        )


def by_strategy(runs: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """The runs of each strategy, depth and size, with their keys, in the order of the runs.

    A search in every fold may choose several depths: they are one strategy, its depth "varies".
    """
    depth = runs["unfrozen_blocks"].copy()
    own = runs["strategy"].isin(names_where(lambda spec: spec.searches))
    for _, group in runs[own].groupby("train_per_class", dropna=False):
        if group["unfrozen_blocks"].nunique() > 1:
            depth[group.index] = VARIES
    groups = runs.assign(unfrozen_blocks=depth).groupby(KEYS, dropna=False, sort=False)
    return [(dict(zip(KEYS, key, strict=True)), runs.loc[group.index]) for key, group in groups]


def method_of(runs: pd.DataFrame, run_id: str) -> pd.DataFrame:
    """The runs of the same strategy, depth and size as one of them, itself included."""
    return next(group for _, group in by_strategy(runs) if (group["run_id"] == run_id).any())


def rows_like(
    table: pd.DataFrame, row: Mapping[Any, Any], keys: Sequence[str] = KEYS
) -> pd.DataFrame:
    """The rows that have the same strategy, depth and training size; missing values are equal."""
    same = np.ones(len(table), bool)
    for key in keys:
        missing, value = table[key].isna().to_numpy(bool), row[key]
        equal = table[key].to_numpy(object)[~missing] == value
        same[missing] &= bool(pd.isna(value))
        same[~missing] &= np.zeros(len(equal), bool) if pd.isna(value) else equal
    return table[same]


def kind_name(strategy: str) -> str:
    """A strategy without its depth, for people: "fine-tuning"."""
    return STRATEGIES[strategy].label


def strategy_name(row: Mapping[Any, Any]) -> str:
    """A strategy for people: "fine-tuning (2 blocks)"; without a depth where it is missing."""
    name = kind_name(str(row["strategy"]))
    if not STRATEGIES[row["strategy"]].has_depths or pd.isna(row["unfrozen_blocks"]):
        return name
    depth = str(row["unfrozen_blocks"])
    if depth == VARIES:
        return f"{name} (in each fold)"
    if ":" in depth:
        return f"{name} ({depth.replace(':', ' to ')})"
    return f"{name} ({depth} block{'' if depth == '1' else 's'})"


def run_name(run: Mapping[Any, Any], folds: int | None) -> str:
    """A run for people: "fine-tuning (2 blocks), 10 per class, seed 3".

    Args:
        run: its row, or what is planned of it.
        folds: of a division, where every fold is a run.
    """
    size = run["train_per_class"]
    per_class = "" if pd.isna(size) else f", {size:.0f} per class"
    return f"{strategy_name(run)}{per_class}, {seed_name(int(run['seed']), folds)}"


def seed_name(seed: int, folds: int | None) -> str:
    """A seed for people: "seed 3", or "fold 4 of 5", from the second on with its "repeat 2"."""
    if not folds:
        return f"seed {seed}"
    repeat, fold = divmod(seed, folds)
    return f"fold {fold + 1} of {folds}" + (f", repeat {repeat + 1}" if repeat else "")


def _in_order(runs: pd.DataFrame) -> list[str]:
    ordered: list[str] = runs.sort_values("seed")["run_id"].tolist()
    return ordered
