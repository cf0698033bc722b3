"""From a configuration to runs, and from a run to recipes."""

import re
from typing import Any

import pytest

from tl_keras.config.schema import NAME_PATTERN, ExperimentConfig
from tl_keras.errors import ConfigError
from tl_keras.models.backbone import Depth
from tl_keras.transfer.recipe import Recipe
from tl_keras.transfer.run_plan import Run, fitting_depths, plan_runs, recipes_for

EVERY_STRATEGY = (
    "majority_class",
    "from_scratch",
    "linear_probe",
    "feature_extraction",
    "fine_tuning",
    "searched",
)


def config(**keys: Any) -> ExperimentConfig:
    data = {"folder": "photos", **keys.pop("data", {})}
    return ExperimentConfig.model_validate({"name": "parts", "data": data, **keys})


def run(strategy: str, depth: Any = None) -> Run:
    return Run(strategy, seed=1, train_per_class=5, unfrozen_blocks=depth)


def test_runs_are_every_strategy_depth_and_seed() -> None:
    planned = plan_runs(
        config(
            strategies=("feature_extraction", "fine_tuning"),
            fine_tuning={"unfrozen_blocks": (2, "all")},
            seeds=2,
            data={"train_per_class": 5},
        )
    )
    assert [run.run_id for run in planned] == [
        "feature_extraction-n5-s0",
        "feature_extraction-n5-s1",
        "fine_tuning-2-n5-s0",
        "fine_tuning-2-n5-s1",
        "fine_tuning-all-n5-s0",
        "fine_tuning-all-n5-s1",
    ]


@pytest.mark.parametrize(
    ("depths", "blocks", "fitted"),
    [
        ((2, "all"), "ab", (2, "all")),
        ((2, "all"), "a", ("all",)),
        ((1, 3, 4), "ab", (1, "all")),
        ((0, "a:b", "b:c"), "abc", (0, "a:b", "b:c")),
        ((0, "a:b", "b:c"), "ab", (0, "a:b")),
        (("b:c",), "ab", ()),
    ],
)
def test_depths_beyond_a_cut_are_all_of_it_once_and_ranges_lie_within(
    depths: tuple[Depth, ...], blocks: str, fitted: tuple[Depth, ...]
) -> None:
    assert fitting_depths(depths, blocks) == fitted


def test_ranges_above_a_searched_cut_alone_are_refused() -> None:
    settings = config(
        strategies=("fine_tuning",), fine_tuning={"unfrozen_blocks": ("block_12:block_14",)}
    )
    with pytest.raises(ConfigError, match=r"cut at block_7.*got block_12:block_14"):
        plan_runs(settings, ("stem", "block_7"))


def test_sizes_come_one_after_the_other() -> None:
    planned = plan_runs(
        config(
            strategies=("feature_extraction", "majority_class"),
            seeds=1,
            data={"train_per_class": (5, 10)},
        )
    )
    assert [run.train_per_class for run in planned] == [5, 5, 10, 10]


def test_all_images_are_a_size_too() -> None:
    (planned,) = plan_runs(config(strategies=("feature_extraction",), seeds=1))
    assert planned.run_id == "feature_extraction-nall-s0"


def test_ids_are_unique_and_valid_folder_names() -> None:
    planned = plan_runs(
        config(
            strategies=EVERY_STRATEGY,
            fine_tuning={"unfrozen_blocks": (1, 2, 12, "all", "block_2:block_5")},
            seeds=12,
            data={"train_per_class": (1, 2, 11, 21)},
        )
    )
    ids = {run.run_id for run in planned}
    assert len(ids) == len(planned) == 4 * 12 * (5 + 5)
    assert all(re.fullmatch(NAME_PATTERN, run_id) for run_id in ids)


def test_only_fine_tuning_has_a_depth() -> None:
    planned = plan_runs(config(strategies=EVERY_STRATEGY))
    assert {run.strategy for run in planned if run.unfrozen_blocks is not None} == {"fine_tuning"}


@pytest.mark.parametrize(
    ("asked", "depth", "phase", "from_scratch"),
    [
        (run("feature_extraction"), 0, "phase_2", False),
        (run("fine_tuning", 2), 2, "phase_2", False),
        (run("fine_tuning", "all"), "all", "phase_2", False),
        (run("fine_tuning", "block_2:block_5"), "block_2:block_5", "phase_2", False),
        (run("from_scratch"), "all", "from_scratch", True),
    ],
    ids=lambda value: value.run_id if isinstance(value, Run) else None,
)
def test_each_strategy_has_its_recipe(
    asked: Run, depth: Any, phase: str, from_scratch: bool
) -> None:
    settings = config(
        head={"hidden_units": (7,)}, training={"augmentation": "light", "layer_decay": 0.5}
    )
    expected = Recipe(
        unfrozen_blocks=depth,
        augmentation="light",
        hidden_units=(7,),
        last_phase=getattr(settings.training, phase),
        from_scratch=from_scratch,
        cut=None if from_scratch else "block_9",
        layer_decay=1.0 if from_scratch else 0.5,
        pooling="mean_std",
    )
    assert recipes_for(asked, settings, "block_9", "mean_std") == (expected,)


@pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tuning", "from_scratch"])
def test_augmentation_to_search_for_gives_a_recipe_per_level(strategy: str) -> None:
    settings = config(training={"augmentation": "search"})
    recipes = recipes_for(run(strategy, 2), settings)
    assert [recipe.augmentation for recipe in recipes] == ["none", "light", "strong"]
    assert len({recipe.unfrozen_blocks for recipe in recipes}) == 1
