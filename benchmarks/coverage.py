"""How often the 95% intervals hold the truth, and how often two equal methods are told apart.

    python -m benchmarks.coverage

Simulated, so that the truth is known. `seeds`: one test split, scores a probit of seed, image and
chance; with groups, the images of one share their difficulty. `folds`: random features and a ridge
classifier on Gaussian classes, cross-validated; the truth is the mean accuracy of 60 other
trainings on as many images, tested on 20,000 more. `false` counts verdicts "better" and "worse"
between two methods that differ by their seeds alone; `difference_coverage` is of two methods that
differ. `exports`, `decisions` and `probes` are told in `benchmarks.grouped_coverage`. Rows take the
places of the same cases in coverage.csv.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.model_selection import StratifiedKFold

from benchmarks.grouped_coverage import decision_cases, export_cases, probe_cases
from tl_keras.evaluation.comparison import verdict
from tl_keras.evaluation.fold_intervals import FoldScores, fold_accuracy_interval, fold_difference
from tl_keras.evaluation.intervals import Interval, accuracy_interval, paired_difference

Correct = NDArray[np.bool_]
RESAMPLES = 1000
# Standard deviation of a seed's accuracy: seen on photos with 5 to 20 training images per class.
SEED_SD = 0.02
CLASSES, DIMENSIONS, HIDDEN = 3, 8, 40
# What makes cases the same.
KEYS = ["estimate", "case", "runs", "images", "images_per_group", "groups_known"]


def main() -> None:
    """Simulate every case and write the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.coverage")
    parser.add_argument("--repeats", type=int, default=400, help="of every case")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--output", type=Path, default=Path("results/reference/coverage.csv"))
    options = parser.parse_args()
    rows = []
    for name in options.only:
        for row in PARTS[name](options.repeats):
            print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
            rows.append(row)
    table = pd.DataFrame(rows)
    if options.output.exists():
        table = pd.concat([pd.read_csv(options.output), table], ignore_index=True)
    table["place"] = table.groupby(KEYS, sort=False).ngroup()
    newest = table.drop_duplicates(KEYS, keep="last").sort_values("place")
    newest.drop(columns="place").to_csv(options.output, index=False)


class _Counts:
    """What is counted over the repeats of a case."""

    def __init__(self) -> None:
        self._held: list[bool] = []
        self._widths: list[float] = []
        self._told: list[bool] = []
        self._differences: list[bool] = []

    def add(
        self,
        accuracy: tuple[Interval, float],
        difference: tuple[Interval, float],
        same: Interval,
    ) -> None:
        """One repeat: two intervals with their truths, and one between two equal methods."""
        for (interval, truth), held in (
            (accuracy, self._held),
            (difference, self._differences),
        ):
            held.append(interval.low <= truth <= interval.high)
        self._widths.append(accuracy[0].high - accuracy[0].low)
        self._told.append(verdict(same, "a", "b").outcome != "not distinguishable")

    def columns(self) -> dict[str, float]:
        return {
            "repeats": len(self._held),
            "coverage": round(float(np.mean(self._held)), 4),
            "mean_width": round(float(np.mean(self._widths)), 4),
            "difference_coverage": round(float(np.mean(self._differences)), 4),
            "false": round(float(np.mean(self._told)), 4),
        }


def _seed_cases(repeats: int) -> Iterator[dict[str, object]]:
    for accuracy, seeds, images in product((0.6, 0.8, 0.95, 0.99), (1, 3, 5), (60, 120, 300)):
        yield _seed_case(accuracy, seeds, images, 1, True, repeats)


def _group_cases(repeats: int) -> Iterator[dict[str, object]]:
    for accuracy, seeds, of_one in product((0.8, 0.95), (1, 3), (4, 10)):
        for aware in (False, True):
            yield _seed_case(accuracy, seeds, 300, of_one, aware, repeats)


