"""Plots of the tables: what the axes hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tl_keras.evaluation.intervals import Interval
from tl_keras.reporting.plots import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    SEVERAL,
    experiments_figure,
    history_figure,
    learning_curve_figure,
    probes_figure,
    strategies_figure,
)
from tl_keras.results.store import Store


def labels_of(figure: Figure) -> list[str]:
    """Texts along the vertical axis, from top to bottom."""
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def probes() -> pd.DataFrame:
    return pd.DataFrame(
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


def test_probes_are_drawn_block_by_block() -> None:
    (axes,) = probes_figure(probes()).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["stem", "top"]
    drawn = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
    assert (drawn["averaged"], drawn["left out"]) == ([0.9], [0.6])
    assert drawn["average"] == [0.85, 0.85]


def test_a_legend_stands_outside_what_it_explains() -> None:
    figure = probes_figure(probes())
    figure.canvas.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["averaged", "left out", "average"]
    assert legend.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1


@pytest.mark.parametrize("color", sorted({BLUE, ORANGE, GRAY, GREEN, *SEVERAL}))
def test_what_is_drawn_stands_out_from_white(color: str) -> None:
    """WCAG 2.2, 1.4.11: 3 to 1."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3


def run(strategy: str, seed: int, **values: Any) -> dict[str, Any]:
    return {
        "run_id": f"{strategy}-{seed}",
        "strategy": strategy,
        "unfrozen_blocks": "0" if strategy == "feature_extraction" else "2",
        "train_per_class": 10,
        "seed": seed,
    } | values


def test_strategies_have_their_interval_and_their_own_runs() -> None:
    summary = pd.DataFrame(
        [
            run(strategy, 0)
            | {"test_accuracy_mean": 0.7, "test_accuracy_low": 0.5, "test_accuracy_high": 0.9}
            for strategy in ("feature_extraction", "fine_tuning")
        ]
    )
    runs = pd.DataFrame(
        [
            run("feature_extraction", 0, test_accuracy=0.6),
            run("feature_extraction", 1, test_accuracy=0.8),
            run("fine_tuning", 0, test_accuracy=0.9),
            run("fine_tuning", 1, test_accuracy=0.9, train_per_class=20),
        ]
    )
    figure = strategies_figure(summary, runs)
    assert labels_of(figure) == ["feature extraction", "fine-tuning (2 blocks)"]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in figure.axes[0].get_lines()]
    assert drawn == [[0.5, 0.9], [0.7], [0.6, 0.8], [0.5, 0.9], [0.7], [0.9]]


def test_experiments_stand_in_their_order() -> None:
    intervals = [Interval(0.8, 0.7, 0.9, 3, 60, "x"), Interval(0.5, 0.4, 0.6, 3, 60, "x")]
    figure = experiments_figure(["first", "second"], intervals)
    assert labels_of(figure) == ["first", "second"]
    places = [line.get_ydata()[0] for line in figure.axes[0].get_lines()]  # type: ignore[index]
    assert places == [1, 1, 0, 0]


def test_training_curves_mark_where_fine_tuning_begins() -> None:
    history = pd.DataFrame(
        {
            "run_id": ["fine_tuning-0"] * 5 + ["feature_extraction-0"] * 2,
            "phase": ["head"] * 3 + ["fine_tuning"] * 2 + ["head"] * 2,
            "loss": [3.0, 2.0, 1.0, 0.5, 0.2, 3.0, 2.0],
            "validation_loss": [3.0, 2.5, 2.0, 1.5, 1.6, 3.0, 2.5],
        }
    )
    runs = pd.DataFrame([run("fine_tuning", 0), run("feature_extraction", 0)])
    both, head_only = history_figure(history, runs).axes
    assert both.get_title() == "fine-tuning (2 blocks), seed 0"
    training, validation, boundary = both.get_lines()
    assert np.asarray(training.get_ydata()).tolist() == [3.0, 2.0, 1.0, 0.5, 0.2]
    assert np.asarray(validation.get_ydata()).tolist() == [3.0, 2.5, 2.0, 1.5, 1.6]
    assert np.asarray(boundary.get_xdata()).tolist() == [3.5, 3.5]
    assert len(head_only.get_lines()) == 2
    assert history_figure(history, runs, folds=3).axes[0].get_title().endswith("fold 1 of 3")


def test_learning_curves_tell_measured_from_foretold() -> None:
    curve = pd.DataFrame(
        {
            "strategy": ["fine_tuning"] * 4,
            "unfrozen_blocks": ["all"] * 4,
            "train_per_class": [5.0, 10.0, 5.0, 20.0],
            "kind": ["measured", "measured", "fitted", "fitted"],
            "accuracy": [0.6, 0.8, 0.6, 0.9],
            "accuracy_low": [0.5, 0.7, 0.5, 0.8],
            "accuracy_high": [0.7, 0.9, 0.7, 1.0],
        }
    )
    (axes,) = learning_curve_figure(curve).axes
    assert axes.get_legend_handles_labels()[1] == ["fine-tuning (all blocks)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10", "20"]
    (border,) = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert np.asarray(border.get_xdata()).tolist() == [10, 10]


def test_the_learning_curve_of_a_search_has_no_depth(tmp_path: Path) -> None:
    curve = pd.DataFrame(
        {
            "strategy": ["searched"] * 2,
            "unfrozen_blocks": [None] * 2,
            "train_per_class": [5.0, 5.0],
            "kind": ["measured", "fitted"],
            "accuracy": [0.6, 0.6],
            "accuracy_low": [0.5, 0.5],
            "accuracy_high": [0.7, 0.7],
        }
    )
    curve.to_csv(tmp_path / "learning_curve.csv", index=False)
    stored = Store(tmp_path).read("learning_curve")
    (axes,) = learning_curve_figure(stored).axes
    assert axes.get_legend_handles_labels()[1] == ["searched"]
