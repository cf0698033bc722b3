"""Several experiments beside each other: what each chose, and how the choices differ on test."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.files import differences
from tl_keras.errors import ResultsError
from tl_keras.evaluation.comparison import verdict
from tl_keras.evaluation.intervals import (
    Interval,
    accuracy_interval,
    independent_difference,
    paired_difference,
)
from tl_keras.reporting.held_out import method_of, strategy_name
from tl_keras.reporting.ledger import Ledger
from tl_keras.reporting.pages import Cells, render, write_page
from tl_keras.reporting.plots import data_uri, experiments_figure
from tl_keras.reporting.results import Results

TEMPLATE = "comparison.html"


@dataclass(frozen=True)
class Choice:
    """What an experiment chose, with its answers on test.

    Attributes:
        results: of the experiment.
        name: of the experiment and the strategy.
        correct: boolean (seeds, test images).
        photos: `image_id` and content of every test image, in the order of the answers.
    """

    results: Results
    name: str
    correct: np.ndarray
    photos: tuple[str, ...]

    @classmethod
    def of(cls, results: Results) -> "Choice":
        """Read the answers of the strategy that validation chose, all its seeds."""
        runs, chosen = results.runs, results.chosen
        own = method_of(runs, str(chosen["run_id"])).sort_values("seed")
        test = _test_images(results)
        ledger, labels = Ledger(results.folder), test["class_index"].to_numpy()
        predicted = [ledger.test_probabilities(run_id).argmax(axis=1) for run_id in own["run_id"]]
        row = results.summary_of(chosen)
        return cls(
            results,
            f"{results.config['name']}: {strategy_name(row)}",
            np.stack(predicted) == labels,
            tuple(test["image_id"] + " " + test["sha256"]),
        )


def write_comparison(folders: Sequence[Path], path: Path) -> Path:
    """Write a page that compares finished experiments.

    Args:
        folders: of two experiments at least.
        path: of the page.

    Raises:
        ResultsError: a folder holds no finished experiment, or the page cannot be written.
    """
    choices = [Choice.of(Results.open(folder)) for folder in folders]
    try:
        write_page(path, render(TEMPLATE, comparison(choices)))
    except OSError as error:
        raise ResultsError(
            f"{path} must be a file that can be written; got: {error}. Choose another --output."
        ) from error
    return path


def comparison(choices: Sequence[Choice]) -> dict[str, Any]:
    """What the template names."""
    intervals = [accuracy_interval(choice.correct) for choice in choices]
    names = [choice.name for choice in choices]
    return {
        "names": [choice.results.config["name"] for choice in choices],
        "plot": data_uri(experiments_figure(names, intervals)),
        "table": _table(choices, intervals),
        "sentences": [_sentence(a, b) for a, b in combinations(choices, 2)],
        "strategies": _strategies(choices),
        "differences": [
            {
                "name": choice.results.config["name"],
                "lines": differences(choices[0].results.config, choice.results.config),
            }
            for choice in choices[1:]
        ],
    }


def difference(a: Choice, b: Choice) -> Interval:
    """Accuracy of a less that of b: paired where both answered the same photos."""
    if a.photos != b.photos:
        return independent_difference(a.correct, b.correct)
    seeds = min(len(a.correct), len(b.correct))
    return paired_difference(a.correct[:seeds], b.correct[:seeds])


def _sentence(a: Choice, b: Choice) -> str:
    how = "paired, on the same test photos" if a.photos == b.photos else "on different test photos"
    return f"{verdict(difference(a, b), a.name, b.name).sentence} ({how})."


def _table(choices: Sequence[Choice], intervals: Sequence[Interval]) -> Cells:
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
                f"{run['classifier_megabytes']:.1f}",
                f"{run['milliseconds_per_image']:.1f}",
                f"{row['training_seconds_mean']:.0f}",
            ]
        )
    return Cells(columns, rows, columns[2:])


def _strategies(choices: Sequence[Choice]) -> Cells:
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


def _test_images(results: Results) -> pd.DataFrame:
    """The test images in the order of the answers, with what is in them."""
    ledger = Ledger(results.folder)
    splits, images = ledger.read("splits"), ledger.read("images")
    test = splits[splits["part"] == "test"]
    return test.merge(images[["image_id", "sha256"]], on="image_id", how="left")
