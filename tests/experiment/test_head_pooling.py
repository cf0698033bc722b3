"""Heads whose kind of pooling the folds of linear probes choose, run by run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.models.pooling import MEAN, SPREAD
from tl_keras.results_layout import place
from tl_keras.transfer.probes import LinearProbes

pytestmark = [
    pytest.mark.usefixtures("without_report"),
    # KerasTuner asks for the current thread by its old name.
    pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning"),
]
SHORT = {"epochs": 2, "learning_rate": 0.05}
Run = Callable[..., ExperimentResult]


@pytest.fixture
def run(photos: Path, tiny_backbone: None, checked_here: None, tmp_path: Path) -> Run:
    """`run(name, pooling, **keys)`: an experiment of one seed, nothing exported."""

    def made(name: str, pooling: str, **keys: Any) -> ExperimentResult:
        config: dict[str, Any] = {
            "name": name,
            "data": {"folder": photos, "train_per_class": 4, "test_fraction": 0.4},
            "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
            "head": {"pooling": pooling},
            "strategies": ["from_scratch", "feature_extraction", "fine_tuning"],
            "fine_tuning": {"unfrozen_blocks": [1]},
            "training": {"phase_1": SHORT, "phase_2": SHORT, "from_scratch": SHORT},
            "seeds": 1,
            "engine": {"workers": 1},
            "export": False,
            "learning_curve": False,
            "cache": {"folder": str(tmp_path / "features")},
            "results_dir": str(tmp_path / "results"),
        }
        return run_experiment(config | keys)

    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str | None]]:
    """Images, seed and cut of every choice, which falls on deviations where there are any."""
    known: list[tuple[int, int, str | None]] = []

    def choose(probes: LinearProbes, rows: np.ndarray, seed: int, cut: str | None) -> str:
        known.append((len(rows), seed, cut))
        return SPREAD

    monkeypatch.setattr(LinearProbes, "choose_kind", choose)
    return known


def figures(result: ExperimentResult) -> pd.DataFrame:
    """What a run has learned."""
    columns = ["run_id", "pooling", "trainable_parameters", "parameters", "test_loss"]
    return result.runs[columns].set_index("run_id")


@pytest.mark.slow
def test_a_run_is_that_of_the_kind_which_is_chosen(run: Run, asked: list[Any]) -> None:
    found, fixed = run("found", "search"), run("fixed", SPREAD)
    borrowing = ["feature_extraction-n4-s0", "fine_tuning-1-n4-s0"]
    pd.testing.assert_frame_equal(
        figures(found).loc[borrowing], figures(fixed).loc[borrowing], check_exact=True
    )
    # training and validation images
    assert set(asked) == {(24, 0, "top")}
    # nothing is known of what is not borrowed
    assert figures(found).loc["from_scratch-n4-s0", "pooling"] == MEAN


@pytest.mark.slow
def test_without_a_choice_nobody_is_asked(run: Run, asked: list[Any]) -> None:
    run("fixed", MEAN)
    run("scratch", "search", strategies=["from_scratch"])
    assert asked == []


@pytest.mark.slow
def test_the_choice_is_that_of_the_probe_on_the_same_images(run: Run) -> None:
    keys: dict[str, Any] = {"strategies": ["linear_probe", "feature_extraction"], "seeds": 3}
    kinds = run("both", "search", **keys).runs.pivot(
        index="seed", columns="strategy", values="pooling"
    )
    assert (kinds["linear_probe"] == kinds["feature_extraction"]).all()


@pytest.mark.slow
def test_a_search_chooses_for_each_cut_and_its_winner_is_exported(
    run: Run, asked: list[Any]
) -> None:
    space = {"max_trials": 4, "cuts": ["block1", "top"], "unfrozen_blocks": [0, 1], "folds": 1}
    keys: dict[str, Any] = {"strategies": ["searched"], "search": {**space, "oracle": "grid"}}
    result = run("searched", "search", **keys, export=True)
    assert result.trials is not None
    assert {cut for _, _, cut in asked} >= set(result.trials["cut"])
    assert set(result.trials["pooling"]) == set(result.runs["pooling"]) == {SPREAD}
    card = json.loads(next(result.folder.glob("export/*/assets.extra/model_card.json")).read_text())
    assert card["model"]["pooling"] == SPREAD
    exported = json.loads(place(result.folder, "export.json").read_text())
    assert exported["largest_probability_difference"] < 1e-4


@pytest.mark.slow
def test_every_fold_chooses_for_itself(run: Run, asked: list[Any], photos: Path) -> None:
    folds = {"method": "k_fold", "folds": 2, "repeats": 1}
    keys: dict[str, Any] = {"data": {"folder": photos, "train_per_class": 3}, "seeds": 3}
    run("folds", "search", strategies=["feature_extraction"], estimate=folds, **keys)
    assert set(asked) == {(18, 0, "top"), (18, 1, "top")}
