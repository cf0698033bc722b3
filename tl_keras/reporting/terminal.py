"""What a person sees: warnings, progress with the time left, and the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from tl_keras.evaluation.fold_intervals import CORRECTED_T
from tl_keras.reporting.decision_words import in_short
from tl_keras.reporting.moving_line import MovingLine
from tl_keras.reporting.next_steps import Step
from tl_keras.reporting.safe_console import SafeConsole, marked
from tl_keras.results.runs_table import FinishedRun
from tl_keras.results.summary_tables import mean_probes
from tl_keras.results.test_results import run_name, strategy_name
from tl_keras.safe_text import one_line
from tl_keras.transfer.advice import Advice
from tl_keras.transfer.network_words import labels_of, names_of, sizes_of
from tl_keras.transfer.run_plan import Run
from tl_keras.transfer.source_checks import FAR, NEAR
from tl_keras.transfer.trials import Trial

# Characters of an accuracy of 1.
BAR = 30
# Columns of a terminal that hold every column of the summary beside whole names.
_WIDE = 104
# The largest test class over the smallest, from which on accuracy alone may mislead.
UNEQUAL = 1.5


class TerminalMonitor:
    """Shows an experiment's progress; use it as a context."""

    def __init__(self, console: SafeConsole | None = None, folds: int | None = None) -> None:
        """Prepare for an experiment.

        Args:
            console: to print on; None is a new one.
            folds: of a division, where every fold is a run.
        """
        self._console, self._folds = console or SafeConsole(), folds
        self._line = MovingLine(self._console)
        self._runs = self._made = 0

    def __enter__(self) -> "TerminalMonitor":
        self._line.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._line.__exit__(*exception)

    def stage(self, text: str) -> None:
        self._line.stage(text)

    def warn(self, text: str) -> None:
        show_warning(self._console, text)

    def advise(self, advice: Advice) -> None:
        show_networks(self._console, advice.networks)
        show_advice(self._console, advice)

    def plan(self, runs: tuple[Run, ...], finished: int, seconds: float) -> None:
        if finished:
            self._console.print(f"{finished} of {len(runs)} runs were finished before.")
        self._runs, self._made = len(runs), finished
        self._line.show(total=seconds, completed=0, made=self._count())
        if self._made < self._runs:
            self._line.stage("Training", said=False)

    def progress(self, seconds: float) -> None:
        if seconds:
            self._line.advance(seconds)

    def trial(self, trial: Trial) -> None:
        rate = "" if trial.learning_rate is None else f" at {trial.learning_rate:g}"
        self._console.print(
            f"  trial: up to {trial.cut}, {_unfrozen(trial.unfrozen_blocks)}{rate}, "
            f"augmentation {trial.augmentation}: validation loss {trial.validation_loss:.3f}",
            soft_wrap=True,
        )

    def run(self, run: Run, finished: FinishedRun) -> None:
        self._console.print(
            f"  {run_name(vars(finished), self._folds)}: "
            f"validation {finished.validation_accuracy:.3f}, test {finished.test['accuracy']:.3f} "
            f"({finished.seconds:.0f} s)",
            soft_wrap=True,
        )
        self._made += 1
        self._line.show(made=self._count())
        done = self._made == self._runs
        self._line.stage("Comparing the runs" if done else "Training", said=False)

    def _count(self) -> str:
        return f"{self._made}/{self._runs} runs"


def _unfrozen(depth: str) -> str:
    """Such as "1 unfrozen block", "all unfrozen blocks" or "block_2:block_5 unfrozen"."""
    if ":" in depth:
        return f"{depth} unfrozen"
    return f"{depth} unfrozen block{'' if depth == '1' else 's'}"


def show_summary(console: SafeConsole, summary: pd.DataFrame, notice: str | None) -> None:
    """The summary as a table, and one sentence per comparison with feature extraction.

    Where the test classes are of unequal size, it has a column with balanced accuracy.
    """
    swept = summary["train_per_class"].nunique() > 1
    unequal = bool((summary["test_class_ratio"] > UNEQUAL).any())
    folded = bool(summary["interval_method"].str.startswith(CORRECTED_T).any())
    what = "held-out folds: mean" if folded else "the test split: mean over seeds"
    table = Table(title=f"Accuracy on {what} and 95% interval", show_edge=False)
    table.add_column("strategy")
    numbers = ["test", "95% interval", "sd", "validation", "seconds"]
    if unequal:
        numbers.insert(3, "balanced")
    if (swept or unequal) and console.width < _WIDE:
        # for the names: the interval tells more, and summary.csv has it
        numbers.remove("sd")
    for name in (*(["per class"] if swept else []), *numbers):
        # in a narrow terminal the names give way, not the numbers
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary.to_dict("records"):
        size = row["train_per_class"]
        table.add_row(
            strategy_name(row),
            *([str(size)] if swept else []),
            f"{row['test_accuracy_mean']:.3f}",
            f"{row['test_accuracy_low']:.3f}-{row['test_accuracy_high']:.3f}",
            *(["" if pd.isna(sd := row["test_accuracy_sd"]) else f"{sd:.3f}"] * ("sd" in numbers)),
            *([f"{row['test_balanced_accuracy_mean']:.3f}"] if unequal else []),
            f"{row['validation_accuracy_mean']:.3f}",
            f"{row['training_seconds_mean']:.0f}",
        )
    console.print(table)
    if notice:
        console.print(marked("note", "yellow", notice), soft_wrap=True)
    for row in summary.dropna(subset=["sentence"]).to_dict("records"):
        size = f"With {row['train_per_class']} images per class: " if swept else ""
        needed = "" if pd.isna(row["needed"]) else f"; {row['needed']}"
        console.print(f"{size}{row['sentence']}{needed}.")


