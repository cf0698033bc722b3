"""Plots of the tables, as figures; `plot_files` turns them into files and pages."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tl_keras.evaluation.intervals import Interval
from tl_keras.results.summary_tables import mean_probes
from tl_keras.results.test_results import rows_like, seed_name, strategy_name
from tl_keras.transfer.probing import AVERAGE

INCHES = (7.0, 3.8)
DOTS_PER_INCH = 200
# each at least 3:1 on white, which a plot has in dark pages as well
BLUE, ORANGE, GRAY, GREEN = "#1f77b4", "#c2540a", "#737373", "#1b7a46"
SEVERAL = (BLUE, ORANGE, GREEN, "#7a4fa3", "#a3195b", "#5c4a32")
# told apart without colours too
MARKERS = "os^Dv*"
# Letters of a legend, with which four in a row are wider than a phone shows of a plot.
_LONG = 40


def probes_figure(probes: pd.DataFrame) -> Figure:
    """Accuracy of a linear probe against the block that it reads.

    Bars are 95% intervals for the number of training images; filled points share in the average
    of probes, and a line shows that average.

    Args:
        probes: as `probes.csv`.
    """
    shown = mean_probes(probes)
    blocks, average = shown[shown["depth"].notna()], shown[shown["block"] == AVERAGE]
    figure, axes = single_panel()
    axes.errorbar(
        *(blocks["depth"], blocks["accuracy"], around(blocks)),
        fmt="-",
        color=BLUE,
        linewidth=1,
        capsize=3,
    )
    for shares, fill, label in ((True, BLUE, "averaged"), (False, "white", "left out")):
        points = blocks[(blocks["weight"] > 0) == shares]
        axes.plot(
            *(points["depth"], points["accuracy"], "o"),
            color=BLUE,
            markerfacecolor=fill,
            label=label,
        )
    for row in average.to_dict("records"):
        axes.axhline(row["accuracy"], color=ORANGE, linestyle="--", label=row["block"])
    axes.set_xticks(blocks["depth"], blocks["block"], rotation=60, ha="right")
    axes.set_xlabel("block, from the input to the head")
    axes.set_ylabel(f"accuracy, cross-validated\non {blocks['images'].iloc[0]:.0f} images")
    axes.grid(axis="y", alpha=0.3)
    legend_above(axes)
    return figure


def strategies_figure(summary: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """Test accuracy of every strategy with its 95% interval, and of its runs.

    Args:
        summary: as `summary.csv`, of one training size.
        runs: as `runs.csv`; of other sizes too.
    """
    figure, axes = single_panel(height=1.1 + 0.45 * len(summary))
    places = np.arange(len(summary))[::-1]
    for place, row in zip(places, summary.to_dict("records"), strict=True):
        _draw_interval(
            axes, place, *(row[f"test_accuracy_{end}"] for end in ("mean", "low", "high"))
        )
        own = rows_like(runs, row)["test_accuracy"]
        axes.plot(own, np.full(len(own), place - 0.22), "|", color=GRAY, markersize=7)
    axes.set_yticks(places, [strategy_name(row) for row in summary.to_dict("records")])
    axes.set_ylim(-0.6, len(summary) - 0.4)
    axes.set_xlabel("accuracy on the test split: mean, 95% interval, and every run")
    axes.grid(axis="x", alpha=0.3)
    return figure


def experiments_figure(names: Sequence[str], intervals: Sequence[Interval]) -> Figure:
    """Accuracies with their intervals, one below the other."""
    figure, axes = single_panel(height=1.1 + 0.45 * len(names))
    places = np.arange(len(names))[::-1]
    for place, interval in zip(places, intervals, strict=True):
        _draw_interval(axes, place, interval.estimate, interval.low, interval.high)
    axes.set_yticks(places, names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel("accuracy on the test split: mean and 95% interval")
    axes.grid(axis="x", alpha=0.3)
    return figure


def history_figure(history: pd.DataFrame, runs: pd.DataFrame, folds: int = 0) -> Figure:
    """Loss on training and validation images by epoch, a panel for each of the runs.

    A line separates the phases: the head on the frozen backbone, then fine-tuning.

    Args:
        history: as `history.csv`.
        runs: rows of `runs.csv` to show, one at least.
        folds: of a division, where every fold is a run.
    """
    rows, columns = -(-len(runs) // 2), min(2, len(runs))
    figure = Figure((INCHES[0], 2.7 * rows), DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, run in zip(panels, runs.to_dict("records"), strict=False):
        _draw_history(panel, history[history["run_id"] == run["run_id"]])
        panel.set_title(f"{strategy_name(run)}, {seed_name(run['seed'], folds)}", fontsize=10)
    for panel in panels[len(runs) :]:
        panel.set_axis_off()
    legend_above(panels[0])
    return figure


def learning_curve_figure(curve: pd.DataFrame) -> Figure:
    """Accuracy against training images per class: measured, and the fitted power laws.

    Args:
        curve: as `learning_curve.csv`.
    """
    figure, axes = single_panel(height=4.4)
    largest = curve.loc[curve["kind"] == "measured", "train_per_class"].max()
    for number, (name, group) in enumerate(curve_methods(curve)):
        color, marker = SEVERAL[number % len(SEVERAL)], MARKERS[number % len(MARKERS)]
        fitted, measured = (group[group["kind"] == kind] for kind in ("fitted", "measured"))
        bounds = fitted["accuracy_low"], fitted["accuracy_high"]
        axes.fill_between(fitted["train_per_class"], *bounds, color=color, alpha=0.12, linewidth=0)
        axes.plot(fitted["train_per_class"], fitted["accuracy"], color=color, linewidth=1.2)
        # a little apart, so that intervals of several methods do not hide each other
        places = measured["train_per_class"] * (1 + 0.015 * number)
        axes.errorbar(
            places, measured["accuracy"], around(measured), fmt=marker, color=color, label=name
        )
    axes.axvline(largest, color=GRAY, linestyle=":", linewidth=1)
    at_top = axes.get_xaxis_transform()
    axes.text(largest, 1.0, "measured | foretold", transform=at_top, ha="center", va="bottom")
    axes.set_xscale("log")
    ticks = sorted({*curve.loc[curve["kind"] == "measured", "train_per_class"], 2 * largest})
    axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training images per class")
    axes.set_ylabel("accuracy on the test split")
    axes.grid(alpha=0.3)
    legend_above(axes)
    return figure


def curve_methods(curve: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The name and the rows of every strategy and depth of `learning_curve.csv`."""
    for _, group in curve.groupby(["strategy", "unfrozen_blocks"], dropna=False, sort=False):
        yield strategy_name(group.iloc[0].to_dict()), group


