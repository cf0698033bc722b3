"""Many logistic regressions at once."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from tl_keras.transfer import logistic
from tl_keras.transfer.logistic import fit_logistic


def clouds(
    images: int, features: int, classes: int, distance: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One problem: rows (1, n, features), standardised, and labels (1, n)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    rows = distance * rng.normal(size=(classes, features))[labels] + rng.normal(
        size=(images, features)
    )
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0))[None], labels[None]


def log_probabilities(rows: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """Of the images that a single problem is fitted to."""
    coefficients, intercepts = fit_logistic(rows, labels, int(labels.max()) + 1, penalty)
    return log_softmax(rows[0] @ coefficients[0] + intercepts[0], axis=1)


def by_scikit_learn(rows: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """The same by another method, nearly exact."""
    # with two classes it has one vector of coefficients, the difference of both
    inverse = (2 if labels.max() == 1 else 1) / penalty
    model = LogisticRegression(C=inverse, tol=1e-9, max_iter=100_000)
    return model.fit(rows[0], labels[0]).predict_log_proba(rows[0])


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("classes", [2, 3, 12])
@pytest.mark.parametrize(("images", "features"), [(60, 5), (60, 59), (60, 60), (60, 300)])
def test_the_minimum_is_that_of_scikit_learn(
    images: int, features: int, classes: int, penalty: float
) -> None:
    rows, labels = clouds(images, features, classes)

    found = log_probabilities(rows, labels, penalty)

    # the differences of a loss that is flat there: of 1e-7 in it
    known = by_scikit_learn(rows, labels, penalty)
    np.testing.assert_allclose(np.exp(found), np.exp(known), atol=2e-3)
    assert abs((found - known)[np.arange(images), labels[0]].mean()) < 1e-4


@pytest.mark.parametrize("features", [3, 200])
def test_classes_far_apart_are_told_apart_with_finite_coefficients(features: int) -> None:
    rows, labels = clouds(40, features, 4, distance=30.0)
    coefficients, intercepts = fit_logistic(rows, labels, 4, 0.01)

    assert np.isfinite(coefficients).all()
    assert ((rows @ coefficients + intercepts[:, None]).argmax(axis=2) == labels).all()
    known = by_scikit_learn(rows, labels, 0.01)
    np.testing.assert_allclose(log_probabilities(rows, labels, 0.01), known, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("features", [2, 50])
def test_at_the_answer_the_loss_has_no_slope(features: int) -> None:
    rows, labels = clouds(30, features, 3)
    coefficients, intercepts = fit_logistic(rows, labels, 3, 1.0)
    missing = np.eye(3)[labels[0]] - softmax(rows[0] @ coefficients[0] + intercepts[0], axis=1)

    np.testing.assert_allclose(rows[0].T @ missing, coefficients[0], atol=5e-3)
    np.testing.assert_allclose(missing.sum(axis=0), 0, atol=5e-3)


@pytest.mark.parametrize("apart", [0.3, 5.0])
def test_two_images_by_hand(apart: float) -> None:
    """At `-apart` and `apart`: of `2 log(1 + exp(-2 apart v)) + penalty v^2` the slope is 0."""
    penalty = 0.7
    expected = brentq(
        lambda v: 2 * penalty * v - 4 * apart / (1 + np.exp(2 * apart * v)), 0, 9, xtol=1e-12
    )
    rows, labels = np.array([[[-apart], [apart]]]), np.array([[0, 1]])

    coefficients, intercepts = fit_logistic(rows, labels, 2, penalty)

    np.testing.assert_allclose(coefficients[0], [[-expected, expected]], atol=1e-3)
    np.testing.assert_allclose(intercepts, 0, atol=1e-6)


def test_the_intercepts_are_free() -> None:
    """Rows that tell nothing: what is left is how frequent a class is."""
    labels = np.array([[0] * 90 + [1] * 9 + [2]])
    coefficients, intercepts = fit_logistic(np.zeros((1, 100, 4)), labels, 3, 1.0)

    assert not coefficients.any()
    np.testing.assert_allclose(softmax(intercepts[0]), [0.9, 0.09, 0.01], rtol=5e-3)


@pytest.mark.parametrize("features", [4, 80])
def test_features_that_say_the_same_share_it(features: int) -> None:
    rows, labels = clouds(50, features, 3)
    twice = np.concatenate([rows, rows], axis=2)

    coefficients, _ = fit_logistic(twice, labels, 3, 1.0)

    first, second = np.split(coefficients[0], 2)
    np.testing.assert_allclose(first, second, atol=1e-9)
    np.testing.assert_allclose(
        log_probabilities(twice, labels, 1.0), by_scikit_learn(twice, labels, 1.0), atol=0.02
    )


@pytest.mark.parametrize("features", [6, 90])
def test_the_same_image_several_times_counts_several_times(features: int) -> None:
    rows, labels = clouds(30, features, 3)
    again = np.tile(rows, (1, 3, 1)), np.tile(labels, (1, 3))

    found = log_probabilities(*again, penalty=3.0)

    np.testing.assert_allclose(found[:30], log_probabilities(rows, labels, 1.0), atol=0.02)


@pytest.mark.parametrize("features", [7, 64])
@pytest.mark.parametrize("classes", [2, 5])
def test_an_answer_does_not_depend_on_what_is_solved_beside_it(features: int, classes: int) -> None:
    """To the last bit, however many more steps the others take."""
    distances = (0.0, 0.3, 20.0)
    alone = [clouds(40, features, classes, x, seed) for seed, x in enumerate(distances)]
    rows, labels = (np.concatenate(parts) for parts in zip(*alone, strict=True))

    found = fit_logistic(rows, labels, classes, 1.0)
    backwards = fit_logistic(rows[::-1], labels[::-1], classes, 1.0)

    for number, problem in enumerate(alone):
        own = fit_logistic(*problem, classes=classes, penalty=1.0)
        for mine, beside, other in zip(own, found, backwards, strict=True):
            np.testing.assert_array_equal(beside[number], mine[0])
            np.testing.assert_array_equal(other[::-1][number], mine[0])


def test_many_equal_images_of_few_directions_are_no_trouble() -> None:
    """Fewer images than features, and fewer directions than images: unknowns without a meaning."""
    rng = np.random.default_rng(36)
    labels = np.arange(40) % 3
    line = rng.normal(size=40) + 3 * rng.normal(size=3)[labels]
    rows = np.outer(line, rng.normal(size=300))
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0))[None]

    found = log_probabilities(rows, labels[None], 1.0)

    np.testing.assert_allclose(found, by_scikit_learn(rows, labels[None], 1.0), atol=0.05)


def test_what_is_passed_in_stays() -> None:
    rows, labels = clouds(20, 3, 2)
    before = rows.copy(), labels.copy()
    fit_logistic(rows, labels, 2, 1.0)

    np.testing.assert_array_equal(rows, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("seed", [3, 21, 40])
def test_a_step_that_would_raise_the_loss_is_halved(seed: int) -> None:
    """A few huge values and hardly a penalty: the quadratic model holds in a small place."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_t(1.2, size=(60, 30))
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0))[None]
    labels = np.arange(60)[None] % 4

    found = log_probabilities(rows, labels, 0.003)

    own = np.arange(60), labels[0]
    known = by_scikit_learn(rows, labels, 0.003)
    assert -found[own].mean() == pytest.approx(-known[own].mean(), abs=1e-3)


def test_steps_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some twenty suffice, where a bound on the curvature in its place takes a hundred."""
    rows, labels = clouds(100, 300, 6)
    best = log_probabilities(rows, labels, 1.0)
    monkeypatch.setattr(logistic, "MOST_STEPS", 25)

    np.testing.assert_array_equal(log_probabilities(rows, labels, 1.0), best)
