"""p-values that keep their promise to photos like the labelled ones, and are low for strangers."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from tl_keras.transfer.familiarity import (
    LEAST_PHOTOS,
    MOST_PHOTOS,
    RELATIVE,
    BlockDistance,
    Familiarity,
    Normal,
    Unusual,
    carry_familiarity,
    fit_familiarity,
    reach_the_middle,
    unit_length,
    watched_blocks,
)

CHANNELS = 12
RNG = np.random.default_rng(0)
CLASSES = RNG.normal(0, 1, (3, 2 * CHANNELS))


def features_of(labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Of two blocks: a class's place and much the same noise around each."""
    return {
        name: CLASSES[labels] * size + 3 + rng.normal(0, 0.3, (len(labels), 2 * CHANNELS))
        for name, size in (("low", 1.0), ("high", 0.7))
    }


def fitted(photos: int = 30, seed: int = 0, **options: object) -> Familiarity:
    labels = np.arange(photos) % 3
    features = features_of(labels, np.random.default_rng(seed))
    found = fit_familiarity(features, labels, np.arange(photos), **options)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("photos", [12, 30, 60])
def test_photos_like_the_labelled_ones_are_refused_as_seldom_as_was_promised(photos: int) -> None:
    refused = []
    for seed in range(20):
        new = features_of(np.arange(150) % 3, np.random.default_rng(1000 + seed))
        refused.append(np.mean(fitted(photos, seed).familiar(new) < 0.05))
    error = np.std(refused) / np.sqrt(20)
    assert np.mean(refused) <= 0.05 + 2 * error


def test_strangers_are_refused() -> None:
    strangers = {
        name: np.random.default_rng(5).normal(0, 1, (50, 2 * CHANNELS)) for name in ("low", "high")
    }
    assert fitted(30).familiar(strangers).max() < 0.05
    # so few that the least share a sample can tell is above 5%
    assert fitted(12).familiar(strangers).max() < 0.05


@pytest.mark.parametrize("photos", [60, 120])
def test_labelled_photos_themselves_and_what_is_nearly_the_same_are_known(photos: int) -> None:
    # classes that are far apart, and more features than photos: covariances fit these photos alone
    rng, labels = np.random.default_rng(4), np.arange(photos) % 3
    directions = rng.normal(0, 0.3, (40, 200)) * np.linspace(2, 0.1, 40)[:, np.newaxis]
    features = rng.normal(0, 1, (photos, 40)) @ directions + rng.normal(0, 1, (photos, 200))
    features += 5 + rng.normal(0, 4, (3, 200))[labels]
    found = fit_familiarity({"middle": features}, labels, np.arange(photos))
    assert found is not None
    for nearly in (0, 0.01):
        again = features + rng.normal(0, nearly, features.shape)
        assert np.mean(found.familiar({"middle": again}) < 0.05) <= 0.05


def test_a_place_between_the_classes_is_stranger_than_the_classes() -> None:
    found = fitted(30)
    middle = {name: CLASSES.mean(axis=0)[np.newaxis] * size + 3 for name, size in
              (("low", 1.0), ("high", 0.7))}  # fmt: skip
    own = {name: CLASSES * size + 3 for name, size in (("low", 1.0), ("high", 0.7))}
    assert found.familiar(middle)[0] < found.familiar(own).min()


