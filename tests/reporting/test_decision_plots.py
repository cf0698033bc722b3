"""Plots of calibration and thresholds: what the axes hold."""

import numpy as np
import pandas as pd

from tl_keras.reporting.decision_plots import reliability_figure, thresholds_figure


def test_one_bin_before_and_after_is_enough() -> None:
    calibration = pd.DataFrame(
        {
            "stage": ["before", "after"],
            "confidence": [0.9, 0.8],
            "accuracy": [0.8, 0.8],
            "accuracy_low": [0.6, 0.6],
            "accuracy_high": [0.9, 0.9],
        }
    )
    (axes,) = reliability_figure(calibration).axes
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["as it should be", "as the model says", "calibrated"]


def test_what_the_test_photos_say_of_thresholds_is_drawn_and_the_chosen_one_marked() -> None:
    thresholds = pd.DataFrame(
        {
            "part": ["validation", "test", "test"],
            "threshold": [0.2, 0.2, 0.5],
            "recall": [1.0, 0.9, 0.7],
            "false_alarm_rate": [0.3, 0.2, 0.1],
            "cost_per_100": [5.0, 6.0, 9.0],
            "chosen": [True, True, False],
        }
    )
    axes, costs = thresholds_figure(thresholds).axes
    recall, alarms, chosen = axes.get_lines()
    assert np.asarray(recall.get_ydata()).tolist() == [0.9, 0.7]
    assert np.asarray(alarms.get_ydata()).tolist() == [0.2, 0.1]
    assert np.asarray(chosen.get_xdata()).tolist() == [0.2, 0.2]
    assert np.asarray(costs.get_lines()[0].get_ydata()).tolist() == [6.0, 9.0]
