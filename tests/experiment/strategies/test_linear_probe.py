"""Linear probes of several views of each photo, from the choice to what is exported."""

import json
from pathlib import Path
from typing import Any

import pytest

from tl_keras.config.files import parse_config
from tl_keras.experiment.stages import run_experiment
from tl_keras.experiment.strategies.linear_probe import seconds
from tl_keras.models.pooling import VIEWS
from tl_keras.results_layout import place
from tl_keras.transfer.run_plan import Run


def config(folder: Path, **probe: Any) -> dict[str, Any]:
    return {
        "name": "probe",
        "data": {"folder": str(folder), "train_per_class": 4},
        "backbone": {"name": "Tiny", "weights": None, "image_size": 32},
        "probe": probe,
        "strategies": ["linear_probe"],
        "seeds": 1,
        "learning_curve": False,
    }


@pytest.mark.slow
def test_what_is_exported_reads_all_eight_views(
    photos: Path, tiny_backbone: None, checked_here: None, tmp_path: Path
) -> None:
    result = run_experiment(
        config(photos, views="turns"),
        results_dir=str(tmp_path / "results"),
        cache={"folder": str(tmp_path / "features")},
    )
    (run,) = result.runs.to_dict("records")
    assert run["views"] == "turns"
    record = json.loads(place(result.folder, "export.json").read_text())
    assert record["largest_probability_difference"] < 1e-4
    card = json.loads(next(result.folder.glob("export/*/assets.extra/model_card.json")).read_text())
    assert card["model"]["views"] == "turns"
    assert "turned and mirrored" in (result.folder / "report.html").read_text()


def test_as_many_passes_are_expected_as_the_costliest_views_take(
    photos: Path, tiny_backbone: None
) -> None:
    run = Run("linear_probe", 0, 4)

    def expected(views: Any) -> float:
        # so many that the passes are what counts
        return seconds(run, parse_config(config(photos, views=views)), 10**12, 0)

    by_name = {name: expected(name) / expected("none") for name in VIEWS}
    assert by_name == pytest.approx({"none": 1, "flip": 2, "turns": 8}, rel=1e-3)
    assert expected("search") == expected("flip") == expected(["flip", "none"])
    assert expected(["none", "turns"]) == expected("turns")