def around(table: pd.DataFrame) -> NDArray[np.float64]:
    """How far the interval of each accuracy reaches below and above it, (2, rows)."""
    accuracy = table["accuracy"].to_numpy(np.float64)
    low, high = (table[f"accuracy_{end}"].to_numpy(np.float64) for end in ("low", "high"))
    return np.stack([accuracy - low, high - accuracy])


def single_panel(height: float = INCHES[1]) -> tuple[Figure, Axes]:
    """A figure of the usual width, so many inches high, with one pair of axes."""
    figure = Figure((INCHES[0], height), DOTS_PER_INCH, layout="constrained")
    return figure, figure.subplots()


def legend_above(axes: Axes) -> None:
    """Say what a panel's lines are, above all panels: it hides nothing, and a phone shows it."""
    handles, labels = axes.get_legend_handles_labels()
    cast(Figure, axes.figure).legend(
        *(handles, labels),
        loc="outside upper left",
        ncols=2 if len("".join(labels)) > _LONG else 4,
        fontsize=9,
        frameon=False,
    )


def _draw_interval(axes: Axes, place: float, estimate: float, low: float, high: float) -> None:
    axes.plot([low, high], [place, place], color=BLUE, linewidth=2.5)
    axes.plot([estimate], [place], "o", color=BLUE)


def _draw_history(axes: Axes, epochs: pd.DataFrame) -> None:
    position = np.arange(1, len(epochs) + 1)
    axes.plot(position, epochs["loss"], color=ORANGE, label="training")
    axes.plot(position, epochs["validation_loss"], color=BLUE, label="validation")
    phases, at_top = epochs["phase"].to_numpy(), axes.get_xaxis_transform()
    for boundary in np.flatnonzero(phases[1:] != phases[:-1]) + 1:
        axes.axvline(boundary + 0.5, color=GRAY, linestyle="--", linewidth=1)
        # on the side where there is more room
        early = boundary < len(epochs) / 2
        told, side = (
            (" fine-tuning", "left") if early else ("fine-tuning \N{RIGHTWARDS ARROW} ", "right")
        )
        axes.text(boundary + 0.5, 0.98, told, transform=at_top, ha=side, va="top", fontsize=9)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
