"""The size of the input: the smallest that tells as much, measured on photos that train."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tl_keras.digests import keep_json
from tl_keras.errors import ConfigError
from tl_keras.experiment import prepare
from tl_keras.experiment.advise import advise
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.results_layout import place

pytestmark = pytest.mark.usefixtures("tiny_backbone")

SIZES = [32, 64]


@pytest.fixture(scope="module")
def weaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, and noise on a chequerboard of single pixels, which is gone at half the size."""
    folder, rng = tmp_path_factory.mktemp("weaves"), np.random.default_rng(0)
    board = 60 * (-1) ** np.add.outer(np.arange(64), np.arange(64))
    for label, pattern in {"plain": 0 * board, "woven": board}.items():
        (folder / label).mkdir()
        for number in range(16):
            pixels = 128 + rng.normal(0, 20) + pattern[..., None] + rng.normal(0, 20, (64, 64, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ExperimentResult]:
    def started(folder: Path, fresh: bool = False, **keys: Any) -> ExperimentResult:
        config = {
            "name": "sizes",
            "data": {"folder": str(folder), "train_per_class": 5},
            "backbone": {"name": "Tiny", "weights": None, "image_size": SIZES},
            "strategies": ["linear_probe", "feature_extraction"],
            "training": {"phase_1": {"epochs": 2}},
            "seeds": 1,
            "export": False,
            "learning_curve": False,
            "cache": {"folder": str(tmp_path / "features")},
            "results_dir": str(tmp_path / "results"),
        }
        return run_experiment(config | keys, fresh=fresh)

    return started


def test_a_size_that_tells_more_is_taken(run: Callable[..., Any], weaves: Path) -> None:
    result = run(weaves)
    assert result.runs["image_size"].tolist() == [64, 64]
    assert result.runs.set_index("strategy")["test_accuracy"]["linear_probe"] == 1.0
    advice = json.loads(place(result.folder, "advice.json").read_text())
    assert advice["image_size"] == 64
    small, large = advice["sizes"]
    assert [small["image_size"], large["image_size"]] == SIZES
    assert small["accuracy"] < large["accuracy"] == 1.0
    assert small["excess"] > small["excess_se"] > large["excess"] == 0
    assert [small["chosen"], large["chosen"]] == [False, True]
    assert min(small["milliseconds_per_image"], large["milliseconds_per_image"]) > 0


def test_of_sizes_that_tell_as_much_the_smallest_is_taken(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for label, level in {"dark": 80, "light": 170}.items():
        (tmp_path / "shades" / label).mkdir(parents=True)
        for number in range(16):
            pixels = np.full((64, 64), level + rng.integers(-40, 40), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "shades" / label / f"{number}.png")
    assert set(run(tmp_path / "shades").runs["image_size"]) == {32}


def test_an_experiment_goes_on_with_the_size_that_it_has(
    run: Callable[..., Any], weaves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(weaves)
    (place(first.folder, "runs") / "feature_extraction-n5-s0" / "row.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "measured_sizes", None)  # is not asked again
        again = run(weaves)
    assert again.runs["image_size"].tolist() == [64, 64]
    # without a record it is measured again, to the same end
    place(first.folder, "advice.json").unlink()
    assert run(weaves).runs["image_size"].tolist() == [64, 64]


def test_what_is_moved_aside_chooses_no_size(run: Callable[..., Any], weaves: Path) -> None:
    record = place(run(weaves).folder, "advice.json")
    keep_json(record, json.loads(record.read_text()) | {"image_size": 32})
    assert set(run(weaves, fresh=True).runs["image_size"]) == {64}


def test_advice_measures_sizes_without_an_experiment(weaves: Path) -> None:
    backbone = {"name": "Tiny", "weights": None, "image_size": SIZES}
    advice = advise(images=weaves, data={"train_per_class": 5}, backbone=backbone)
    assert advice.image_size == 64 and advice.sizes["chosen"].tolist() == [False, True]
    assert advice.sizes["views"].isin(["none", "flip"]).all()
    assert "backbone.image_size=64" in advice.settings()


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"estimate": {"method": "k_fold"}}, "k_fold"),
        ({"strategies": ["from_scratch"]}, "borrowed"),
    ],
)
def test_sizes_are_not_searched_where_that_would_say_too_much(
    run: Callable[..., Any], weaves: Path, keys: dict[str, Any], word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        run(weaves, **keys)
