"""What a dry run says."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from tl_keras.backbone_table import BACKBONES
from tl_keras.config.files import parse_config
from tl_keras.config.schema import BackboneConfig, ExperimentConfig
from tl_keras.errors import DataError, ResultsError, WeightsError
from tl_keras.experiment.dry_run import as_json, in_words, make_plan
from tl_keras.experiment.first_look import look_before
from tl_keras.experiment.strategies.duration import unfrozen_share
from tl_keras.models.networks import build_backbone
from tl_keras.models.sources.source_card import write_source_model
from tl_keras.transfer.trainer import Trainer

Configure = Callable[..., ExperimentConfig]


@pytest.fixture
def configure(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """`configure(**keys)`: an experiment that may be described but not trained."""

    def never(*arguments: Any, **settings: Any) -> None:
        pytest.fail("a plan trains nothing")

    monkeypatch.setattr(Trainer, "train", never)
    # as where there is a network
    monkeypatch.setattr(
        "tl_keras.models.sources.source_places.check_imagenet", lambda *given, **how: None
    )

    def configured(**keys: Any) -> ExperimentConfig:
        base = {
            "name": "colours",
            "data": {"folder": photos, "train_per_class": 4},
            "strategies": ["from_scratch", "fine_tuning"],
            "fine_tuning": {"unfrozen_blocks": [2]},
            "results_dir": tmp_path / "results",
        }
        return parse_config(base | keys)

    return configured


def minutes(plan: str) -> float:
    """The time in a plan, minutes."""
    found = re.search(r"About (?:(a) minute|(\d+) minutes|([\d.]+) hours)", plan)
    assert found is not None, plan
    return 1 if found[1] else float(found[2] or 0) + 60 * float(found[3] or 0)


def plan_of(config: ExperimentConfig, *, fresh: bool = False) -> str:
    return in_words(make_plan(look_before(config, fresh=fresh)))


def test_for_programs_it_holds_the_configuration_with_its_defaults(configure: Configure) -> None:
    config = configure(seeds=2)
    facts = as_json(make_plan(look_before(config)))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["configuration"] == config.as_dict()
    counts = {"photos": 14, "training": 4, "validation": 4, "test": 4}
    assert facts["images"] == dict.fromkeys(("amber", "blue", "green"), counts)
    assert facts["runs"] == [
        "from_scratch-n4-s0",
        "from_scratch-n4-s1",
        "fine_tuning-2-n4-s0",
        "fine_tuning-2-n4-s1",
    ]


def test_images_are_counted_by_class_and_part(configure: Configure) -> None:
    rows = [line.split() for line in plan_of(configure()).splitlines()]
    assert ["class", "photos", "training", "validation", "test"] in rows
    for name in ("amber", "blue", "green"):
        assert [name, "14", "4", "4", "4"] in rows


def test_groups_are_counted_where_any_is_shared(configure: Configure) -> None:
    assert " groups" not in plan_of(configure())
    data = configure().data.model_dump() | {"group_pattern": r"\d", "train_per_class": None}
    plan = plan_of(configure(data=data))
    (told,) = re.findall(r"and (\d+) groups \((\d+) in training, (\d+) in test\)", plan)
    every, trained, tested = map(int, told)
    assert 0 < trained + tested <= every


def test_every_strategy_is_named(configure: Configure) -> None:
    plan = plan_of(configure(seeds=2)).splitlines()
    start = next(number for number, line in enumerate(plan) if line.startswith("Runs: 4"))
    assert plan[start + 1 : start + 3] == ["  from scratch", "  fine-tuning (2 blocks)"]


def test_older_results_stop_it_as_they_stop_the_experiment(configure: Configure) -> None:
    config = configure()
    folder = Path(config.results_folder)
    folder.mkdir(parents=True)
    (folder / "holiday.jpg").touch()
    with pytest.raises(ResultsError, match=f"{folder} must be empty or hold results"):
        plan_of(config)
    assert "Runs: " in plan_of(config, fresh=True)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone")
def test_weights_of_another_network_stop_it(configure: Configure, tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)]).save_weights(path)
    with pytest.raises(WeightsError, match=path.name):
        plan_of(configure(backbone={"name": "Tiny", "weights": str(path), "image_size": 32}))


def test_weights_that_cannot_be_had_stop_it(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(settings: BackboneConfig, **how: bool) -> None:
        raise WeightsError("no network")

    monkeypatch.setattr("tl_keras.models.sources.source_places.check_imagenet", offline)
    with pytest.raises(WeightsError, match="no network"):
        plan_of(configure())


def test_a_search_is_announced(configure: Configure) -> None:
    search = {"max_trials": 6, "oracle": "bayesian"}
    plan = plan_of(configure(strategies=["searched"], search=search))
    assert "Search: 6 trials (bayesian)" in plan
    assert "Search" not in plan_of(configure())


def test_a_search_is_made_for_each_training_size(configure: Configure) -> None:
    data = configure().data.model_dump() | {"train_per_class": [2, 4]}
    plan = plan_of(configure(strategies=["searched"], data=data))
    assert "for each of 2 training sizes" in plan


def test_more_work_takes_longer(configure: Configure) -> None:
    short, long = (
        plan_of(configure(training={"from_scratch": {"epochs": epochs}})) for epochs in (20, 2000)
    )
    assert minutes(short) < minutes(long)
    larger = plan_of(configure(backbone={"image_size": 512}))
    assert minutes(plan_of(configure())) < minutes(larger)


def test_a_search_counts(configure: Configure) -> None:
    strategies = ["from_scratch", "searched"]
    few, many = (
        plan_of(configure(strategies=strategies, search={"max_trials": trials}))
        for trials in (1, 200)
    )
    assert minutes(few) < minutes(many)


def test_augmentation_search_trains_three_times(configure: Configure) -> None:
    once, thrice = (
        plan_of(configure(backbone={"image_size": 320}, training={"augmentation": level}))
        for level in ("light", "search")
    )
    assert 2 < minutes(thrice) / minutes(once) < 3.5


def test_the_majority_class_takes_no_time(configure: Configure) -> None:
    assert minutes(plan_of(configure(strategies=["majority_class"]))) == 1


def test_results_are_announced_and_not_written(configure: Configure, tmp_path: Path) -> None:
    plan = plan_of(configure())
    assert f"Results: {tmp_path / 'results' / 'colours'}" in plan
    assert not (tmp_path / "results").exists()


def test_findings_are_shown(configure: Configure, photos: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(photos, own)
    broken = own / "blue" / "3.png"
    broken.write_bytes(broken.read_bytes()[:300])
    plan = plan_of(configure(data={"folder": own, "skip_unreadable": True}))
    assert "warning 1 image cannot be read and is not used: blue/3.png." in plan
    assert "41 in 3 classes" in plan
    assert ["blue", "13"] in [line.split()[:2] for line in plan.splitlines()]
    assert "1 unreadable left out" in plan


def test_a_source_that_saw_too_little_is_shown(configure: Configure, tmp_path: Path) -> None:
    facts = {
        **dict.fromkeys(("classes", "image_size", "licence", "alpha"), None),
        "name": "few",
        "images": 5,
        "channels": 3,
        "scaling": "tf",
        "generated": False,
        "backbone": "MobileNetV2",
        "description": "",
    }
    write_source_model(tmp_path / "few", build_backbone("MobileNetV2", image_size=160), facts)
    plan = plan_of(configure(backbone={"weights": str(tmp_path / "few")}))
    assert "warning The source few saw 5 images, fewer than the 12 training images" in plan


def test_a_source_that_is_not_there_yet_stops_it(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="run that experiment first"):
        plan_of(configure(backbone={"weights": str(tmp_path / "faces")}))


def test_images_that_cannot_be_used_are_refused(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        plan_of(configure(data={"folder": tmp_path / "absent"}))


def test_new_changes_in_every_batch_take_longer_than_features_computed_once(
    configure: Configure,
) -> None:
    none, light = (
        plan_of(
            configure(
                backbone={"image_size": 1024},
                training={"augmentation": augmentation},
                strategies=["feature_extraction"],
            )
        )
        for augmentation in ("none", "light")
    )
    assert minutes(none) < minutes(light)


def test_a_range_of_blocks_costs_what_a_step_passes_from_its_first_block_upwards() -> None:
    config = ExperimentConfig.model_validate({"name": "a", "data": {"folder": "photos"}})
    blocks = BACKBONES["MobileNetV2"].blocks
    assert unfrozen_share(config, "block_2:block_5") == 1 - 3 / len(blocks)
    assert unfrozen_share(config, "stem:stem") == unfrozen_share(config, "all") == 1
    assert unfrozen_share(config, 2) == 2 / len(blocks)


def test_folds_take_the_place_of_the_test_split_and_search_each(configure: Configure) -> None:
    estimate = {"method": "k_fold", "folds": 3, "repeats": 2}
    plan = plan_of(configure(strategies=["searched"], estimate=estimate))
    assert "each photo is tested 2 times, in one of 3 folds" in plan
    assert "Runs: 6" in plan
    assert "on 3 folds each for each of 6 folds" in plan
    once = plan_of(configure(estimate=estimate | {"repeats": 1}))
    assert "each photo is tested once, in one of 3 folds" in once
