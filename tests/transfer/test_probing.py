"""Layer-wise linear probes."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tl_keras.errors import PicturesError, WeightsError
from tl_keras.transfer import probing
from tl_keras.transfer.probing import (
    AVERAGE,
    MOST_IMAGES,
    LinearProbe,
    average_weights,
    choose_block,
    cross_validate,
    fit_probe,
    fit_probes,
)


def two_clouds(images: int, features: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(images) % 2
    values = rng.normal(3.0, 2.0, (images, features))
    values[:, 0] += distance * labels
    return values, labels


@pytest.mark.parametrize("features", [5, 400])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_is_the_logistic_regression_on_standardised_features(
    features: int, classes: int
) -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(60) % classes
    values = rng.normal(size=(60, features)) * rng.uniform(0.1, 5, features)
    values[:, :classes] += 2 * np.eye(classes)[labels]
    plain = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=5000))
    plain.fit(values, labels)

    predicted = np.exp(fit_probe(values, labels, classes).log_probabilities(values))

    np.testing.assert_allclose(predicted, plain.predict_proba(values), atol=5e-3)


def test_a_class_that_was_not_seen_gets_no_probability() -> None:
    values, labels = two_clouds(20, 3, 5.0)
    predicted = np.exp(fit_probe(values, 2 * labels, 3).log_probabilities(values))

    assert predicted.shape == (20, 3)
    assert predicted[:, 1].max() < 1e-6


def test_a_constant_feature_does_no_harm() -> None:
    values, labels = two_clouds(20, 3, 8.0)
    values[:, 1] = 7.0
    probe = fit_probe(values, labels, 2)

    assert np.all(probe.kernel[1] == 0)
    assert np.isfinite(probe.log_probabilities(values)).all()


def test_equal_features_tell_nothing() -> None:
    labels = np.arange(20) % 2
    probe = fit_probe(np.full((20, 50), 3.0), labels, 2)

    np.testing.assert_allclose(probe.probabilities(np.ones((2, 50))), 0.5, atol=1e-6)


def test_tiny_features_are_read_like_large_ones() -> None:
    """Deep in a network with random weights all activations are tiny."""
    values, labels = two_clouds(40, 5, 4.0)
    large, tiny = (fit_probe(x, labels, 2).log_probabilities(x) for x in (values, 1e-7 * values))

    np.testing.assert_allclose(tiny, large, atol=1e-3)


def test_a_channel_that_is_dead_beside_the_others_is_left_out() -> None:
    values, labels = two_clouds(20, 3, 8.0)
    values[:, 1] *= 1e-6
    probe = fit_probe(values, labels, 2)

    assert np.all(probe.kernel[1] == 0)


def test_probes_on_parts_are_the_same_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of other sizes and classes too, and however many are solved at the same time."""
    rng = np.random.default_rng(4)
    labels = np.arange(60) % 3
    values = rng.normal(2.0, 3.0, (60, 30)).astype(np.float32) + 4 * np.eye(3, 30)[labels]
    parts = [rng.permutation(60)[:50] for _ in range(4)]
    parts += [np.arange(40), np.flatnonzero(labels != 1), np.arange(6), np.flatnonzero(labels)]
    alone = [fit_probe(values[rows], labels[rows], 4) for rows in parts]
    together = fit_probes(values, labels, parts, 4)
    monkeypatch.setattr(probing, "VALUES_AT_ONCE", 1)
    in_turn = fit_probes(values, labels, parts, 4)

    for probes in zip(alone, together, in_turn, strict=True):
        for other in probes[1:]:
            np.testing.assert_array_equal(other.kernel, probes[0].kernel)
            np.testing.assert_array_equal(other.bias, probes[0].bias)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(wrong: float) -> None:
    values, labels = two_clouds(20, 3, 5.0)
    values[3, 1] = wrong

    with pytest.raises(WeightsError, match="finite"):
        fit_probe(values, labels, 2)


def test_one_class_is_nothing_to_learn() -> None:
    values, labels = two_clouds(20, 3, 5.0)

    with pytest.raises(PicturesError, match="two classes"):
        cross_validate([("block", values)], 0 * labels, np.arange(20))


def test_threads_change_no_bit() -> None:
    """Large enough for the libraries below to share a product out among them."""
    values, labels = two_clouds(300, 800, 1.0)
    many = np.tile(values, (20, 1))
    probes, answers = [], []
    for threads in (1, 2):
        with threadpool_limits(threads):
            probes.append(fit_probe(values, labels, 40))
            answers.append(probes[0].log_probabilities(many))

    np.testing.assert_array_equal(probes[1].kernel, probes[0].kernel)
    np.testing.assert_array_equal(answers[1], answers[0])


