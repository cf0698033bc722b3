"""Trainings by the package, beside plain scripts that do the same; `benchmarks.speed` runs them."""

import argparse
from functools import partial

import numpy as np
import pandas as pd

from benchmarks import ours, theirs
from benchmarks.fresh import in_turn
from benchmarks.rows import Row, mean, raw, row
from benchmarks.task import Task
from tl_keras.models.backbone import Depth

DEPTHS, RATES, TOP_BLOCKS = (0, 1, 2, 3, 4, 5), (1e-5, 1e-4), 4
LONGEST, PATIENCE = 200, 20


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
    over = mean(runs, "ours", "traced_seconds") - mean(runs, "forward pass")
    return [
        *raw(runs),
        row("ours traced less forward pass", over, "s", "<= 1"),
        row("guide / ours", _ratio(runs, "guide"), "times", ">= 10"),
        row("by hand / ours", _ratio(runs, "by hand"), "times"),
    ]


def fine_tuning(task: Task, options: argparse.Namespace) -> list[Row]:
    """The top blocks after phase 1."""
    runs = _both_phases(task, options)
    return [
        *raw(runs),
        row("guide / ours, phase 2", _ratio(runs, "guide", "phase_2_seconds"), "times", ">= 3"),
        row("guide / ours, both phases", _ratio(runs, "guide"), "times"),
    ]


def convergence(task: Task, options: argparse.Namespace) -> list[Row]:
    """Both phases until neither side improves."""
    runs = _both_phases(task.until_convergence(LONGEST, PATIENCE), options)
    gain = mean(runs, "ours", "test_accuracy") - mean(runs, "guide", "test_accuracy")
    return [
        *raw(runs),
        row("guide / ours, both phases", _ratio(runs, "guide"), "times"),
        row("ours less guide, test_accuracy", gain, "fraction"),
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
    gain = mean(runs, "ours", "accuracy") - mean(runs, "KerasTuner", "accuracy")
    target = None if options.all else ">= 6"
    return [
        *raw(runs),
        row("KerasTuner / ours", _ratio(runs, "KerasTuner"), "times", target),
        row(
            "KerasTuner / ours, processor time",
            _ratio(runs, "KerasTuner", "processor_seconds"),
            "times",
        ),
        row("ours less KerasTuner, accuracy", gain, "fraction", ">= 0"),
    ]


def probes(task: Task, options: argparse.Namespace) -> list[Row]:
    """All blocks, with cross-validation."""
    sides = {
        "ours": partial(ours.probes, task),
        "forward pass": partial(theirs.forward_pass, task, task.train),
        "scikit-learn": partial(theirs.probes, task),
    }
    runs = in_turn(sides, options.repeats)
    over = mean(runs, "ours") - 1.5 * mean(runs, "forward pass")
    most = "<= 1.5" if len(task.train) <= 120 else None
    return [
        *raw(runs),
        row("ours less 1.5 forward passes", over, "s", "<= 10"),
        *(
            row(f"ours, {variable}", mean(runs, "ours", variable), "s", most)
            for variable in ("cross_validation", "cross_validation_processor")
        ),
        row(
            "scikit-learn / ours, cross_validation_processor",
            _ratio(runs, "scikit-learn", "cross_validation_processor"),
            "times",
        ),
    ]


def _ratio(runs: pd.DataFrame, other: str, column: str = "seconds") -> float:
    return mean(runs, other, column) / mean(runs, "ours", column)