def _seed_case(
    accuracy: float, seeds: int, images: int, of_one: int, aware: bool, repeats: int
) -> dict[str, object]:
    """Groups of `of_one` images; `aware` tells the intervals about them."""
    random = np.random.default_rng([round(1000 * accuracy), seeds, images, of_one])
    counts, other = _Counts(), accuracy - min(0.05, (1 - accuracy) / 2)
    groups = np.arange(images) // of_one if aware and of_one > 1 else None
    for _ in range(repeats):
        # images make half the variance of a score; in groups they are alike
        hard = random.standard_normal(-(-images // of_one)).repeat(of_one)[:images] * 0.5**0.5
        (ours, truth), (theirs, _), (worse, truth_of_worse) = (
            _probit(random, level, seeds, hard) for level in (accuracy, accuracy, other)
        )
        counts.add(
            (accuracy_interval(ours, resamples=RESAMPLES, groups=groups), truth),
            (
                paired_difference(ours, worse, resamples=RESAMPLES, groups=groups),
                truth - truth_of_worse,
            ),
            paired_difference(ours, theirs, resamples=RESAMPLES, groups=groups),
        )
    return {
        "estimate": "seeds",
        "case": f"accuracy {accuracy}",
        "runs": seeds,
        "images": images,
        "images_per_group": of_one,
        "groups_known": aware and of_one > 1,
        **counts.columns(),
    }


def _probit(
    random: np.random.Generator, accuracy: float, seeds: int, hard: NDArray[np.float64]
) -> tuple[Correct, float]:
    """What new seeds answer correctly, and what the interval should hold.

    With one seed that is the accuracy of this seed, with several that of the method.
    """
    sd = min(SEED_SD, (1 - accuracy) / 3)
    spread = sd / norm.pdf(norm.ppf(accuracy))
    level = norm.ppf(accuracy) * np.sqrt(1 + spread**2)
    shift = spread * random.standard_normal((seeds, 1))
    chance = random.standard_normal((seeds, len(hard))) * 0.5**0.5
    truth = float(norm.cdf(level + shift[0, 0])) if seeds == 1 else accuracy
    return level + shift + hard + chance > 0, truth


def _fold_cases(repeats: int) -> Iterator[dict[str, object]]:
    for images, apart, (folds, divisions), drawn in product(
        (60, 300), (1.5, 3.0, 4.2), ((5, 1), (5, 2), (10, 1)), (None, 5)
    ):
        yield _fold_case(images, apart, folds, divisions, drawn, repeats)


def _fold_case(
    images: int, apart: float, folds: int, divisions: int, drawn: int | None, repeats: int
) -> dict[str, object]:
    """`drawn` images per class of the other folds are trained on; None is all."""
    random = np.random.default_rng([images, round(10 * apart), folds, divisions, drawn or 0])
    counts = _Counts()
    trained = drawn * CLASSES if drawn else images - images // folds
    truths = [_truth(random, trained, apart, hidden) for hidden in (HIDDEN, HIDDEN // 4)]
    for _ in range(repeats):
        values, labels = _gaussians(random, images, apart)
        tests = [
            held
            for _ in range(divisions)
            for _, held in StratifiedKFold(
                folds, shuffle=True, random_state=int(random.integers(2**30))
            ).split(values, labels)
        ]
        ours, theirs, worse = (
            FoldScores(
                [_score(random, values, labels, test, drawn, hidden) for test in tests],
                tests,
                folds,
                trained,
            )
            for hidden in (HIDDEN, HIDDEN, HIDDEN // 4)
        )
        counts.add(
            (fold_accuracy_interval(ours), truths[0]),
            (fold_difference(ours, worse), truths[0] - truths[1]),
            fold_difference(ours, theirs),
        )
    return {
        "estimate": f"{divisions} x {folds} folds",
        "case": f"accuracy {truths[0]:.3f}, "
        + (f"{drawn} of each class drawn to train on" if drawn else "all others trained on"),
        "runs": divisions * folds,
        "images": images,
        "images_per_group": 1,
        "groups_known": False,
        **counts.columns(),
    }


def _gaussians(
    random: np.random.Generator, images: int, apart: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values (images, dimensions) and labels; each class is shifted along an axis of its own."""
    labels = np.arange(images) % CLASSES
    values = random.standard_normal((images, DIMENSIONS))
    values[np.arange(images), labels] += apart
    return values, labels


def _score(
    random: np.random.Generator,
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    test: NDArray[np.intp],
    drawn: int | None,
    hidden: int,
) -> Correct:
    others = np.setdiff1d(np.arange(len(labels)), test)
    if drawn:
        shuffled = random.permutation(others)
        own = [shuffled[labels[shuffled] == c][:drawn] for c in range(CLASSES)]
        others = np.concatenate(own)
    predicted = _predicted(random, values[others], labels[others], values[test], hidden)
    return np.asarray(predicted == labels[test])


def _predicted(
    random: np.random.Generator,
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    new: NDArray[np.float64],
    hidden: int,
) -> NDArray[np.intp]:
    """Classes of new values by ridge regression on random rectified features."""
    weights = random.standard_normal((DIMENSIONS, hidden)) / DIMENSIONS**0.5
    known, unknown = (
        np.column_stack([np.maximum(x @ weights, 0), np.ones(len(x))]) for x in (values, new)
    )
    targets = np.eye(CLASSES)[labels]
    solved = np.linalg.solve(known.T @ known + np.eye(hidden + 1), known.T @ targets)
    return np.asarray((unknown @ solved).argmax(axis=1))


def _truth(random: np.random.Generator, trained: int, apart: float, hidden: int) -> float:
    values, labels = _gaussians(random, 20_000, apart)
    found = []
    for _ in range(60):
        known, classes = _gaussians(random, trained, apart)
        found.append(np.mean(_predicted(random, known, classes, values, hidden) == labels))
    return float(np.mean(found))


PARTS = {
    "seeds": _seed_cases,
    "groups": _group_cases,
    "folds": _fold_cases,
    "exports": export_cases,
    "decisions": decision_cases,
    "probes": probe_cases,
}

if __name__ == "__main__":
    main()
