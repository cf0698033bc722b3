"""Plots of the tables."""

from pathlib import Path

import pandas as pd
from PIL import Image

from tl_keras.reporting.plots import plot_probes


def test_probes_are_drawn_block_by_block(tmp_path: Path) -> None:
    probes = pd.DataFrame(
        {
            "block": ["stem", "top", "all blocks", "average"],
            "depth": pd.array([1, 2, None, None], "Int64"),
            "train_per_class": [None] * 4,
            "images": [60] * 4,
            "accuracy": [0.6, 0.9, 0.8, 0.85],
            "accuracy_low": [0.5, 0.8, 0.7, 0.75],
            "accuracy_high": [0.7, 0.95, 0.9, 0.92],
            "cross_entropy": [1.0, 0.2, 0.4, 0.3],
            "weight": [0.0, 1.0, None, None],
        }
    )
    plot_probes(probes, tmp_path / "probes.png")

    with Image.open(tmp_path / "probes.png") as picture:
        assert picture.size == (1050, 570)
        colours = picture.convert("RGB").getcolors(2**20)
    assert colours is not None
    assert len(colours) > 50, "something is drawn"
