"""How like the labelled photos a photo is: a p-value from the features of middle blocks.

Of each block the means and the standard deviations over height and width are read, both of length
1 (Mueller and Hein 2025, "Mahalanobis++", arXiv:2505.18032). A photo is as strange there as it is
far from the nearest class, in the metric of a covariance that all classes share and that is shrunk
towards a multiple of the identity (Ledoit and Wolf 2004), and from the nearest labelled photo; both
distances count alike. What counts of several blocks are those where it is strangest.

The p-value is the share of labelled photos that are at least as strange when they are left out,
with the one more that a sample needs (cross-conformal prediction, Vovk 2015). So of photos like the
labelled ones a share of at most about p has a p-value of p or less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tl_keras.data.folds import stratified_folds
from tl_keras.data.rows import spread

FOLDS = 5
# Where in a network the blocks lie that are read, of its depth. The first show the light, the last
# only what the source task asked for: strangers look alike there.
FROM, TO = 1 / 3, 3 / 4
# Labelled photos that say how strange photos may be: fewer say nothing.
LEAST_PHOTOS = 10
# Labelled photos that are learned from, and directions of a covariance that are told apart.
MOST_PHOTOS, MOST_REFERENCES = 1000, 256
# Classes that are left out in turn to see whether their photos would be refused.
MOST_LEFT_OUT = 10
# Squared distances of features of length 1, below which pictures are equal but for rounding.
LEAST_DISTANCE = 1e-6
TINY = 1e-9
_LEAST_SHRINKAGE, _LEAST_DEVIATION = 1e-3, 1e-3
# How steeply the strangest blocks count, standard deviations that still count, and by how much of
# one the steps of the p-value are smoothed, so that the last digits of a score move none.
STEEPNESS, MOST_DEVIATIONS, SMOOTHED = 2.0, 20.0, 0.05


def watched_blocks(every: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
    """The blocks whose outputs tell strangers, from input to output.

    Args:
        every: all blocks of the network, from input to output.
        present: the first of them, up to the last that a classifier computes.
    """
    last = len(every) - 1
    middle = every[round(FROM * last) : round(TO * last) + 1]
    return tuple(name for name in middle if name in present) or (present[-1],)


@dataclass(frozen=True)
class BlockDistance:
    """How far a block's features are from those of the labelled photos.

    Attributes:
        centre: of all, (features,); what follows is beside it.
        means: of the classes, (classes, features).
        references: labelled photos, (m, features).
        directions: in which the classes' features vary, (r, features), of length 1.
        shares: of the squared distance along each that does not count, (r,).
        variance: in every other direction.
        mean, deviation: of the logarithm of the distances of photos that were left out.
    """

    centre: np.ndarray
    means: np.ndarray
    references: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    variance: float
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray) -> "BlockDistance":
        """Of features as `unit_length` gives them, (n, features), and int labels (n,)."""
        centre = features.mean(axis=0)
        features = features - centre
        means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
        places = np.searchsorted(np.unique(labels), labels)
        directions, variances, variance = _covariance(features - means[places])
        return cls(
            centre,
            means,
            spread(features, MOST_REFERENCES),
            directions,
            1 - variance / variances,
            variance,
        )

    @property
    def skewed(self) -> np.ndarray:
        """What photos are multiplied with for the distance to the means, (classes, features)."""
        along = self.means @ self.directions.T
        return np.asarray(self.means - along * self.shares @ self.directions)

    def deviations(self, logarithms: np.ndarray) -> np.ndarray:
        """Of logarithms of distances, (n,), as multiples of the standard deviation."""
        return np.minimum((logarithms - self.mean) / self.deviation, MOST_DEVIATIONS)

    def logarithms(self, features: np.ndarray) -> np.ndarray:
        """Of the distances of features (n, features), (n,)."""
        return np.asarray(np.log(self.to_class(features) * self.to_photo(features)) / 2)

    def to_class(self, features: np.ndarray) -> np.ndarray:
        """Squared distances to the mean of the nearest class, in the shared metric, (n,)."""
        given = features - self.centre
        along = given @ self.directions.T
        own = (given**2).sum(axis=1) - (along**2 * self.shares).sum(axis=1)
        theirs = (self.skewed * self.means).sum(axis=1)
        return _nearest(given, own, self.skewed, theirs) / self.variance

    def to_photo(self, features: np.ndarray) -> np.ndarray:
        """Squared distances to the nearest labelled photo, (n,)."""
        given = features - self.centre
        own, theirs = (given**2).sum(axis=1), (self.references**2).sum(axis=1)
        return _nearest(given, own, self.references, theirs)


@dataclass(frozen=True)
class Familiarity:
    """How like the labelled photos others are.

    Attributes:
        blocks: by name, from input to output.
        scores: of the labelled photos when they are left out, (n,).
        width: that a step of the p-value is spread over, in units of the score.
        tail: by how much more a score has to grow, above all `scores`, for the p-value to fall to
            an e-th.
        held_out: p-values of the photos it was fitted on, each left out, (photos,); NaN of those
            that say nothing, as the network learned from them or others were enough.
    """

    blocks: Mapping[str, BlockDistance]
    scores: np.ndarray
    width: float
    tail: float
    held_out: np.ndarray

    def familiar(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """p-values, 0..1 (n,), low for strangers.

        Args:
            features: of each of the blocks, (n, 2 * channels): means over height and width, then
                standard deviations.
        """
        scores = score(
            [
                block.deviations(block.logarithms(unit_length(features[name])))
                for name, block in self.blocks.items()
            ]
        )
        above = np.maximum(scores - self.scores.max() - self.width, 0)
        one_more = np.exp(-above / self.tail)
        return (_steps(scores, self.scores, self.width) + one_more) / (len(self.scores) + 1)


def fit_familiarity(
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    learned: np.ndarray | None = None,
    seed: int = 0,
) -> Familiarity | None:
    """Fit to labelled photos.

    Args:
        features: by block, as of `Familiarity.familiar`, (n, 2 * channels).
        labels: int (n,).
        groups: (n,); photos of one group are left out together.
        learned: bool (n,), whose features a network was trained on: they lie closer together than
            those of new photos, so that only the others say how strange photos may be. None: no
            photo's.
        seed: of the folds.

    Returns:
        None where fewer than `LEAST_PHOTOS` photos say something, or a class lies in fewer than two
        groups.
    """
    rows = spread(np.arange(len(labels)), MOST_PHOTOS)
    says = np.ones(len(rows), bool) if learned is None else ~learned[rows]
    folds = stratified_folds(labels[rows], groups[rows], FOLDS, seed)
    if not folds or says.sum() < LEAST_PHOTOS:
        return None
    fitted, deviations = {}, []
    for name, values in features.items():
        unit = unit_length(values[rows])
        logarithms = _left_out(unit, labels[rows], folds)[says]
        fitted[name] = replace(
            BlockDistance.of(unit, labels[rows]),
            mean=float(logarithms.mean()),
            deviation=max(float(logarithms.std(ddof=1)), _LEAST_DEVIATION),
        )
        deviations.append(fitted[name].deviations(logarithms))
    scores = score(deviations)
    width = SMOOTHED * max(float(scores.std(ddof=1)), _LEAST_DEVIATION)
    held_out = np.full(len(labels), np.nan)
    held_out[rows[says]] = _steps(scores, scores, width) / len(scores)
    return Familiarity(fitted, scores, width, _tail(scores), held_out)


def refused_classes(
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    share: float,
    *,
    learned: np.ndarray | None = None,
) -> dict[int, float]:
    """By class, the share of its photos that are refused where it is left out.

    Args:
        features: as of `fit_familiarity`.
        labels: as of `fit_familiarity`.
        groups: as of `fit_familiarity`.
        share: p-value below which a photo is refused.
        learned: as of `fit_familiarity`; a network that knows a class says little of strangers, so
            that where it is given nothing is said.

    Returns:
        Of at most `MOST_LEFT_OUT` classes, evenly from all; nothing of two classes, as a single one
        shows nothing of what may differ.
    """
    found: dict[int, float] = {}
    every = np.unique(labels)
    if learned is not None or len(every) < 3:
        return found
    for label in spread(every, MOST_LEFT_OUT):
        known = labels != label
        rows, others = np.flatnonzero(known), np.flatnonzero(~known)
        fitted = fit_familiarity(_of(features, rows), labels[rows], groups[rows])
        if fitted is not None:
            found[int(label)] = float(np.mean(fitted.familiar(_of(features, others)) < share))
    return found


def _of(features: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in features.items()}


def unit_length(features: np.ndarray) -> np.ndarray:
    """Means and standard deviations, (n, 2 * channels), with halves of the same length."""
    halves = np.split(np.asarray(features, np.float64), 2, axis=1)
    lengths = [np.sqrt(2 * (half**2).sum(axis=1, keepdims=True) + TINY) for half in halves]
    return np.hstack([half / length for half, length in zip(halves, lengths, strict=True)])


def score(deviations: Sequence[np.ndarray]) -> np.ndarray:
    """How strange photos are, (n,), from the `BlockDistance.deviations` of every block, (n,)."""
    return np.asarray(np.log(np.exp(STEEPNESS * np.stack(deviations)).mean(axis=0)) / STEEPNESS)


def _nearest(
    given: np.ndarray, own: np.ndarray, others: np.ndarray, theirs: np.ndarray
) -> np.ndarray:
    """Squared distances to the nearest of others, of which one has the squares, (n,)."""
    squares = own[:, np.newaxis] - 2 * given @ others.T + theirs
    return np.asarray(np.maximum(squares.min(axis=1), LEAST_DISTANCE))


def _left_out(
    features: np.ndarray, labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Logarithms of the distances of photos from the others', (n,)."""
    found = np.empty(len(labels))
    for others, held_out in folds:
        distance = BlockDistance.of(features[others], labels[others])
        found[held_out] = distance.logarithms(features[held_out])
    return found


