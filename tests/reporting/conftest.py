"""A small finished experiment and its decision, made by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.config.schema import ExperimentConfig
from tl_keras.reporting import tables
from tl_keras.reporting.comparisons import comparison_table
from tl_keras.reporting.held_out import TestResults
from tl_keras.reporting.ledger import Ledger, Outcome, runs_table, write_json

CLASSES = ("crack", "dent")
LABELS = np.repeat([0, 1], 20)
# Test images of 40 that the strategy answers wrongly, the first ones of class "crack".
WRONG = {"from_scratch": 15, "feature_extraction": 8, "fine_tuning": 2}
DEPTHS = {"from_scratch": "all", "feature_extraction": "0", "fine_tuning": "2"}

Finish = Callable[..., Path]


def _row(strategy: str, seed: int, name: str) -> dict[str, Any]:
    right = 1 - WRONG[strategy] / len(LABELS)
    return {
        "experiment": name,
        "run_id": f"{strategy}-n5-s{seed}",
        "strategy": strategy,
        "seed": seed,
        "train_per_class": 5,
        "labelled_images_per_class": 10.0,
        "unfrozen_blocks": DEPTHS[strategy],
        "cut": "top",
        "trainable_parameters": 100,
        "validation_loss": WRONG[strategy] / 10,
        "validation_accuracy": right,
        "test_loss": 1.0,
        "test_accuracy": right,
        "test_macro_f1": right,
        "test_balanced_accuracy": right,
        "classes": 2,
        "training_images": 10,
        "validation_images": 10,
        "test_images": len(LABELS),
        "generated_images": False,
        "phase_1_seconds": 1.0,
        "phase_2_seconds": 2.0,
        "classifier_megabytes": 8.6,
        "milliseconds_per_image": 4.0,
        "configuration_hash": "abc",
    }


def _outcome(strategy: str, seed: int, name: str) -> Outcome:
    right = np.arange(len(LABELS)) >= WRONG[strategy]
    answered = np.where(right, LABELS, 1 - LABELS)
    history = pd.DataFrame(
        {
            "run_id": [f"{strategy}-n5-s{seed}"] * 4,
            "phase": ["head", "head", "fine_tuning", "fine_tuning"],
            "epoch": [1, 2, 1, 2],
            "loss": [1.0, 0.8, 0.5, 0.3],
            "accuracy": [0.5, 0.6, 0.7, 0.8],
            "validation_loss": [1.1, 0.9, 0.6, 0.5],
            "validation_accuracy": [0.5, 0.6, 0.7, 0.8],
        }
    )
    probabilities = np.eye(2, dtype=np.float32)[answered] * 0.8 + 0.1
    return Outcome(_row(strategy, seed, name), history, probabilities[:20], probabilities, {})


@pytest.fixture
def finish(tmp_path: Path) -> Finish:
    """`finish(name, strategies, **keys)`: the folder of an experiment with two seeds."""

    def finished(
        name: str = "parts",
        strategies: tuple[str, ...] = tuple(WRONG),
        photos: str = "photo",
        **keys: Any,
    ) -> Path:
        config = ExperimentConfig.model_validate(
            {
                "name": name,
                "data": {"folder": "photos", "train_per_class": 5},
                "seeds": 2,
                "results_dir": str(tmp_path / "results"),
            }
            | keys
        )
        ledger = Ledger.open(config)
        names = [(strategy, seed) for strategy in strategies for seed in (0, 1)]
        for strategy, seed in names:
            ledger.add(f"{strategy}-n5-s{seed}", _outcome(strategy, seed, name))
        run_ids = [f"{strategy}-n5-s{seed}" for strategy, seed in names]
        runs = runs_table([ledger.row(run_id) for run_id in run_ids])
        predicted = {name: ledger.test_probabilities(name).argmax(axis=1) for name in run_ids}
        rows = dict.fromkeys(run_ids, np.arange(len(LABELS)))
        results = TestResults(LABELS, rows, predicted, CLASSES)
        ids = [f"{photos}{number}" for number in range(len(LABELS))]
        for title, table in {
            "runs": runs,
            "summary": tables.summary_table(runs, results),
            "comparisons": comparison_table(runs, results),
            "per_class": tables.per_class_table(runs, results),
            "confusion": tables.confusion_table(runs, results),
            "history": ledger.histories(run_ids),
            "images": pd.DataFrame({"image_id": ids, "sha256": ids}),
            "splits": pd.DataFrame({"part": "test", "image_id": ids, "class_index": LABELS}),
        }.items():
            ledger.write(title, table)
        write_json(ledger.folder / "environment.json", {"tensorflow": "2.21", "processors": 2})
        return ledger.folder

    return finished


def figure(estimate: float, n: int = 50) -> dict[str, float]:
    return {"estimate": estimate, "low": estimate / 2, "high": (1 + estimate) / 2, "n": n}


@pytest.fixture
def decision_facts() -> dict[str, Any]:
    """Of two classes, by costs."""
    scores = {"n": 50, "ece_if_calibrated": 0.04, "ece_if_calibrated_high": 0.07}
    costs = ("rule", "most_probable_class", "flag_all", "flag_none")
    return {
        "run_id": "linear_probe-n5-s0",
        "validation_images": 30,
        "asked": {
            "miss_cost": 4.0,
            "false_alarm_cost": 1.0,
            "target_recall": None,
            "positive_share": None,
            "review_share": 0.1,
        },
        "positive_reason": "decision.positive names them",
        "temperature": {"estimate": 1.5, "low": 1.0, "high": 2.0},
        "threshold": {"threshold": 0.2, "by": "costs"},
        "served_threshold": {"estimate": 0.11, "low": 0.1, "high": 0.2},
        "review": {"score_low": 0.15, "score_high": 0.4, "confidence_below": None},
        "words": {"positive": "bad", "negative": "good"},
        "rule": {
            "classes": ["bad", "good"],
            "temperature": 1.5,
            "class_factors": [1.0, 1.0],
            "positive": ["bad"],
            "threshold": 0.2,
        },
        "calibration": {"before": {"ece": 0.09, **scores}, "after": {"ece": 0.03, **scores}},
        "test": {
            "positives": 20,
            "recall": figure(0.95, 20),
            "false_alarm_rate": figure(0.1, 30),
            "cost_per_100": {name: figure(10.0) for name in costs},
            "review": {
                "share": figure(0.12),
                "accuracy_of_all": figure(0.92),
                "accuracy_of_rest": figure(0.98),
                "errors_caught": figure(0.75, 4),
            },
        },
    }
