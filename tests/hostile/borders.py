"""Decision rules whose borders lie exactly on what some photos are given."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tl_keras.evaluation.decision_rule import DecisionRule

PHOTOS = 120


def rule_on_borders(
    seed: int, classes: int
) -> tuple[DecisionRule, NDArray[np.float32], NDArray[np.float32]]:
    """A rule, with photos on its borders, beside them, and wherever else.

    Args:
        seed: another one makes another rule.
        classes: at least 2.

    Returns:
        The rule, probabilities (PHOTOS, classes), and how familiar each photo is, (PHOTOS,).
    """
    rng = np.random.default_rng(seed)
    probabilities, familiar = _probabilities(rng, classes), _familiar(rng)
    names = tuple(f"class {number}" for number in range(classes))
    found = names[: int(rng.integers(0, classes))]
    rule = DecisionRule(
        classes=names,
        temperature=float(np.exp(rng.choice([0.0, rng.uniform(-3, 3)]))),
        class_factors=tuple(np.exp(rng.normal(0, rng.choice([0, 1, 3]), classes)).tolist()),
        positive=found,
        stranger_share=float(rng.choice([0.0, familiar[1], 0.05])),
    )
    if found:
        rule = replace(rule, threshold=_border(rng, rule.score(probabilities)))
    limits = [None, _border(rng, rule.doubt(probabilities)), 0.0]
    return replace(rule, review_limit=limits[int(rng.integers(0, 3))]), probabilities, familiar


def _border(rng: np.random.Generator, values: NDArray[np.float64]) -> float:
    """One of the values, one of their neighbours in either precision, or an end or anything."""
    value = float(rng.choice(values))
    near = np.float32(value)
    return float(
        rng.choice(
            [
                value,
                value,
                np.nextafter(value, 2),
                np.nextafter(value, -1),
                float(np.nextafter(near, np.float32(2))),
                float(np.nextafter(near, np.float32(-1))),
                1.0,
                0.2,
                rng.uniform(),
            ]
        )
    )


def _probabilities(rng: np.random.Generator, classes: int) -> NDArray[np.float32]:
    drawn = rng.dirichlet(np.full(classes, rng.choice([0.01, 0.3, 3, 300])), PHOTOS)
    drawn[0] = np.eye(classes)[0]
    drawn[1] = np.eye(classes)[-1]
    drawn[2] = 1 / classes
    # two lead together
    drawn[3, :2] = drawn[3, :2].max()
    drawn[4] = 0
    # in 256ths, as integers have them
    drawn[5] = np.round(drawn[5] * 256) / 256
    probabilities = drawn.astype(np.float32)
    # neighbours of one photo, which only the last bit tells apart
    for row in range(6, 40):
        probabilities[row] = np.nextafter(probabilities[row - 1], np.float32(row % 2))
    return probabilities


def _familiar(rng: np.random.Generator) -> NDArray[np.float32]:
    familiar = rng.uniform(0, 1, PHOTOS).astype(np.float32)
    near = np.float32(0.05)
    familiar[0], familiar[1] = 0, 1 / 21
    familiar[2:5] = np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(1))
    return familiar