def _covariance(residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Directions (r, features), the variance along each (r,), and that in all others."""
    count, width = residuals.shape
    squares = (residuals**2).sum(axis=1)
    level = max(float(squares.sum()) / count / width, TINY / width)
    # the matrix of products that is smaller has the same values
    wide = width > count
    product = (residuals @ residuals.T if wide else residuals.T @ residuals) / count
    shrinkage = max(_shrinkage(squares, product, level**2 * width), _LEAST_SHRINKAGE)
    values, vectors = np.linalg.eigh(product)
    kept = np.flatnonzero(values > TINY * level)[-MOST_REFERENCES:]
    directions = vectors[:, kept].T @ residuals if wide else vectors[:, kept].T
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    variances = (1 - shrinkage) * values[kept] + shrinkage * level
    rest = width - len(kept)
    other = (level * width - variances.sum()) / rest if rest else shrinkage * level
    return directions, variances, max(float(other), _LEAST_SHRINKAGE * level)


def _shrinkage(squares: np.ndarray, product: np.ndarray, even: float) -> float:
    """Of a covariance towards its mean variance, 0..1 (Ledoit and Wolf 2004, lemmas 3.2 to 3.4).

    Args:
        squares: of the lengths of the residuals, (n,).
        product: of the residuals with themselves, divided by n.
        even: sum of the squares of the covariance if its variance were the same in all directions.
    """
    count, size = len(squares), float((product**2).sum())
    error = ((squares**2).sum() / count - size) / count
    return float(min(error / max(size - even, TINY**2), 1.0))


def _steps(scores: np.ndarray, known: np.ndarray, width: float) -> np.ndarray:
    """How many known scores are at least as high, (n,); up to `width` below they count in part."""
    return np.asarray(np.clip((known + width - scores[:, np.newaxis]) / width, 0, 1).sum(axis=1))


def _tail(scores: np.ndarray) -> float:
    """The mean by which the upper half of scores exceeds their median."""
    above = scores - np.median(scores)
    return max(float(above[above > 0].mean()) if (above > 0).any() else 0.0, _LEAST_DEVIATION)
