"""Several experiments beside each other: what each chose, and how the choices differ on test."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.files import differences
from tl_keras.data.listing import some_of
from tl_keras.errors import ResultsError
from tl_keras.evaluation.comparison import verdict
from tl_keras.evaluation.intervals import Interval, independent_difference
from tl_keras.reporting.pages import Cells, render, write_page
from tl_keras.reporting.plot_files import Plot
from tl_keras.reporting.plot_words import experiments_words
from tl_keras.reporting.plots import experiments_figure
from tl_keras.results.finished_experiment import FinishedExperiment
from tl_keras.results.store import Store
from tl_keras.results.test_results import TestResults, method_of, strategy_name

TEMPLATE = "comparison.html"


@dataclass(frozen=True)
class Compared:
    """What an experiment chose, with its answers on test.

    Attributes:
        results: of the experiment.
        name: of the experiment and the strategy.
        runs: of the strategy; their run_id begins with the experiment's place in the comparison.
        tested: what they answered.
        photos: image_id, content and class of every image, in the order of `tested.labels`.
    """

    results: FinishedExperiment
    name: str
    runs: pd.DataFrame
    tested: TestResults
    photos: tuple[str, ...]

    @classmethod
    def of(cls, results: FinishedExperiment, place: int) -> "Compared":
        """Read the answers of the chosen strategy, all its seeds."""
        own = method_of(results.runs, str(results.chosen["run_id"])).sort_values("seed")
        store = Store(results.folder)
        splits, images = store.read("splits"), store.read("images")
        test = splits[splits["part"] == "test"].merge(
            images[["image_id", "sha256", "group"]], on="image_id"
        )
        known = test.drop_duplicates("image_id").sort_values("image_id")
        position = pd.Series(range(len(known)), known["image_id"])
        names = {run_id: f"{place}/{run_id}" for run_id in own["run_id"]}
        rows, predicted = {}, {}
        for run in own.to_dict("records"):
            # a seed is named where each has a test split of its own
            part = test[test["seed"].isna() | (test["seed"] == run["seed"])]
            name = names[run["run_id"]]
            rows[name] = position[part["image_id"]].to_numpy(np.int64)
            predicted[name] = store.test_probabilities(run["run_id"]).argmax(axis=1)
        folds = results.config["estimate"]["folds"] or 0
        labels = known["class_index"].to_numpy(np.int64)
        return cls(
            results,
            f"{results.config['name']}: {strategy_name(results.summary_of(results.chosen))}",
            own.assign(run_id=own["run_id"].map(names)),
            TestResults(labels, rows, predicted, (), folds, pd.factorize(known["group"])[0]),
            tuple(
                known["image_id"] + " " + known["sha256"] + " " + known["class_index"].astype(str)
            ),
        )

    @property
    def accuracy(self) -> Interval:
        """As in `summary.csv`."""
        row = self.results.summary_of(self.results.chosen)
        return Interval(
            row["test_accuracy_mean"],
            row["test_accuracy_low"],
            row["test_accuracy_high"],
            n_seeds=len(self.runs),
            n_images=len(self.photos),
            method=row["interval_method"],
            folds=self.tested.folds,
        )

    def tested_like(self, other: "Compared") -> bool:
        """Whether the seeds that both have answered the same photos."""
        mine, theirs = (
            {seed: each.tested.rows[run_id].tolist() for run_id, seed in _seeds(each.runs)}
            for each in (self, other)
        )
        shared = mine.keys() & theirs.keys()
        same = all(mine[seed] == theirs[seed] for seed in shared)
        return self.photos == other.photos and self.tested.folds == other.tested.folds and same


def _seeds(runs: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(runs["run_id"], runs["seed"], strict=True))


def write_comparison(
    folders: Sequence[Path], path: Path, warn: Callable[[str], None] = lambda caution: None
) -> Path:
    """Write a page that compares finished experiments.

    Args:
        folders: of two experiments at least.
        path: of the page.
        warn: told what speaks against comparing them, a sentence at a time.

    Raises:
        ResultsError: a folder is named twice or holds no finished experiment, the experiments tell
            different classes apart, or the page cannot be written.
    """
    _refuse_same(folders)
    opened = [FinishedExperiment.open(folder) for folder in folders]
    with ExitStack() as stack:
        for results in opened:
            stack.enter_context(results.as_this_version_writes())
        _refuse_other_classes(opened)
        choices = [Compared.of(results, place) for place, results in enumerate(opened)]
        content = comparison(choices)
        page = render(TEMPLATE, content)
    write_page(path, page)
    for caution in content["cautions"]:
        warn(caution)
    return path


def _refuse_same(folders: Sequence[Path]) -> None:
    places = [os.path.realpath(folder) for folder in folders]
    for number, folder in enumerate(folders):
        if places[number] in places[:number]:
            raise ResultsError(
                f"The experiments must be different ones, got {folder} twice. Name each folder "
                "once."
            )


def _refuse_other_classes(opened: Sequence[FinishedExperiment]) -> None:
    (one, its), *rest = (
        (results.config["name"], list(results.confusion.index)) for results in opened
    )
    for other, others in rest:
        if set(others) != set(its):
            raise ResultsError(
                f"The experiments must tell the same classes apart; got {one} with "
                f"{some_of(its, 5)}, and {other} with {some_of(others, 5)}. Their accuracies "
                "answer different questions: compare experiments on the same photos."
            )


def comparison(choices: Sequence[Compared]) -> dict[str, Any]:
    """What the template names."""
    intervals = [choice.accuracy for choice in choices]
    names = [choice.name for choice in choices]
    return {
        "names": [choice.results.config["name"] for choice in choices],
        "plot": Plot(
            "experiments",
            experiments_figure(names, intervals),
            experiments_words(names, intervals),
        ),
        "table": _table(choices, intervals),
        "sentences": [_sentence(a, b) for a, b in combinations(choices, 2)],
        "cautions": [text for a, b in combinations(choices, 2) for text in _cautions(a, b)],
        "strategies": _strategies(choices),
        "differences": [
            {
                "name": choice.results.config["name"],
                "lines": differences(choices[0].results.config, choice.results.config),
            }
            for choice in choices[1:]
        ],
    }


def difference(a: Compared, b: Compared) -> Interval:
    """Accuracy of a less that of b: paired where both answered the same photos."""
    if a.tested_like(b):
        rows, predicted = a.tested.rows, a.tested.predicted
        both = replace(
            a.tested,
            rows={**rows, **b.tested.rows},
            predicted={**predicted, **b.tested.predicted},
        )
        found = both.difference(a.runs, b.runs)
        if found is not None:
            return found[0]
    return independent_difference(a.accuracy, b.accuracy)


def _sentence(a: Compared, b: Compared) -> str:
    told = verdict(difference(a, b), a.name, b.name).sentence
    if a.tested_like(b):
        return f"{told} (paired, on the same test photos)."
    return f"On different test photos, of which one set may be the harder: {told}."


def _cautions(a: Compared, b: Compared) -> Iterator[str]:
    """What else than the choices may make the difference between two experiments."""
    a, b = sorted((a, b), key=lambda each: len(each.photos))
    shared = len(set(a.photos) & set(b.photos))
    one, other = (each.results.config["name"] for each in (a, b))
    same = not differences(a.results.config | {"name": other}, b.results.config)
    if shared < len(a.photos):
        yield (
            f"Of the {len(a.photos)} test photos of {one} {shared} are among those of {other}, "
            "with the same content and class: what differs may be the photos."
        )
    elif same and a.tested_like(b):
        yield f"{one} and {other} are one experiment, made twice: they differ by chance alone."


def _table(choices: Sequence[Compared], intervals: Sequence[Interval]) -> Cells:
    columns = ["experiment", "chosen", "test accuracy", "95% interval", "test photos"]
    columns += ["training photos", "size, MB", "ms per photo", "training, s"]
    rows = []
    for choice, interval in zip(choices, intervals, strict=True):
        run, row = choice.results.chosen, choice.results.summary_of(choice.results.chosen)
        rows.append(
            [
                choice.results.config["name"],
                strategy_name(row),
                f"{interval.estimate:.3f}",
                f"{interval.low:.3f} to {interval.high:.3f}",
                interval.n_images,
                run["training_images"],
                f"{row['classifier_megabytes_mean']:.1f}",
                f"{row['milliseconds_per_image_mean']:.1f}",
                f"{row['training_seconds_mean']:.0f}",
            ]
        )
    return Cells(columns, rows, columns[2:])


def _strategies(choices: Sequence[Compared]) -> Cells:
    """Mean test accuracy of every strategy in every experiment, in its largest training size."""
    by_experiment = [
        {
            strategy_name(row): f"{row['test_accuracy_mean']:.3f}"
            for row in choice.results.largest.to_dict("records")
        }
        for choice in choices
    ]
    names = list(dict.fromkeys(name for column in by_experiment for name in column))
    columns = ["strategy", *(choice.results.config["name"] for choice in choices)]
    rows = [[name, *(column.get(name, "") for column in by_experiment)] for name in names]
    return Cells(columns, rows, columns[1:])
