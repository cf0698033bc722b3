"""How fast the package trains, beside plain scripts that do the same.

    python -m benchmarks.speed BENCHMARK --images FOLDER --weights FILE

BENCHMARK is one of

phase_1      the head for 20 epochs, beside one bare forward pass over the same images, beside the
             script of the Keras guide "Transfer learning & fine-tuning", and beside a script that
             computes the features once by hand, which the guide does not;
fine_tuning  the top 4 blocks for 10 epochs after that, beside the guide's script;
search       depths 0 to 5 with two rates each, beside a plain KerasTuner search; with `--all`
             also the whole backbone. The grid has 11 trials on both sides (13 with `--all`): with
             nothing unfrozen there is no second rate to try;
probes       linear probes of every block, beside one bare forward pass, and beside the same
             regressions by scikit-learn, one after the other;
convergence  the same 4 blocks, each phase until validation loss has not improved for 20 epochs
             (at most 200), whatever `--epochs` says.

FOLDER holds one sub-folder per class, FILE the weights of MobileNetV2 without its classifier.
Without them surface defects are drawn and the network starts at random, which tells of times alone.

All sides start from decoded uint8 photos in memory, with the same backbone, batch size, epochs and
optimizer, BatchNorm frozen, without augmentation, and but for `convergence` without early stopping.
Every measurement has a process of its own, in alternating order; imports are not timed, building
the network, loading its weights and tracing are. `accuracy` is on the validation images at the
epoch with the lowest validation loss, on every side. Adds its rows to results/benchmarks.csv.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import ours, theirs
from benchmarks.fresh import in_turn
from benchmarks.record import record
from benchmarks.task import Task, load_task
from tl_keras.models.backbone import Depth

DEPTHS, RATES, TOP_BLOCKS = (0, 1, 2, 3, 4, 5), (1e-5, 1e-4), 4
LONGEST, PATIENCE = 200, 20

Row = dict[str, object]


def main() -> None:
    """Run one benchmark and keep its rows."""
    options = _parser().parse_args()
    task = load_task(
        options.images,
        options.weights,
        counts=options.counts,
        image_size=options.image_size,
        head_epochs=options.epochs[0],
        epochs=options.epochs[1],
    )
    case = f"{task.case}, depth all too" if options.all else task.case
    rows = BENCHMARKS[options.benchmark](task, options)
    rows = [{"benchmark": options.benchmark, "case": case, **row} for row in rows]
    print(pd.DataFrame(rows).drop(columns=["benchmark", "case"]).to_string(index=False))
    record(rows)


def phase_1(task: Task, options: argparse.Namespace) -> list[Row]:
    """The head alone."""
    rows = np.concatenate([task.train, task.validation])
    sides = {
        "ours": partial(ours.phase_1, task),
        "forward pass": partial(theirs.forward_pass, task, rows),
        "by hand": partial(theirs.features_by_hand, task),
        "guide": partial(theirs.guide, task, 0),
    }
    runs = in_turn(sides, options.repeats)
    over = _mean(runs, "ours", "traced_seconds") - _mean(runs, "forward pass")
    return [
        *_raw(runs),
        _row("ours traced less forward pass", over, "s", "<= 1"),
        _row("guide / ours", _ratio(runs, "guide"), "times", ">= 10"),
        _row("by hand / ours", _ratio(runs, "by hand"), "times"),
    ]


def fine_tuning(task: Task, options: argparse.Namespace) -> list[Row]:
    """The top blocks after phase 1."""
    runs = _both_phases(task, options)
    return [
        *_raw(runs),
        _row("guide / ours, phase 2", _ratio(runs, "guide", "phase_2_seconds"), "times", ">= 3"),
        _row("guide / ours, both phases", _ratio(runs, "guide"), "times"),
    ]


def convergence(task: Task, options: argparse.Namespace) -> list[Row]:
    """Both phases until neither side improves."""
    runs = _both_phases(task.until_convergence(LONGEST, PATIENCE), options)
    gain = _mean(runs, "ours", "test_accuracy") - _mean(runs, "guide", "test_accuracy")
    return [
        *_raw(runs),
        _row("guide / ours, both phases", _ratio(runs, "guide"), "times"),
        _row("ours less guide, test_accuracy", gain, "fraction"),
    ]


def _both_phases(task: Task, options: argparse.Namespace) -> pd.DataFrame:
    sides = {
        "ours": partial(ours.fine_tuning, task, TOP_BLOCKS),
        "guide": partial(theirs.guide, task, TOP_BLOCKS),
    }
    return in_turn(sides, options.repeats)


def search(task: Task, options: argparse.Namespace) -> list[Row]:
    """The same grid on both sides."""
    depths: list[Depth] = [*DEPTHS, "all"] if options.all else [*DEPTHS]
    sides = {
        "ours": partial(ours.search, task, depths, RATES),
        "KerasTuner": partial(theirs.search, task, depths, RATES),
    }
    runs = in_turn(sides, options.repeats)
    gain = _mean(runs, "ours", "accuracy") - _mean(runs, "KerasTuner", "accuracy")
    target = None if options.all else ">= 6"
    return [
        *_raw(runs),
        _row("KerasTuner / ours", _ratio(runs, "KerasTuner"), "times", target),
        _row(
            "KerasTuner / ours, processor time",
            _ratio(runs, "KerasTuner", "processor_seconds"),
            "times",
        ),
        _row("ours less KerasTuner, accuracy", gain, "fraction", ">= 0"),
    ]


def probes(task: Task, options: argparse.Namespace) -> list[Row]:
    """All blocks, with cross-validation."""
    sides = {
        "ours": partial(ours.probes, task),
        "forward pass": partial(theirs.forward_pass, task, task.train),
        "scikit-learn": partial(theirs.probes, task),
    }
    runs = in_turn(sides, options.repeats)
    over = _mean(runs, "ours") - 1.5 * _mean(runs, "forward pass")
    most = "<= 1.5" if len(task.train) <= 120 else None
    return [
        *_raw(runs),
        _row("ours less 1.5 forward passes", over, "s", "<= 10"),
        *(
            _row(f"ours, {variable}", _mean(runs, "ours", variable), "s", most)
            for variable in ("cross_validation", "cross_validation_processor")
        ),
        _row(
            "scikit-learn / ours, cross_validation_processor",
            _ratio(runs, "scikit-learn", "cross_validation_processor"),
            "times",
        ),
    ]


BENCHMARKS: dict[str, Callable[[Task, argparse.Namespace], list[Row]]] = {
    "phase_1": phase_1,
    "fine_tuning": fine_tuning,
    "search": search,
    "probes": probes,
    "convergence": convergence,
}


def _raw(runs: pd.DataFrame) -> list[Row]:
    """One row for each number of each run."""
    return [
        _row(f"{run['side']}, run {run['repeat']}, {variable}", value, _unit(str(variable)))
        for run in runs.to_dict("records")
        for variable, value in run.items()
        if variable not in ("side", "repeat") and not np.isnan(value)
    ]


def _unit(variable: str) -> str:
    units = {"epochs": "epochs", "trials": "trials", "loss": "nats"}
    return "fraction" if "accuracy" in variable else units.get(variable, "s")


def _row(measure: str, value: float, unit: str, target: str | None = None) -> Row:
    return {"measure": measure, "value": value, "unit": unit, "target": target}


def _mean(runs: pd.DataFrame, side: str, column: str = "seconds") -> float:
    return float(runs.loc[runs["side"] == side, column].mean())


def _ratio(runs: pd.DataFrame, other: str, column: str = "seconds") -> float:
    return _mean(runs, other, column) / _mean(runs, "ours", column)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("benchmark", choices=list(BENCHMARKS))
    parser.add_argument("--images", type=Path, help="a folder of 900 photos or more")
    parser.add_argument("--weights", type=Path, help="a .weights.h5 file")
    parser.add_argument("--all", action="store_true", help="search: the whole backbone too")
    parser.add_argument("--repeats", type=int, default=2, help="measurements of each side")
    parser.add_argument("--image-size", type=int, default=160, help="pixels")
    parser.add_argument(
        "--counts",
        type=int,
        nargs=3,
        default=(500, 200, 200),
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="images",
    )
    parser.add_argument(
        "--epochs", type=int, nargs=2, default=(20, 10), metavar=("HEAD", "FINE_TUNING")
    )
    return parser


if __name__ == "__main__":
    main()