def test_the_farther_the_lower_beyond_all_labelled_photos_too() -> None:
    steps = np.linspace(0, 8, 30)[:, np.newaxis]
    way = 3 + steps * np.random.default_rng(2).normal(0, 1, (1, 2 * CHANNELS))
    from_class = {"low": way + CLASSES[:1], "high": way + CLASSES[:1] * 0.7}
    found = fitted(30).familiar(from_class)
    beyond = found[np.flatnonzero(found < 1 / 31)[0] :]
    assert len(beyond) > 20
    assert np.all(np.diff(beyond) <= 1e-12)
    assert found[-1] < found[len(found) // 2] or found[-1] < 1e-6


def test_the_share_of_labelled_photos_that_are_at_least_as_strange() -> None:
    found = fitted(30, seed=1)
    order = np.sort(found.held_out)
    # distinct scores: ranks over n, but for steps that overlap, which make none smaller
    assert order[0] == pytest.approx(1 / 30)
    assert np.all(order >= np.arange(1, 31) / 30 - 1e-12)
    assert order.max() <= 1


def test_photos_of_a_group_are_left_out_together() -> None:
    labels = np.repeat(np.arange(30) % 3, 2)
    features = features_of(np.arange(30) % 3, np.random.default_rng(0))
    twice = {name: np.repeat(values, 2, axis=0) for name, values in features.items()}
    groups = np.repeat(np.arange(30), 2)
    together = fit_familiarity(twice, labels, groups)
    apart = fit_familiarity(twice, labels, np.arange(60))
    assert together is not None and apart is not None
    new = features_of(np.arange(300) % 3, np.random.default_rng(9))
    assert np.mean(together.familiar(new) < 0.05) <= 0.08
    # twice what was promised
    assert np.mean(apart.familiar(new) < 0.05) > 0.1


def drawn_together(
    features: dict[str, np.ndarray], labels: np.ndarray, learned: np.ndarray, times: float = 10
) -> dict[str, np.ndarray]:
    """As a network gives that learned from some photos: so much nearer to their classes."""
    drawn = {}
    for name, values in features.items():
        places = CLASSES[labels] * {"low": 1.0, "high": 0.7}[name] + 3
        nearer = places + (values - places) / times
        drawn[name] = np.where(learned[:, np.newaxis], nearer, values)
    return drawn


def test_photos_that_the_network_learned_from_do_not_say_how_strange_photos_may_be() -> None:
    labels, learned = np.arange(60) % 3, np.arange(60) < 30
    features = features_of(labels, np.random.default_rng(0))
    before = drawn_together(features, labels, learned)
    found = carry_familiarity(before, labels, before, learned)
    assert found is not None and len(found.scores) == 30
    assert np.isnan(found.held_out[learned]).all()
    assert not np.isnan(found.held_out[~learned]).any()
    new = features_of(np.arange(300) % 3, np.random.default_rng(9))
    assert np.mean(found.familiar(new) < 0.05) <= 0.1


def test_a_network_that_learned_all_photos_goes_by_one_that_learned_some() -> None:
    labels, learned = np.arange(60) % 3, np.arange(60) < 30
    features = features_of(labels, np.random.default_rng(0))
    before = drawn_together(features, labels, learned)
    after = drawn_together(features, labels, np.ones(60, bool))
    found = carry_familiarity(after, labels, before, learned)
    alone = fit_familiarity(after, labels, np.arange(60))
    assert found is not None and alone is not None
    new = features_of(np.arange(300) % 3, np.random.default_rng(9))
    assert np.mean(found.familiar(new) < 0.05) <= 0.1
    assert np.mean(alone.familiar(new) < 0.05) > 0.9


def test_nothing_is_said_where_photos_or_groups_are_too_few() -> None:
    labels = np.arange(LEAST_PHOTOS) % 2
    features = features_of(labels, np.random.default_rng(0))
    everyone = np.arange(LEAST_PHOTOS)
    assert fit_familiarity(features, labels, everyone) is not None
    few = {name: values[:-1] for name, values in features.items()}
    assert fit_familiarity(few, labels[:-1], everyone[:-1]) is None
    assert fit_familiarity(features, labels, labels) is None
    assert carry_familiarity(features, labels, features, everyone > 0) is None
    many = {name: np.repeat(values, 3, axis=0) for name, values in features.items()}
    labels = np.repeat(labels, 3)
    assert carry_familiarity(many, labels, many, np.arange(30) < 10) is not None
    assert carry_familiarity(many, labels, many, np.arange(30) < 3) is None


def test_of_many_photos_some_are_learned_from() -> None:
    photos = MOST_PHOTOS + 200
    found = fitted(photos)
    assert len(found.scores) == MOST_PHOTOS
    assert np.isnan(found.held_out).sum() == 200
    assert len(found.held_out) == photos


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_pictures_that_are_all_alike_give_numbers(value: float) -> None:
    labels = np.arange(20) % 2
    found = fit_familiarity({"low": np.full((20, 8), value)}, labels, np.arange(20))
    assert found is not None
    said = found.familiar({"low": np.stack([np.full(8, value), np.arange(8.0)])})
    assert np.isfinite(said).all()
    assert said[0] > 0.5
    assert said[1] < 0.05


def test_means_and_deviations_count_alike() -> None:
    unit = unit_length(np.array([[3.0, 4.0, 0.0, 0.2]]))
    assert unit == pytest.approx(np.array([[0.6, 0.8, 0, 1]]) / np.sqrt(2), abs=1e-6)


def covariance_of(normal: Normal) -> np.ndarray:
    """The matrix that its squares are in the metric of."""
    width = normal.means.shape[1]
    inverse = (np.eye(width) - normal.directions.T @ normal.directions) / normal.variance
    return np.asarray(np.linalg.inv(inverse))


def test_distances_are_those_of_shrunk_covariances() -> None:
    rng = np.random.default_rng(1)
    features, labels = unit_length(rng.normal(1, 1, (40, 6))), np.arange(40) % 2
    block = BlockDistance.of(features, labels)
    means = np.stack([features[labels == label].mean(axis=0) for label in (0, 1)])
    new = unit_length(rng.normal(0, 2, (5, 6)))
    shrunk, _ = ledoit_wolf(features - means[labels], assume_centered=True)
    centre = features.mean(axis=0)
    # all together differ as the photos of a class do, and as the means of the classes do
    every = shrunk + np.cov(means[labels], rowvar=False, ddof=0)
    squares = {}
    for name, normal, centres, covariance in (
        ("class", block.classes, means, shrunk),
        ("all", block.together, centre[np.newaxis], every),
    ):
        assert covariance_of(normal) == pytest.approx(covariance)
        away = new[:, np.newaxis] - centres
        inverse = np.linalg.inv(covariance)
        squares[name] = np.einsum("nci,ij,ncj->nc", away, inverse, away).min(axis=1)
    to_photo = ((new[:, np.newaxis] - features) ** 2).sum(axis=2).min(axis=1)
    far, between = block.logarithms(new).T
    assert far == pytest.approx(np.log(squares["class"] * to_photo) / 2)
    assert between == pytest.approx(np.log(squares["class"]) - RELATIVE * np.log(squares["all"]))


def test_what_is_strange_in_one_way_alone_is_stranger_than_a_little_in_all() -> None:
    rng = np.random.default_rng(3)
    alike = rng.normal(0, 1, (200, 1)) + rng.normal(0, 0.2, (200, 3))
    unusual = Unusual.of(alike)
    one, all_of_them, less, none = unusual.scores(
        np.array([[3.0, 0, 0], [2.0, 2, 2], [1.0, 1, 1], [-3.0, -3, -3]])
    )
    assert one > all_of_them > less > none == 0


def test_blocks_of_the_middle_are_read_as_far_as_the_classifier_goes() -> None:
    every = tuple("abcdefghijklm")
    assert watched_blocks(every, every) == tuple("eghj")
    assert watched_blocks(every, every[:9]) == tuple("efhi")
    assert watched_blocks(every, every[:6]) == ("e", "f")
    assert (reach_the_middle(every, every[:5]), reach_the_middle(every, every[:4])) == (True, False)
    assert watched_blocks(every, every[:2]) == ("b",)
    assert watched_blocks(("only",), ("only",)) == ("only",)