def test_the_block_that_tells_the_classes_apart_is_found() -> None:
    clear, labels = two_clouds(60, 4, 12.0)
    table = cross_validate(
        [("noise", np.random.default_rng(5).normal(size=(60, 4))), ("clear", clear)],
        labels,
        np.arange(60),
    )
    noise, clear_one, average = table.to_dict("records")

    assert clear_one["accuracy"] > 0.95
    assert noise["accuracy"] < 0.75
    assert clear_one["cross_entropy"] < 0.2 < noise["cross_entropy"]
    assert (table["accuracy_low"] < table["accuracy"]).all()
    assert table["depth"].dropna().tolist() == [1, 2]
    assert (table["folds"] == 5).all()
    assert average["block"] == AVERAGE
    assert average["accuracy"] == clear_one["accuracy"], "the noise has no share"


def test_good_blocks_are_averaged_by_their_depth() -> None:
    clear, labels = two_clouds(60, 4, 12.0)
    noise = np.random.default_rng(5).normal(size=(60, 4))
    blocks = [("clear", clear), ("noise", noise), ("same", clear)]
    weights = average_weights(cross_validate(blocks, labels, np.arange(60)))

    assert weights == {"clear": pytest.approx(1 / 4), "same": pytest.approx(3 / 4)}


def test_a_bad_block_with_large_errors_has_a_small_share() -> None:
    """Few confident mistakes make a standard error so large that nearly all is within two of it."""
    clear, labels = two_clouds(24, 1, 12.0)
    # Many copies of a feature make a probe sure of itself.
    clear = np.repeat(clear, 200, axis=1)
    outlier = clear.copy()
    outlier[:2] = clear[[1, 0]]
    table = cross_validate([("clear", clear), ("outlier", outlier)], labels, np.arange(24))
    excess, error = table[["excess", "excess_se"]].iloc[1]

    assert 0.4 < excess < 2 * error
    assert average_weights(table).get("outlier", 0.0) < 0.15, "by its depth alone it had 2/3"


def test_an_average_of_probes_averages_their_logits() -> None:
    first, labels = two_clouds(40, 3, 4.0)
    second = first[:, ::-1] ** 2
    probes = [fit_probe(values, labels, 2) for values in (first, second)]
    average = LinearProbe.average(probes, [0.25, 0.75])
    expected = 0.25 * (first @ probes[0].kernel + probes[0].bias)
    expected += 0.75 * (second @ probes[1].kernel + probes[1].bias)

    predicted = average.probabilities(np.concatenate([first, second], axis=1))

    odds = np.exp(expected)
    np.testing.assert_allclose(predicted, odds / odds.sum(axis=1, keepdims=True), atol=1e-5)


def test_of_many_images_a_part_is_used_with_whole_groups() -> None:
    values, labels = two_clouds(3 * MOST_IMAGES, 3, 3.0)
    groups = np.arange(len(labels)) // 4
    table = cross_validate([("block", values)], labels, groups)

    assert table["images"].iloc[0] == pytest.approx(MOST_IMAGES, abs=8)
    assert table["images"].iloc[0] % 4 == 0
    assert (table["repeats"] == 1).all()


def probes(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"block": ["stem", "middle", "top"], **columns})


def test_the_deepest_block_within_one_standard_error_is_chosen() -> None:
    assert choose_block(probes(excess=[0.3, 0.0, 0.1], excess_se=[0.1, 0.0, 0.11])) == "top"
    assert choose_block(probes(excess=[0.3, 0.0, 0.1], excess_se=[0.1, 0.0, 0.09])) == "middle"
    assert choose_block(probes(excess=[0.0, 0.2, 0.3], excess_se=[0.0, 0.1, 0.1])) == "stem"


def test_excess_is_against_the_best_block_and_paired_by_image() -> None:
    clear, labels = two_clouds(40, 2, 6.0)
    table = cross_validate(
        [("clear", clear), ("same", clear), ("noise", np.ones((40, 2)))], labels, np.arange(40)
    )

    assert table["excess"].tolist()[:2] == [0.0, 0.0]
    assert table["excess_se"].tolist()[:2] == [0.0, 0.0]
    noise = table["cross_entropy"].iloc[2]
    assert noise == pytest.approx(np.log(2), abs=0.01)
    assert table["excess"].iloc[2] == pytest.approx(noise - table["cross_entropy"].iloc[0])
    assert choose_block(table) == "same"


