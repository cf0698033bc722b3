"""The network and the size of its input, chosen by probes on photos that train."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.own_networks import network_for, residual
from tl_keras.digests import keep_json
from tl_keras.errors import ConfigError
from tl_keras.experiment import prepare
from tl_keras.experiment.advise import advise
from tl_keras.experiment.inputs import experiment_config
from tl_keras.experiment.monitor import Warned
from tl_keras.experiment.network_choice import choose_among, costs_of, side_by_side
from tl_keras.experiment.stages import ExperimentResult, run_experiment
from tl_keras.reporting.report import write_report
from tl_keras.results_layout import place
from tl_keras.transfer.network_words import chosen_in_words, labels_of, scaling_doubts, sizes_of
from tl_keras.transfer.probing import Folds
from tl_keras.transfer.representation import Chosen, Representation

pytestmark = pytest.mark.usefixtures("tiny_backbone", "without_report")

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


@pytest.mark.slow
def test_a_size_that_tells_more_is_taken(run: Callable[..., Any], weaves: Path) -> None:
    result = run(weaves)
    assert result.runs["image_size"].tolist() == [64, 64]
    assert result.runs.set_index("strategy")["test_accuracy"]["linear_probe"] == 1.0
    advice = json.loads(place(result.folder, "advice.json").read_text())
    assert advice["image_size"] == 64
    small, large = advice["networks"]
    assert [small["image_size"], large["image_size"]] == SIZES
    assert small["accuracy"] < large["accuracy"] == 1.0
    assert small["excess"] > small["excess_se"] > large["excess"] == 0
    assert [small["chosen"], large["chosen"]] == [False, True]
    assert min(small["milliseconds_per_image"], large["milliseconds_per_image"]) > 0


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_experiment_goes_on_with_the_size_that_it_has(
    run: Callable[..., Any], weaves: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(weaves)
    (place(first.folder, "runs") / "feature_extraction-n5-s0" / "row.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "measured_networks", None)  # is not asked again
        again = run(weaves)
    assert again.runs["image_size"].tolist() == [64, 64]
    # without a record it is measured again, to the same end
    place(first.folder, "advice.json").unlink()
    assert run(weaves).runs["image_size"].tolist() == [64, 64]


@pytest.mark.slow
def test_what_is_moved_aside_chooses_no_size(run: Callable[..., Any], weaves: Path) -> None:
    record = place(run(weaves).folder, "advice.json")
    keep_json(record, json.loads(record.read_text()) | {"image_size": 32})
    assert set(run(weaves, fresh=True).runs["image_size"]) == {64}


@pytest.fixture
def useless(tmp_path: Path) -> str:
    """The file of a network that gives the same for every picture."""
    network = residual(named=True)
    network.set_weights([0 * weight for weight in network.get_weights()])
    network.save(tmp_path / "useless.keras")
    return str(tmp_path / "useless.keras")


@pytest.mark.slow
def test_a_network_that_tells_more_is_taken_and_kept(
    run: Callable[..., ExperimentResult],
    weaves: Path,
    useless: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {
        "backbone": {
            "name": [useless, "Tiny-0.5"],
            "weights": None,
            "scaling": "tf",
            "image_size": 64,
        }
    }
    first = run(weaves, **keys)
    assert set(first.runs["backbone"]) == {"Tiny"}
    advice = json.loads(place(first.folder, "advice.json").read_text())
    assert advice["network"] == "Tiny-0.5"
    assert [row["network"] for row in advice["networks"]] == [useless, "Tiny-0.5"]
    assert [row["chosen"] for row in advice["networks"]] == [False, True]
    assert all(min(row["megabytes"], row["fine_tuning_minutes"]) > 0 for row in advice["networks"])
    page = write_report(first.folder).read_text()
    assert "How much of Tiny" in page
    assert re.search(r"Of useless and Tiny-0\.5[\w ]* at 64 px, probes took", page)

    (place(first.folder, "runs") / "feature_extraction-n5-s0" / "row.json").unlink()
    monkeypatch.setattr(prepare, "measured_networks", None)  # is not asked again
    again = run(weaves, **keys)
    assert set(again.runs["backbone"]) == {"Tiny"}
    assert again.runs["configuration_hash"].nunique() == 1
    assert again.config == first.config, "what was asked for"


@pytest.mark.slow
def test_too_few_photos_leave_the_first(weaves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folds, "of", lambda *images, **settings: None)
    both = {"name": ["Tiny2", "Tiny"], "weights": None, "image_size": 32}
    advice = advise(images=weaves, backbone=both, data={"train_per_class": 1})
    followed = experiment_config(images=weaves, settings=advice.arguments()).backbone
    assert followed.only is not None and followed.only.name == advice.network
    assert advice.network == "Tiny2" and "too few photos to choose" in advice.paragraph()


def test_the_cheapest_of_those_as_good_is_taken() -> None:
    best = np.linspace(0, 1, 200)
    as_good, worse = best + np.tile([0.301, -0.299], 100), best + np.tile([0.4, 0.6], 100)
    losses = [worse, best, as_good]
    assert choose_among(losses, None, np.array([1.0, 3.0, 2.0]))[0] == 2
    place, excess, error = choose_among(losses, None, np.array([3.0, 1.0, 2.0]))
    assert place == 1
    assert excess == pytest.approx([0.5, 0, 0.001])
    assert error == pytest.approx([0.1 / 200**0.5, 0, 0.3 / 200**0.5], rel=0.01)


def test_a_larger_size_is_the_cheaper_where_it_takes_fewer_passes() -> None:
    # the second reads the mirror image too; the third was timed too fast
    found = pd.DataFrame(
        {
            "network": ["a", "a", "a", "b"],
            "views": ["none", "flip", "none", "none"],
            "milliseconds_per_image": [2.0, 7.0, 3.0, 1.0],
        }
    )
    assert costs_of(found).tolist() == [2.0, 7.0, 3.5, 1.0]


def test_two_networks_side_by_side_are_told_where_they_pay() -> None:
    """Of four classes each network tells one half from the other, and both tell all four."""
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(4), 10)
    noise = rng.normal(0, 0.1, (40, 1))
    folds = Folds.of(labels, np.arange(40))
    assert folds is not None

    def row(sees: np.ndarray) -> tuple[dict[str, Any], np.ndarray, Chosen]:
        found = folds.cross_validated([("top", noise + sees[:, None])])
        loss = folds.losses(found.average())
        return (
            {"megabytes": 1.0, "milliseconds_per_image": 2.0},
            loss,
            Chosen(Representation(), found, folds),
        )

    def told(*seen: np.ndarray) -> list[dict[str, Any]]:
        facts, losses, chosen = zip(*map(row, seen), strict=True)
        keys = [(name, 96) for name in "AB"]
        rows = [{"network": n, "image_size": size} for n, size in keys]
        found = pd.DataFrame([a | b for a, b in zip(rows, facts, strict=True)])
        found["excess"] = [loss.mean() - min(map(np.mean, losses)) for loss in losses]
        probes = dict(zip(keys, chosen, strict=True))
        return [*side_by_side(found, np.array([2.0, 2.0]), list(losses), probes)]

    (both,) = told(labels % 2, labels // 2)
    assert {both["network"], both["beside"]} == {"A", "B"} and not both["chosen"]
    assert both["excess"] < 0 and both["accuracy"] == 1.0
    assert (both["megabytes"], both["milliseconds_per_image"]) == (2.0, 4.0)
    assert told(labels % 2, labels % 2) == [], "the same twice is worth no time"

    networks = [
        *({"network": n, "image_size": 96, "chosen": n == "A"} for n in "AB"),
        both,
    ]
    assert sizes_of(both | {"beside_image_size": 160.0}) == "96+160", "a terminal is narrow"
    words = chosen_in_words(networks)
    assert words.startswith("Of A and B at 96 px, probes took A")


@pytest.mark.slow
def test_advice_measures_sizes_without_an_experiment(weaves: Path) -> None:
    backbone = {"name": "Tiny", "weights": None, "image_size": SIZES}
    advice = advise(images=weaves, data={"train_per_class": 5}, backbone=backbone)
    assert advice.image_size == 64 and advice.networks["chosen"].tolist() == [False, True]
    assert advice.networks["views"].isin(["none", "flip"]).all()
    assert "backbone.image_size=64" in advice.settings()
    followed = experiment_config(images=weaves, settings=advice.arguments()).backbone
    assert followed.only is not None and followed.only.image_size == 64


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


@pytest.mark.slow
@pytest.mark.parametrize("others", [[], ["Tiny"]])
def test_each_network_that_gets_wrong_pixels_is_told_of_once(
    weaves: Path, tmp_path: Path, others: list[str]
) -> None:
    network_for("tf").save(tmp_path / "own.keras")
    backbone = {"name": [str(tmp_path / "own.keras"), *others], "weights": None}
    monitor = Warned()
    advice = advise(
        images=weaves,
        backbone={**backbone, "scaling": "caffe", "image_size": SIZES if others else 64},
        data={"train_per_class": 5},
        monitor=monitor,
    )
    mend = 'Leave backbone.scaling out, or set it to "tf"'
    assert sum(mend in text for text in monitor.warnings) == 1
    if others:
        labels = labels_of(advice.networks.to_dict("records"))
        assert ["random" in label for label in labels.values()] == [False, True]
    else:
        assert [*scaling_doubts(advice.as_dict())] == monitor.warnings[-1:]
