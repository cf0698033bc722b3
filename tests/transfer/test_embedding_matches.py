"""Pairs far more alike than what else is near."""

import numpy as np

from tl_keras.transfer.embedding_matches import COLUMNS, embedding_matches


def features(count: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 20)).astype(np.float32)


def test_a_planted_pair_is_the_only_one() -> None:
    values = features()
    values[40] = values[5] + 0.1 * np.random.default_rng(1).normal(size=20)
    found = embedding_matches(values, np.arange(60))
    assert found[["first", "second"]].to_numpy().tolist() == [[5, 40]]
    assert found["similarity"].gt(0.98).all()
    assert found["closeness"].lt(0.1).all()


def test_known_copies_are_not_told_again() -> None:
    values = features()
    values[40] = values[5]
    known = np.arange(60)
    known[40] = 5
    assert len(embedding_matches(values, known)) == 0


def test_the_number_is_capped_and_the_closest_stay() -> None:
    values = features()
    for number, noise in ((30, 0.2), (31, 0.02), (32, 0.1)):
        values[number] = values[number - 30] + noise * np.random.default_rng(2).normal(size=20)
    found = embedding_matches(values, np.arange(60), most=2)
    assert found["second"].tolist() == [31, 32]


def test_few_images_have_no_matches() -> None:
    found = embedding_matches(features(4), np.arange(4))
    assert list(found.columns) == COLUMNS
    assert len(found) == 0
