"""What to borrow, from measurements."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tl_keras.models.pooling import Pooling
from tl_keras.models.sources.source_card import SourceCard
from tl_keras.transfer.advice import ENOUGH_IF_ALIKE, ENOUGH_IMAGES, Advice, advise
from tl_keras.transfer.measurements import Measurements
from tl_keras.transfer.probing import AVERAGE
from tl_keras.transfer.representation import Representation

CARD = SourceCard(
    name="photos", images=100_000, classes=100, image_size=96, scaling="tf", description="Photos."
)
NEAR, FAR = {"stem": 0.02, "middle": 0.04, "top": 0.3}, {"stem": 0.5, "middle": 0.4, "top": 0.3}


def probes(excess: list[float], weight: list[float], accuracy: float = 0.9) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "block": ["stem", "middle", "top", AVERAGE],
            "depth": pd.array([1, 2, 3, None], "Int64"),
            "images": 60,
            "accuracy": [0.5, 0.91, 0.8, accuracy],
            "excess": [*excess, None],
            "excess_se": [0.1, 0.1, 0.1, None],
            "weight": [*weight, None],
        }
    )


MIDDLE = probes([0.9, 0.0, 0.5], [0.0, 1.0, 0.0])
TOP = probes([0.9, 0.3, 0.0], [0.0, 0.0, 1.0])


def advice(table: pd.DataFrame = MIDDLE, per_class: int = 10, **changed: Any) -> Advice:
    facts: dict[str, Any] = {
        "probes": table,
        "logme": {"stem": -0.5, "middle": 0.2, "top": 0.1},
        "distances": FAR,
        "labels": np.repeat(np.arange(3), per_class),
        "pixels": np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3)).astype(np.uint8),
        "card": CARD,
        "image_size": 96,
        "representation": Representation(Pooling("mean_std", "flip"), 0.1),
    }
    return advise(Measurements(**(facts | changed)))


def test_little_data_and_another_task_borrow_the_lower_blocks() -> None:
    given = advice()

    assert (given.strategy, given.cut, given.unfrozen_blocks) == ("linear_probe", "middle", (0, 0))
    assert given.confidence == "clear"
    assert given.classical == "freeze, and borrow the lower blocks only"
    assert not given.overruled
    paragraph = given.paragraph()
    assert paragraph.startswith("Advice: linear probe")
    # on middle of 60 images, on the last block, with 10 images in a class of the 30 it takes
    assert re.findall(r"\d+%?", paragraph) == ["91%", "60", "80%", "90%", "10", "30"]
    assert given.classical in paragraph
    assert paragraph.endswith("the measurements agree.")
    assert given.settings() == ('strategies=["linear_probe"]', "backbone.cut=middle")
    assert given.arguments() == {"strategies": ["linear_probe"], "backbone": {"cut": "middle"}}
    assert repr(given) == paragraph


def test_little_data_and_an_alike_task_borrow_everything() -> None:
    given = advice(TOP, distances=NEAR)

    assert (given.strategy, given.cut) == ("linear_probe", "top")
    assert given.classical == "freeze the backbone"
    assert not given.overruled


@pytest.mark.parametrize(("table", "distances"), [(MIDDLE, NEAR), (TOP, FAR)])
def test_the_probes_overrule_the_classical_rule(
    table: pd.DataFrame, distances: dict[str, float]
) -> None:
    given = advice(table, distances=distances)

    assert given.overruled
    assert not given.paragraph().endswith("the measurements agree.")


def test_more_data_are_fine_tuned() -> None:
    given = advice(per_class=ENOUGH_IMAGES)

    assert (given.strategy, given.cut) == ("fine_tuning", "middle")
    assert given.unfrozen_blocks == (4, "all")
    assert given.classical == "fine-tune everything at a small rate"
    assert not given.overruled
    assert re.findall(r"middle|\b4\b|\ball\b", given.paragraph().split(".")[0]) == [
        "middle",
        "4",
        "all",
    ]
    assert given.settings() == (
        'strategies=["fine_tuning"]',
        "backbone.cut=middle",
        'fine_tuning.unfrozen_blocks=[4, "all"]',
    )
    assert given.arguments()["fine_tuning"] == {"unfrozen_blocks": [4, "all"]}


def test_an_alike_task_is_fine_tuned_with_more_images_only() -> None:
    frozen, tuned = (
        advice(TOP, per_class=count, distances=NEAR)
        for count in (ENOUGH_IF_ALIKE - 1, ENOUGH_IF_ALIKE)
    )

    assert (frozen.strategy, tuned.strategy) == ("linear_probe", "fine_tuning")
    assert (frozen.classical, tuned.classical) == (
        "freeze the backbone",
        "fine-tune the upper blocks",
    )


def test_nothing_is_fine_tuned_where_probes_read_nearly_all() -> None:
    given = advice(probes([0.9, 0.0, 0.5], [0.0, 1.0, 0.0], accuracy=0.99), ENOUGH_IMAGES)

    assert given.strategy == "linear_probe"
    assert given.overruled


def test_an_average_ends_at_its_deepest_block() -> None:
    given = advice(probes([0.1, 0.0, 0.15], [1 / 6, 2 / 6, 3 / 6]))

    assert given.cut == "top"
    assert "The average of probes on 3 blocks (stem to top) reads 90%" in given.paragraph()


@pytest.mark.parametrize("distances", [NEAR, FAR])
@pytest.mark.parametrize(
    "table",
    # the best block alone is the middle one in the last two, and their averages end otherwise
    [TOP, MIDDLE, probes([0.1, 0.0, 0.15], [1 / 6, 2 / 6, 3 / 6])],
)
def test_words_of_what_is_borrowed_are_those_of_the_command(
    table: pd.DataFrame, distances: dict[str, float]
) -> None:
    given = advice(table, distances=distances)
    told, whole = given.paragraph(), given.cut == "top"
    assert ("on the whole network" in told) == whole
    assert ("nothing above middle is needed" in told) != whole
    assert ("needed whole" in told) == whole
    # frozen either way: the rule gives up upper blocks where tasks are not alike
    assert given.overruled == (whole == (distances is FAR))
    assert told.endswith("the measurements agree.") != given.overruled


def test_a_lean_towards_lower_blocks_does_not_overrule_the_rule() -> None:
    """The last block is worse by one and a half standard errors, and the task is alike."""
    given = advice(probes([0.9, 0.0, 0.15], [0.0, 0.6, 0.4]), distances=NEAR)

    assert given.confidence == "likely"
    assert not given.overruled


@pytest.mark.parametrize("table", [MIDDLE, TOP])
def test_the_reason_for_a_block_is_what_chose_it(table: pd.DataFrame) -> None:
    # by accuracy alone the middle block were the best of both tables
    assert "loss" in advice(table).reasons[0]


def test_few_images_make_a_guess() -> None:
    assert advice(MIDDLE.assign(images=20)).confidence == "a guess"


def test_random_weights_have_no_classical_rule() -> None:
    assert "classical rule" not in advice(card=None).paragraph()


def test_without_probes_the_classical_rule_stands() -> None:
    given = advice(pd.DataFrame())

    assert (given.strategy, given.cut, given.confidence) == ("feature_extraction", "top", "a guess")
    assert "nothing was measured" in given.paragraph()


def test_the_figures_are_said_to_be_of_one_draw() -> None:
    assert "one draw, the first," in advice().paragraph()
    assert "one draw, that of seed 2," in advice(seed=2).paragraph()


def test_advice_is_written_as_json() -> None:
    read = json.loads(json.dumps(advice(distances=None).as_dict(), allow_nan=False))

    assert read["strategy"] == "linear_probe"
    assert [check["finding"] for check in read["checks"]] == [
        "fulfilled",
        "fulfilled",
        "not available",
    ]
    assert [row["block"] for row in read["blocks"]] == ["stem", "middle", "top"]
    assert read["blocks"][1]["logme"] == 0.2
    assert read["blocks"][0]["distance"] is None
    assert read["image_size"] == 96 and read["networks"] == [] and read["network"] is None
    assert read["representation"] == {"pooling": "mean_std", "views": "flip", "penalty": 0.1}


def test_sizes_are_told_with_what_they_read_and_cost() -> None:
    networks = pd.DataFrame(
        {
            "network": "MobileNetV2",
            "image_size": [96, 224],
            "accuracy": [0.84, 0.97],
            "views": ["flip", "none"],
            "milliseconds_per_image": [1.25, 5.5],
            "chosen": [False, True],
        }
    )
    given = advice(image_size=224, networks=networks)
    assert re.findall(r"\d+ px|\d+%|[\d.]+ ms", given.paragraph())[:7] == [
        *("96 px", "84%", "1.2 ms"),
        *("224 px", "97%", "5.5 ms"),
        "224 px",
    ]
    # the time at 96 px is that of two passes
    assert re.findall(r"ms[^,)]*mirror", given.paragraph()) == ["ms with its mirror"]
    assert given.paragraph().index("mirror") < given.paragraph().index("224 px")
    assert "backbone.image_size=224" in given.settings()
    assert given.arguments()["backbone"]["image_size"] == 224
    assert not any("image_size" in setting for setting in advice().settings())