def test_images_of_one_group_are_never_on_both_sides() -> None:
    """Pairs of equal images with random labels: leaking pairs would be recognised."""
    rng = np.random.default_rng(2)
    values = np.repeat(rng.normal(size=(40, 200)), 2, axis=0)
    labels = np.repeat(rng.permutation(np.arange(40) % 2), 2)
    leaking = cross_validate([("block", values)], labels, np.arange(80))
    grouped = cross_validate([("block", values)], labels, np.repeat(np.arange(40), 2))

    assert leaking["accuracy"].iloc[0] > 0.75
    assert grouped["accuracy"].iloc[0] < 0.7


def test_a_class_in_one_group_cannot_be_held_out() -> None:
    values, labels = two_clouds(30, 3, 4.0)
    groups = np.where(labels == 1, 100, np.arange(30))

    assert cross_validate([("block", values)], labels, groups).empty


def test_every_fold_is_trained_on_every_class() -> None:
    """Groups of three classes each: a division may leave a class to one side."""
    values, _ = two_clouds(24, 3, 1.0)
    labels = np.array([0, 1, 2] * 8)
    groups = np.repeat(np.arange(4), 6)
    table = cross_validate([("block", values)], labels, groups)

    assert (table["folds"] <= 4).all()
    assert table["cross_entropy"].max() < 50, "no class was unknown to a probe"


@pytest.mark.parametrize(("rarest", "folds"), [(3, 3), (2, 2), (9, 5)])
def test_there_are_no_more_folds_than_images_of_the_rarest_class(rarest: int, folds: int) -> None:
    values, _ = two_clouds(30, 3, 1.0)
    labels = (np.arange(30) < rarest).astype(int)

    assert cross_validate([("block", values)], labels, np.arange(30))["folds"].iloc[0] == folds


def test_one_image_of_a_class_is_too_few() -> None:
    values, _ = two_clouds(10, 3, 1.0)
    labels = (np.arange(10) < 1).astype(int)

    assert cross_validate([("block", values)], labels, np.arange(10)).empty


def test_out_of_fold_says_something_of_every_image_part_by_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    features = (6 * np.eye(3)[labels] + rng.normal(size=(120, 3))).astype(np.float32)
    monkeypatch.setattr(probing, "MOST_IMAGES", 50)
    found = probing.out_of_fold([("block", features)], labels, np.arange(120))
    assert found is not None
    assert found.shape[1:] == (120, 3)
    np.testing.assert_allclose(np.exp(found).sum(axis=2), 1, atol=1e-5)
    assert (found.mean(axis=0).argmax(axis=1) == labels).mean() > 0.95


def test_out_of_fold_says_what_the_average_was_measured_on() -> None:
    """The same folds, of every image and every repeat."""
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    blocks = [(str(k), k * np.eye(3)[labels] + rng.normal(size=(60, 3))) for k in (1, 2, 3)]
    average = cross_validate(blocks, labels, np.arange(60), seed=5).iloc[-1]
    found = probing.out_of_fold(blocks, labels, np.arange(60), seed=5)

    assert found is not None
    assert (found.argmax(axis=2) == labels).mean() == pytest.approx(average["accuracy"])
    own = -found[:, np.arange(60), labels].mean()
    assert own == pytest.approx(average["cross_entropy"], rel=1e-5)


def test_out_of_fold_cannot_say_anything_of_one_group() -> None:
    labels, features = np.arange(12) % 2, np.zeros((12, 3), np.float32)
    assert probing.out_of_fold([("block", features)], labels, labels) is None


def test_crops_of_a_picture_make_no_probe_surer() -> None:
    values, labels = two_clouds(40, 4, distance=3.0)
    blocks = [("low", values), ("high", values[:, ::-1] * 0.5 + values)]
    pictures = np.arange(40)
    one = cross_validate(blocks, labels, pictures, repeats=1)
    crops = [(name, features.repeat(5, axis=0)) for name, features in blocks]
    many, unaware = (
        cross_validate(crops, labels.repeat(5), groups, repeats=1)
        for groups in (pictures.repeat(5), np.arange(200))
    )
    widths = [table["accuracy_high"] - table["accuracy_low"] for table in (one, many, unaware)]
    assert (widths[1] > 0.9 * widths[0]).all()
    assert (widths[1] > 1.5 * widths[2]).all()
    worse = many["excess"] > 0
    assert (many["excess_se"][worse] > 1.5 * unaware["excess_se"][unaware["excess"] > 0]).all()


def test_groups_of_one_image_change_no_probe() -> None:
    values, labels = two_clouds(40, 4, distance=3.0)
    one, other = (
        cross_validate([("only", values)], labels, groups)
        for groups in (np.arange(40), np.arange(40) + 7)
    )
    pd.testing.assert_frame_equal(one, other)
    accuracy, low = one[["accuracy", "accuracy_low"]].to_numpy()[0]
    known = binomtest(round(40 * accuracy), 40).proportion_ci(method="wilson")
    assert low == known.low