def show_warning(console: SafeConsole, text: str) -> None:
    """A line that is marked as a warning."""
    console.print(marked("warning", "yellow", text), soft_wrap=True)


def show_decision(console: SafeConsole, decision: Mapping[str, Any], run: str) -> None:
    """Calibration, threshold and review of the run that is exported, a line each.

    Args:
        console: to print on.
        decision: as `decision.json`.
        run: its name for people.
    """
    console.print(f"Decisions with {run}:")
    for text in in_short(decision):
        console.print(f"  {text}")


def show_answer(console: SafeConsole, sentences: Sequence[str], places: Mapping[str, Path]) -> None:
    """What came of it, set off from the tables before it, and where the rest lies."""
    console.print()
    for sentence in sentences:
        console.print(sentence)
    console.print()
    for what, path in places.items():
        console.print(f"{what}: {path}", soft_wrap=True)


def show_next_steps(console: SafeConsole, steps: Sequence[Step]) -> None:
    """Commands, each in a line of its own that can be copied, after what it is for."""
    width = max((len(purpose) for purpose, _ in steps), default=0) + 1
    for purpose, command in steps:
        console.print(f"{f'{purpose}:':<{width}}  {command}", soft_wrap=True)


def show_probes(console: SafeConsole, probes: pd.DataFrame) -> None:
    """Accuracy of a linear probe at every block, for the largest training size.

    Args:
        console: to print on.
        probes: as `probes.csv`.
    """
    shown = mean_probes(probes)
    table = Table(
        title=f"Linear probe at every block, cross-validated on {shown['images'].iloc[0]:.0f} "
        "training images, mean over seeds",
        show_edge=False,
    )
    table.add_column("block", no_wrap=True)
    table.add_column("accuracy", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for row in shown.to_dict("records"):
        accuracy, share = row["accuracy"], row["weight"]
        bar = "█" * round(BAR * accuracy)
        table.add_row(row["block"], f"{accuracy:.3f}", bar, _percent(share))
    console.print(table)


def show_advice(console: SafeConsole, advice: Advice) -> None:
    """What to borrow, and whether the conditions for it are there, as text."""
    console.print(advice.paragraph())
    for check in advice.checks:
        console.print(f"  {check.name}: {check.finding}. {check.sentence}")


def show_networks(console: SafeConsole, networks: pd.DataFrame) -> None:
    """What probes on each network read at each size, and what it costs; nothing of one."""
    rows = networks.to_dict("records")
    if len(rows) < 2:
        return
    labels = labels_of(rows)
    table = Table(title="What each network is worth here", show_edge=False)
    table.add_column("network", overflow="fold")
    for name in ("px", "accuracy", "95% interval", "loss", "MB", "ms", "minutes"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            one_line(names_of(row, labels)) + (" (taken)" if row["chosen"] else ""),
            sizes_of(row),
            f"{row['accuracy']:.3f}",
            f"{row['accuracy_low']:.3f}-{row['accuracy_high']:.3f}",
            f"{row['cross_entropy']:.3f}",
            f"{row['megabytes']:.1f}",
            f"{row['milliseconds_per_image']:.1f}",
            "" if pd.isna(row["fine_tuning_minutes"]) else f"{row['fine_tuning_minutes']:.1f}",
            style="bold" if row["chosen"] else None,
        )
    console.print(table)
    console.print(
        "accuracy, loss: of a linear probe, cross-validated; the loss decides; MB, ms: its size, "
        "and its time for a photo, up to the last block that it reads, twice where it reads the "
        "mirror image too; minutes: to fine-tune the whole network once",
        style="dim",
    )


def show_blocks(console: SafeConsole, advice: Advice) -> None:
    """What the advice rests on, a row per block."""
    table = Table(title="What every block is worth here", show_edge=False)
    numbers = ("accuracy", "95% interval", "share", "LogME", "distance")
    table.add_column("block", no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in advice.blocks.to_dict("records"):
        table.add_row(
            row["block"],
            f"{row['accuracy']:.3f}",
            f"{row['accuracy_low']:.3f}-{row['accuracy_high']:.3f}",
            _percent(row["weight"]),
            f"{row['logme']:.2f}",
            "" if pd.isna(row["distance"]) else f"{row['distance']:.2f}",
        )
    console.print(table)
    console.print(
        "accuracy: of a linear probe, cross-validated; share: in the average of probes, by "
        "loss; LogME: larger is better; distance: of the activations from those of the "
        f"source's photos, below {NEAR} near, above {FAR} far",
        style="dim",
    )


def _percent(share: float) -> str:
    """Nothing for 0, so that what is left out can be told from what is rounded."""
    if not share > 0:  # or missing
        return ""
    return f"{share:.0%}" if share >= 0.005 else "<1%"
