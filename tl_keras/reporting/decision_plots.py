"""Plots of how far probabilities can be trusted, and of what a threshold gives."""

import pandas as pd
from matplotlib.figure import Figure

from tl_keras.reporting.plots import BLUE, GRAY, GREEN, ORANGE, around, legend_above, single_panel


def reliability_figure(calibration: pd.DataFrame) -> Figure:
    """Accuracy against confidence, before and after calibration.

    Args:
        calibration: as `calibration.csv`.
    """
    figure, axes = single_panel(height=4.2)
    lowest = max(0.0, calibration[["confidence", "accuracy_low"]].min().min() - 0.05)
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle=":", label="as it should be")
    for stage, color, words in (
        ("before", ORANGE, "as the model says"),
        ("after", BLUE, "calibrated"),
    ):
        bins = calibration[calibration["stage"] == stage]
        axes.errorbar(
            *(bins["confidence"], bins["accuracy"], around(bins)),
            # two points are no curve
            fmt="o-" if len(bins) > 2 else "o",
            color=color,
            capsize=3,
            label=words,
        )
    axes.set_xlabel("probability of the answer, mean of a bin of test photos")
    axes.set_ylabel("share of right answers in the bin")
    axes.set(xlim=(lowest, 1.02), ylim=(lowest, 1.02))
    axes.grid(alpha=0.3)
    legend_above(axes)
    return figure


def thresholds_figure(thresholds: pd.DataFrame) -> Figure:
    """Recall, false alarms and cost on test against the threshold.

    Args:
        thresholds: as `thresholds.csv`.
    """
    figure, axes = single_panel(height=4.2)
    test = thresholds[thresholds["part"] == "test"]
    axes.plot(test["threshold"], test["recall"], color=BLUE, label="recall")
    axes.plot(test["threshold"], test["false_alarm_rate"], color=ORANGE, label="false alarms")
    chosen = float(test.loc[test["chosen"], "threshold"].iloc[0])
    axes.axvline(chosen, color=GRAY, linestyle="--", label=f"chosen: {chosen:.3g}")
    axes.set_xlabel("calibrated score from which on a photo is flagged")
    axes.set_ylabel("share of test photos")
    costs = axes.twinx()
    costs.plot(test["threshold"], test["cost_per_100"], color=GREEN, linestyle=":")
    costs.set_ylabel("cost per 100 photos (dotted)")
    costs.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    legend_above(axes)
    return figure
