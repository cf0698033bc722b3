"""LogME."""

import numpy as np
import pytest
from scipy.optimize import minimize

from tl_keras.transfer.transferability import logme


def clouds(distance: float, features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    values = rng.normal(size=(60, features))
    values[:, 0] += distance * labels
    return values, labels


def test_it_is_the_largest_log_evidence_of_a_bayesian_linear_model() -> None:
    """Against the density of the targets under a normal distribution, maximised numerically."""
    features, labels = clouds(2.0)

    def surprise(logs: np.ndarray, target: np.ndarray) -> float:
        prior, noise = np.exp(logs)
        covariance = np.eye(60) / noise + features @ features.T / prior
        _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
        return float(log_determinant + target @ np.linalg.solve(covariance, target)) / 2

    targets = [(labels == label).astype(float) for label in (0, 1)]
    best = [-minimize(surprise, np.zeros(2), args=(target,)).fun / 60 for target in targets]

    assert logme(features, labels) == pytest.approx(np.mean(best), abs=1e-3)


def test_features_that_tell_the_classes_score_higher() -> None:
    scores = [logme(*clouds(distance)) for distance in (0.0, 1.0, 4.0)]

    assert scores == sorted(scores)
    assert scores[0] < scores[2] - 0.3


def test_more_features_than_images_are_no_trouble() -> None:
    assert np.isfinite(logme(*clouds(3.0, features=200)))


def test_constant_features_score_finitely() -> None:
    assert np.isfinite(logme(np.ones((20, 3)), np.arange(20) % 2))
