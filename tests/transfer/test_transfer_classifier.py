"""The classifier beside scikit-learn: its conventions, its own checks, and the pieces below."""

import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_array

from tl_keras.errors import ConfigError, DataError
from tl_keras.models.backbone import Backbone
from tl_keras.transfer.transfer_classifier import TransferClassifier
from tl_keras.transfer.two_phase import fit_two_phase

COLOURS = np.array([[180, 60, 60], [60, 180, 60], [60, 60, 180]])
TRAINING: dict[str, Any] = {"epochs": (30, 2), "learning_rates": (0.1, 0.01), "batch_size": 8}


def coloured(each: int, seed: int, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures of three colours, uint8 (3 * each, size, size, 3), and their names."""
    rng = np.random.default_rng(seed)
    colours = np.repeat(np.arange(3), each)
    noise = rng.normal(0, 30, (len(colours), size, size, 3))
    pixels = np.clip(COLOURS[colours][:, None, None] + noise, 0, 255).astype(np.uint8)
    return pixels, np.array(["red", "green", "blue"])[colours]


X, Y = coloured(6, 0)


@pytest.fixture(autouse=True)
def tiny_source(make_backbone: Callable[..., Backbone], monkeypatch: pytest.MonkeyPatch) -> None:
    """The source "Tiny" has the weights of the fabricated backbone."""
    monkeypatch.setattr(
        "tl_keras.models.sources.source_models.load_source",
        lambda name, **settings: (make_backbone().model, None),
    )


def classifier(**settings: Any) -> TransferClassifier:
    given = {"backbone": "Tiny", "image_size": 8, "training": TRAINING, "random_state": 0}
    return TransferClassifier(**{**given, **settings})


def test_labels_in_two_spellings_are_named() -> None:
    labels = np.array(["Red" if place == np.argmax(Y == "red") else y for place, y in enumerate(Y)])
    with pytest.warns(UserWarning, match='"Red" = "red".*one spelling'):
        classifier(strategy="linear_probe").fit(X, labels)


@pytest.mark.parametrize(
    "strategy", ["advise", "linear_probe", "feature_extraction", "fine_tuning"]
)
def test_every_strategy_tells_colours_apart(strategy: str) -> None:
    fitted = classifier(strategy=strategy).fit(X, Y)
    assert fitted.classes_.tolist() == ["blue", "green", "red"]
    other, names = coloured(5, 1, size=16)
    assert fitted.score(other, names) > 0.6
    assert set(fitted.predict(other)) <= set(fitted.classes_)
    probabilities = fitted.predict_proba(other)
    assert probabilities.shape == (15, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert isinstance(fitted.model_, keras.Model)


def test_the_same_state_gives_the_same_model() -> None:
    first, second, other = (
        classifier(strategy="feature_extraction", random_state=state).fit(X, Y).predict_proba(X)
        for state in (3, np.random.RandomState(3), 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_fine_tuning_is_two_phase_training(make_backbone: Callable[..., Backbone]) -> None:
    settings: dict[str, Any] = {"validation_split": 0.3, "unfrozen_blocks": 1}
    fitted = classifier(strategy="fine_tuning", cut="block2", **settings).fit(X, Y)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    part = make_backbone().cut_after("block2")
    model, history = fit_two_phase(part, X, Y, seed=seed, **settings, **TRAINING)
    assert fitted.history_ is not None
    assert fitted.history_["loss"].tolist() == history["loss"].tolist()
    pixels = fitted.model_.input.shape[1:3]
    assert pixels == (8, 8)
    assert fitted.model_.count_params() == model.count_params()


@pytest.mark.parametrize("strategy", ["linear_probe", "fine_tuning"])
def test_it_is_pickled_and_cloned(strategy: str) -> None:
    fitted = classifier(strategy=strategy).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)


def test_cross_validation_and_a_grid() -> None:
    scores = cross_val_score(classifier(strategy="linear_probe"), X, Y, cv=2)
    assert scores.mean() > 0.8
    grid = {"cut": ["stem", "top"]}
    search = GridSearchCV(classifier(strategy="linear_probe"), grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.8
    assert search.best_estimator_.predict(X[:2]).shape == (2,)


def test_tensorflow_warns_of_no_fold(caplog: pytest.LogCaptureFixture) -> None:
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    cross_val_score(classifier(strategy="linear_probe"), X, Y, cv=6)
    logger.removeHandler(caplog.handler)
    assert not caplog.records


def test_numbers_stay_numbers_and_lists_of_pictures_will_do() -> None:
    numbers = np.where(Y == "red", 5, 3)
    fitted = classifier(strategy="linear_probe").fit(list(X), numbers.tolist())
    assert fitted.predict(list(X[:3])).dtype.kind == "i"
    assert fitted.classes_.tolist() == [3, 5]


def test_groups_are_heard() -> None:
    groups = np.where(np.arange(len(X)) % 6 < 3, "a", "b")
    without = classifier(strategy="feature_extraction").fit(X, Y)
    with_groups = classifier(strategy="feature_extraction").fit(X, Y, groups=groups)
    assert without.history_ is not None
    assert with_groups.history_ is not None
    assert without.history_["loss"].tolist() != with_groups.history_["loss"].tolist()
    with pytest.raises(DataError, match="two groups"):
        classifier(strategy="feature_extraction").fit(X, Y, groups=Y)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match="linear_probe"):
        classifier(strategy="probe").fit(X, Y)
    with pytest.raises(ConfigError, match="block2"):
        classifier(strategy="linear_probe", cut="nowhere").fit(X, Y)
    with pytest.raises(ValueError, match=r"0\.\.255"):
        classifier().fit(X / 255, Y)
    with pytest.raises(ValueError, match="one class"):
        classifier().fit(X, ["red"] * len(X))


class OnRows(TransferClassifier):
    """Takes rows of numbers, as the checks of scikit-learn give them, for pictures.

    A row becomes a gray picture of one line, its numbers -10..10 stretched to 0..255. Of what the
    checks demand, `check_array` answers only what is about tables, such as sparse ones.
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> "OnRows":  # noqa: N803
        return super().fit(_pictures(X), y, groups)

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        return super().predict_proba(_pictures(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def _pictures(rows: Any) -> np.ndarray:
    values = check_array(rows)
    return np.clip((values + 10) * 12.75, 0, 255)[:, None, :].astype(np.float32)


# Pictures of any size are taken, so there is no number of features to remember or to insist on.
ANY_SIZE = "pictures of another size than those of fit are resized, not refused"
DO_NOT_APPLY = {
    "check_n_features_in": ANY_SIZE,
    "check_n_features_in_after_fitting": ANY_SIZE,
    # its last demand alone: rows of another length are refused
    "check_classifiers_train": ANY_SIZE,
}


# `parametrize_with_checks` of scikit-learn 1.8 hands pytest a generator, which it deprecates.
CHECKS = list(
    estimator_checks_generator(
        OnRows("Tiny", image_size=8, strategy="linear_probe", random_state=0),
        expected_failed_checks=DO_NOT_APPLY,
        mark="xfail",
        xfail_strict=True,
    )
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "check"),
    CHECKS,
    ids=lambda value: getattr(getattr(value, "func", None), "__name__", "OnRows"),
)
def test_scikit_learns_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
