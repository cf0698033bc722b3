"""Plots of the tables, as PNG files."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from tl_keras.reporting.tables import mean_probes

INCHES = (7.0, 3.8)
DOTS_PER_INCH = 150


def plot_probes(probes: pd.DataFrame, path: Path) -> None:
    """Accuracy of a linear probe against the block that it reads, as a PNG file.

    Bars are 95% intervals for the number of training images; filled points share in the average
    of probes, and two lines show the average and the probe on all blocks at once.

    Args:
        probes: as `probes.csv`.
        path: of the file.
    """
    shown = mean_probes(probes)
    blocks, joined = shown[shown["depth"].notna()], shown[shown["depth"].isna()]
    figure = Figure(INCHES, DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    errors = [
        blocks["accuracy"] - blocks["accuracy_low"],
        blocks["accuracy_high"] - blocks["accuracy"],
    ]
    axes.errorbar(
        blocks["depth"], blocks["accuracy"], errors, fmt="-", color="tab:blue", alpha=0.6, capsize=3
    )
    for shares, fill, label in ((True, "tab:blue", "averaged"), (False, "white", "left out")):
        points = blocks[(blocks["weight"] > 0) == shares]
        axes.plot(
            *(points["depth"], points["accuracy"], "o"),
            color="tab:blue",
            markerfacecolor=fill,
            label=label,
        )
    for row, style in zip(joined.to_dict("records"), (":", "--"), strict=True):
        axes.axhline(row["accuracy"], color="tab:orange", linestyle=style, label=row["block"])
    axes.set_xticks(blocks["depth"], blocks["block"], rotation=60, ha="right")
    axes.set_xlabel("block, from the input to the head")
    axes.set_ylabel(f"accuracy, cross-validated\non {blocks['images'].iloc[0]:.0f} images")
    axes.set_title("How well a linear classifier reads the classes at every block")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()
    figure.savefig(path)
