"""What the model that is handed over gets right, beside the measured one and what is announced.

    python -m benchmarks.handed_over --images DATA --weights FILE

From every set of photos some of each class are drawn, which is all that an experiment gets: it
divides them into training, validation and test as it does with anybody's. Two models are asked
about the photos that it never saw: the chosen run as it was measured (`export.train_on` training),
and the same fitted anew to every photo that the experiment had (all). Groups lie on one side.
Beside them stands what the second one's card announces, by the learning curve or as measured, and
whether its interval holds the accuracy. Writes handed_over.csv, a row per set, size, strategies and
draw.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.representation import BRICKS
from benchmarks.rows import keep_in_table
from benchmarks.source_models import BACKBONE, MOST_TESTED, SETS, SIDE, load_photos
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.reporting.handed_over_words import announced
from tl_keras.results_layout import place
from tl_keras.serving.keras_file import LABELS_FILE
from tl_keras.serving.versions import EXTRA

SIZES = (10, 20)
PROBES = ("linear_probe",)


def main() -> None:
    """Measure the cases asked for; rows of others stay as they are."""
    options = _parser().parse_args()
    for photos in (*SETS, BRICKS):
        if options.only not in photos.name:
            continue
        pixels, labels, groups = load_photos(options.images, photos)
        for size in options.sizes:
            rows = [
                {"case": _case(photos.name, size, options.strategies), "draw": draw, **row}
                for draw, row in enumerate(_draws(options, pixels, labels, groups, size))
            ]
            if rows:
                keep_in_table(options.output, pd.DataFrame(rows), "case")
    print(summary(pd.read_csv(options.output)).to_string(float_format="%.3f"))


def _case(photos: str, size: int, strategies: Sequence[str]) -> str:
    named = [] if list(strategies) == list(PROBES) else strategies
    return ", ".join((photos, f"{size} per class", *named))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over the draws of a case, and how often the announced interval held the accuracy."""
    held = rows["handed_over"].between(rows["announced_low"], rows["announced_high"])
    means = rows.assign(held=held).groupby("case", sort=False)
    table = means[["measured_model", "handed_over", "announced", "held"]].mean()
    errors = (1 - table["handed_over"]) / (1 - table["measured_model"])
    return table.assign(errors=errors)


def _draws(
    options: argparse.Namespace,
    pixels: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    size: int,
) -> Iterator[dict[str, Any]]:
    """A row per draw; none where a class has too few photos to leave some out."""
    for seed in range(options.draws):
        given = _some(labels, groups, size, seed)
        asked = np.flatnonzero(~np.isin(groups, groups[given]))
        if min(np.bincount(labels[given])) < size or len(np.unique(labels[asked])) <= labels.max():
            print(f"too few photos for {size} per class", flush=True)
            return
        asked = np.random.default_rng(seed).permutation(asked)[:MOST_TESTED]
        with TemporaryDirectory() as folder:
            arrays = pixels[given], labels[given], groups[given]
            yield {"seed": seed, **_row(options, folder, arrays, pixels[asked], labels[asked])}


def _row(
    options: argparse.Namespace,
    folder: str,
    given: tuple[np.ndarray, np.ndarray, np.ndarray],
    asked: np.ndarray,
    labels: np.ndarray,
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, train_on in (("measured_model", "training"), ("handed_over", "all")):
        result = run_experiment(
            images=given,
            name="handed_over",
            results_dir=folder,
            backbone={"name": BACKBONE, "weights": options.weights, "image_size": SIDE},
            strategies=options.strategies,
            export={"train_on": train_on},
        )
        names = json.loads(place(result.folder, LABELS_FILE).read_text("utf-8"))
        answers = result.model().predict(asked.astype(np.float32), verbose=0).argmax(axis=1)
        row[name] = float((np.array(names, int)[answers] == labels).mean())
    return {**row, **_announced(result), "asked": len(labels)}


def _announced(result: ExperimentResult) -> dict[str, Any]:
    assert result.export is not None
    card = json.loads((result.export / EXTRA / "model_card.json").read_text("utf-8"))
    facts = card["handed_over"]
    share = announced(facts)
    return {
        "announced": share["estimate"],
        "announced_low": share["low"],
        "announced_high": share["high"],
        "strategy": card["run"]["strategy"],
        "learned": facts["images"],
        "measured_learned": facts["measured"]["images"],
    }


def _some(labels: np.ndarray, groups: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Positions of so many photos of each class, from as few groups as a random order gives."""
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    rank = np.empty(groups.max() + 1, int)
    rank[order] = np.arange(len(order))
    rows = [
        own[np.argsort(rank[groups[own]], kind="stable")][:size]
        for own in (np.flatnonzero(labels == number) for number in range(labels.max() + 1))
    ]
    return np.sort(np.concatenate(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with the sets' folders")
    parser.add_argument("--weights", required=True, help="of MobileNetV2: a file or bundled")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="photos per class")
    parser.add_argument("--strategies", nargs="+", default=PROBES)
    parser.add_argument("--only", default="", metavar="TEXT", help="sets whose name has this")
    parser.add_argument(
        "--output", type=Path, default=Path("results/reference/handed_over.csv"), help="a CSV file"
    )
    return parser


if __name__ == "__main__":
    main()
