"""What a probe reads: chosen on held-out images, on features made up to have a winner."""

import numpy as np
import pytest

from tl_keras.config.schema import ProbeConfig
from tl_keras.models.pooling import FLIP, MEAN, SPREAD, TURNS, Pooling
from tl_keras.transfer.representation import (
    PLAINEST,
    Candidates,
    Representation,
    cheapest_within,
    choose_kind,
    choose_representation,
)

LABELS = np.repeat(np.arange(3), 20)
GROUPS = np.arange(60)
EVERYTHING = Candidates()


def features(pooling: Pooling, *, telling: str) -> dict[str, np.ndarray]:
    """Two blocks; what is telling has the class in it, the rest is noise."""
    rng = np.random.default_rng(0)
    blocks = {}
    for name in ("low", "high"):
        mean, spread, view = (rng.normal(size=(60, 6)) for _ in range(3))
        told = np.eye(6)[LABELS] * 3
        mean += told * (telling == "mean")
        spread += told * (telling == "spread")
        if telling == "view":
            mean += told / 3
            # an independent look at the same thing
            view += told / 3
        if pooling.views != "none":
            mean = (mean + view) / 2
        blocks[name] = mean if pooling.kind == MEAN else np.concatenate([mean, spread], axis=1)
    return blocks


def chosen(telling: str, candidates: Candidates = EVERYTHING) -> Representation:
    found = choose_representation(
        lambda pooling: features(pooling, telling=telling), LABELS, GROUPS, candidates
    )
    assert found is not None
    return found.representation


def test_what_tells_the_classes_is_read() -> None:
    assert chosen("mean").pooling == Pooling(MEAN)
    assert chosen("spread").pooling == Pooling(SPREAD)
    assert chosen("view").pooling == Pooling(MEAN, FLIP)


def test_eight_passes_have_to_earn_their_time() -> None:
    every = Candidates(views=("none", FLIP, TURNS))
    # here the other seven say no more than the mirror image
    assert chosen("view", every).pooling == Pooling(MEAN, FLIP)
    assert chosen("mean", every).pooling == Pooling(MEAN)
    assert chosen("view", Candidates(views=("none", TURNS))).pooling == Pooling(MEAN, TURNS)


def test_blocks_that_means_tell_nothing_of_are_compared_too() -> None:
    def read(pooling: Pooling) -> dict[str, np.ndarray]:
        rng, blocks = np.random.default_rng(0), {}
        for number in range(6):
            mean, spread = rng.normal(size=(2, 60, 6))
            told = np.eye(6)[LABELS]
            # four blocks tell a little by their means, the others much by their deviations
            mean, spread = (mean + 1.5 * told, spread) if number > 1 else (mean, spread + 5 * told)
            both = np.concatenate([mean, spread], axis=1)
            blocks[str(number)] = mean if pooling.kind == MEAN else both
        return blocks

    assert choose_kind(read, LABELS, GROUPS) == SPREAD


def test_a_head_has_the_kind_that_probes_of_everything_take() -> None:
    for telling in ("mean", "spread", "nothing"):

        def read(pooling: Pooling, telling: str = telling) -> dict[str, np.ndarray]:
            assert pooling.passes == 1
            return features(pooling, telling=telling)

        assert choose_kind(read, LABELS, GROUPS) == chosen(telling).pooling.kind
    few = np.array([0, 0, 1])
    assert choose_kind(lambda _: {}, few, np.arange(3)) == MEAN


def test_a_stronger_penalty_is_taken_where_the_classes_are_hardly_told() -> None:
    penalties = Candidates((MEAN,), (1e-3, 100.0), ("none",))
    assert chosen("nothing", penalties).penalty == 100
    assert chosen("mean", penalties).penalty == 1e-3


def test_the_table_is_of_the_chosen_representation() -> None:
    found = choose_representation(
        lambda pooling: features(pooling, telling="spread"), LABELS, GROUPS, Candidates(), classes=5
    )
    assert found is not None
    # means and deviations
    assert found.found.table["features"].tolist()[:2] == [12, 12]
    assert found.found.average().shape == (4, 60, 5)
    # classes without an image have no probability
    assert np.exp(found.found.average()[..., 3:]).max() < 1e-6


def test_groups_are_never_on_both_sides() -> None:
    # the class of an image of a group is told by the group alone
    groups = np.arange(60) // 2
    rng = np.random.default_rng(1)
    own = {"low": np.repeat(rng.normal(size=(30, 200)), 2, axis=0)}
    apart = choose_representation(lambda _: own, LABELS, groups, PLAINEST)
    together = choose_representation(lambda _: own, LABELS, GROUPS, PLAINEST)
    assert apart is not None and together is not None
    accuracy = [found.found.table["accuracy"].iloc[0] for found in (apart, together)]
    assert accuracy[0] < 0.55 < accuracy[1]


def test_too_few_images_leave_no_choice() -> None:
    few = np.array([0, 0, 1])
    assert choose_representation(lambda _: {}, few, np.arange(3), Candidates()) is None


def test_the_first_within_a_standard_error_is_taken() -> None:
    noise = np.array([1.0, -1.0, 1.0, -1.0])
    worse, near, best = np.full(4, 2.0), 0.5 * noise + 0.1, np.zeros(4)
    place, excess, error = cheapest_within([worse, near, best], None)
    assert place == 1
    assert excess.tolist() == pytest.approx([2.0, 0.1, 0.0])
    # of the paired difference: deviation 0.577 of 4 images
    assert error[1] == pytest.approx(np.std(0.5 * noise, ddof=1) / 2)
    # two groups of two that cancel each other say nothing against it, one alone cannot tell
    assert cheapest_within([worse, best], np.array([0, 0, 1, 1]))[0] == 1
    assert cheapest_within([worse, best], np.zeros(4, int))[0] == 0


@pytest.mark.parametrize(
    ("asked", "kinds", "penalties", "views"),
    [
        ({}, (MEAN, SPREAD), (0.1, 1.0), ("none", FLIP)),
        ({"pooling": "mean_std", "penalty": 3.0}, (SPREAD,), (3.0,), ("none", FLIP)),
        ({"views": "flip"}, (MEAN, SPREAD), (0.1, 1.0), (FLIP,)),
        ({"views": "none"}, (MEAN, SPREAD), (0.1, 1.0), ("none",)),
        ({"views": "turns"}, (MEAN, SPREAD), (0.1, 1.0), (TURNS,)),
        # cheapest first, whatever their order
        ({"views": ("turns", "none")}, (MEAN, SPREAD), (0.1, 1.0), ("none", TURNS)),
        (
            {"pooling": ("mean_std", "mean"), "penalty": (3.0, 0.5, 1.0), "views": ("flip",)},
            (MEAN, SPREAD),
            (0.5, 1.0, 3.0),
            (FLIP,),
        ),
    ],
)
def test_candidates_are_what_is_asked_for(
    asked: dict[str, object],
    kinds: tuple[str, ...],
    penalties: tuple[float, ...],
    views: tuple[str, ...],
) -> None:
    assert Candidates.of(ProbeConfig(**asked)) == Candidates(kinds, penalties, views)  # type: ignore[arg-type]
