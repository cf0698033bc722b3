"""How like the labelled photos a photo is: a p-value from the features of middle blocks.

Of each block the means and the standard deviations over height and width are read, both of length
1 (Mueller and Hein 2025, "Mahalanobis++", arXiv:2505.18032). A photo is strange there in two ways.
It is far from the nearest class, in the metric of a covariance that all classes share and that is
shrunk towards a multiple of the identity (Ledoit and Wolf 2004), and from the nearest labelled
photo; and it is farther from the nearest class than from all of them together, which tells what is
of the same kind but of no class (Ren et al. 2021, "A simple fix to Mahalanobis distance",
arXiv:2106.09022). The covariance of all together is that of the classes and of their means: one of
its own, shrunk by itself, would fit the labelled photos better than that of the classes does, so
that these would look strange. What is strange in one block or way alone counts more than what
photos are in all of them at once, as those do that are a little unusual.

The p-value is the share of labelled photos that are at least as strange when they are left out,
with the one more that a sample needs (cross-conformal prediction, Vovk 2015). So of photos like the
labelled ones a share of at most about p has a p-value of p or less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tl_keras.data.folds import stratified_folds
from tl_keras.data.rows import spread
from tl_keras.progress import counted

FOLDS = 5
# Where in a network the blocks lie that are read, of its depth. The first show the light, the last
# only what the source task asked for: strangers look alike there.
FROM, TO = 1 / 3, 3 / 4
# Of these so many, evenly: neighbours say much the same, and each takes its time.
MOST_BLOCKS = 4
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
# How much of the distance from all classes together is taken from that to the nearest. At 1 what is
# far from everything looks like the labelled photos where these differ by their classes alone.
RELATIVE = 0.8
# How far correlations are drawn to 0, as there are few photos to see them; standard deviations that
# still count.
_ALONE, MOST_DEVIATIONS = 0.4, 20.0
# By how much of a standard deviation of the scores the steps of the p-value are smoothed, so that
# the last digits of a score move none; and the least p-values, which that leaves as they are. The
# scores of many photos are near 0, and so are steps of others smoothed by more.
_SMOOTHED, _SHARP = 0.05, 0.2


def watched_blocks(every: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
    """The blocks whose outputs tell strangers, from input to output.

    Args:
        every: all blocks of the network, from input to output.
        present: the first of them, up to the last that a classifier computes.
    """
    last = len(every) - 1
    middle = every[round(FROM * last) : round(TO * last) + 1]
    found = np.array([name for name in middle if name in present] or [present[-1]])
    return tuple(map(str, spread(found, MOST_BLOCKS)))


def reach_the_middle(every: Sequence[str], present: Sequence[str]) -> bool:
    """Whether the first blocks of a network are enough of it to tell strangers."""
    return every[round(FROM * (len(every) - 1))] in present


@dataclass(frozen=True)
class Normal:
    """Normal distributions with one covariance, whose variance is the same but in some directions.

    Attributes:
        means: (k, features).
        directions: (r, features); what lies along them of a difference, squared, is taken from the
            square of its length.
        variance: that the rest is divided by.
    """

    means: np.ndarray
    directions: np.ndarray
    variance: float

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray) -> "Normal":
        """One of each class of features (n, features), by int labels (n,)."""
        classes, places = np.unique(labels, return_inverse=True)
        means = np.stack([features[places == place].mean(axis=0) for place in range(len(classes))])
        directions, variances, variance = _covariance(features - means[places])
        shares = np.maximum(1 - variance / variances, 0)
        return cls(means, directions * np.sqrt(shares)[:, np.newaxis], variance)

    def together(self, shares: np.ndarray) -> "Normal":
        """One of all classes, whose shares are (k,), around 0: theirs, and how their means differ.

        Its covariance is theirs and that of the means, so that photos from which theirs was
        estimated, to which it is too narrow for others, are no nearer to all than to their class.
        """
        spread_means = self.means * np.sqrt(shares)[:, np.newaxis]
        along = (spread_means - spread_means @ self.directions.T @ self.directions) / self.variance
        # Woodbury's identity
        inner = np.linalg.inv(np.eye(len(along)) + along @ spread_means.T)
        between = np.linalg.cholesky(inner).T @ along * np.sqrt(self.variance)
        return Normal(
            np.zeros_like(self.means[:1]), np.concatenate([self.directions, between]), self.variance
        )

    @property
    def skewed(self) -> np.ndarray:
        """What photos are multiplied with for the distance to the means, (k, features)."""
        return np.asarray(self.means - self.means @ self.directions.T @ self.directions)

    def squares(self, given: np.ndarray) -> np.ndarray:
        """Squared distances of given (n, features) to the nearest mean, (n,)."""
        own = (given**2).sum(axis=1) - ((given @ self.directions.T) ** 2).sum(axis=1)
        theirs = (self.skewed * self.means).sum(axis=1)
        return _nearest(given, own, self.skewed, theirs) / self.variance


@dataclass(frozen=True)
class BlockDistance:
    """How far a block's features are from those of the labelled photos.

    Attributes:
        centre: of all, (features,); what follows is beside it.
        classes: around their means.
        together: all of them, around the centre.
        references: labelled photos, (m, features).
    """

    centre: np.ndarray
    classes: Normal
    together: Normal
    references: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, labels: np.ndarray) -> "BlockDistance":
        """Of features as `unit_length` gives them, (n, features), and int labels (n,)."""
        centre = features.mean(axis=0)
        features = features - centre
        classes = Normal.of(features, labels)
        shares = np.unique(labels, return_counts=True)[1] / len(labels)
        return cls(centre, classes, classes.together(shares), spread(features, MOST_REFERENCES))

    def logarithms(self, features: np.ndarray) -> np.ndarray:
        """Of the distances of features (n, features), a column for each way, (n, 2)."""
        given = features - self.centre
        to_class = np.log(self.classes.squares(given))
        far = (to_class + np.log(self.to_photo(features))) / 2
        between = to_class - RELATIVE * np.log(self.together.squares(given))
        return np.stack([far, between], axis=1)

    def to_class(self, features: np.ndarray) -> np.ndarray:
        """Squared distances to the mean of the nearest class, in the shared metric, (n,)."""
        return self.classes.squares(features - self.centre)

    def to_photo(self, features: np.ndarray) -> np.ndarray:
        """Squared distances to the nearest labelled photo, (n,)."""
        given = features - self.centre
        own, theirs = (given**2).sum(axis=1), (self.references**2).sum(axis=1)
        return _nearest(given, own, self.references, theirs)


@dataclass(frozen=True)
class Unusual:
    """One score from the logarithms of several distances.

    Attributes:
        means: of photos that were left out, (k,).
        deviations: standard ones of the same, (k,).
        precision: of the k as multiples of these, (k, k).
    """

    means: np.ndarray
    deviations: np.ndarray
    precision: np.ndarray

    @classmethod
    def of(cls, logarithms: np.ndarray) -> "Unusual":
        """Of photos that were left out, (n, k)."""
        means, deviations = logarithms.mean(axis=0), logarithms.std(axis=0, ddof=1)
        deviations = np.maximum(deviations, _LEAST_DEVIATION)
        scaled = (logarithms - means) / deviations
        together = (1 - _ALONE) * scaled.T @ scaled / (len(scaled) - 1)
        return cls(means, deviations, np.linalg.inv(together + _ALONE * np.eye(len(means))))

    def scores(self, logarithms: np.ndarray) -> np.ndarray:
        """Of photos, (n,), from (n, k): 0 of what is no farther than usual in any way."""
        above = np.clip((logarithms - self.means) / self.deviations, 0, MOST_DEVIATIONS)
        return np.asarray(np.sqrt(np.maximum((above @ self.precision * above).sum(axis=1), 0)))


@dataclass(frozen=True)
class Familiarity:
    """How like the labelled photos others are.

    Attributes:
        blocks: by name, from input to output.
        unusual: of the distances of all blocks, one block after the other.
        scores: of labelled photos when they are left out, (n,).
        widths: that the step of the p-value at each of them is spread over, (n,).
        tail: by how much more a score has to grow, above all `scores`, for the p-value to fall to
            an e-th.
        held_out: p-values of the photos it was fitted on, each left out, (photos,); NaN of those
            that say nothing, as the network learned from them or others were enough.
    """

    blocks: Mapping[str, BlockDistance]
    unusual: Unusual
    scores: np.ndarray
    widths: np.ndarray
    tail: float
    held_out: np.ndarray

    @classmethod
    def of(
        cls,
        blocks: Mapping[str, BlockDistance],
        logarithms: np.ndarray,
        rows: np.ndarray,
        photos: int,
    ) -> "Familiarity":
        """From distances, and what these are of labelled photos that are left out.

        Args:
            blocks: as the attribute.
            logarithms: (n, 2 * blocks).
            rows: of the photos that were left out, (n,), among all.
            photos: how many all are.
        """
        unusual = Unusual.of(logarithms)
        scores = unusual.scores(logarithms)
        least = _SMOOTHED * max(float(scores.std(ddof=1)), _LEAST_DEVIATION)
        widths = np.maximum((np.quantile(scores, 1 - _SHARP) - scores) / 2, least)
        held_out = np.full(photos, np.nan)
        held_out[rows] = _steps(scores, scores, widths) / len(scores)
        return cls(blocks, unusual, scores, widths, _tail(scores), held_out)

    @property
    def ends(self) -> np.ndarray:
        """Scores from which on those of the labelled photos do not count any more, (n,)."""
        return self.scores + self.widths

    def familiar(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """p-values, 0..1 (n,), low for strangers.

        Args:
            features: of each of the blocks, (n, 2 * channels): means over height and width, then
                standard deviations.
        """
        logarithms = [
            block.logarithms(unit_length(features[name])) for name, block in self.blocks.items()
        ]
        scores = self.unusual.scores(np.hstack(logarithms))
        one_more = np.exp(-np.maximum(scores - self.ends.max(), 0) / self.tail)
        return (_steps(scores, self.scores, self.widths) + one_more) / (len(self.scores) + 1)


def fit_familiarity(
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int = 0,
) -> Familiarity | None:
    """Fit to labelled photos, of which the network that gives the features learned nothing.

    Args:
        features: by block, as of `Familiarity.familiar`, (n, 2 * channels).
        labels: int (n,).
        groups: (n,); photos of one group are left out together.
        seed: of the folds.

    Returns:
        None where there are fewer than `LEAST_PHOTOS` photos, or a class lies in fewer than two
        groups.
    """
    rows = spread(np.arange(len(labels)), MOST_PHOTOS)
    folds = stratified_folds(labels[rows], groups[rows], FOLDS, seed)
    if not folds or len(rows) < LEAST_PHOTOS:
        return None
    blocks, logarithms = {}, []
    for name, values in features.items():
        unit = unit_length(values[rows])
        blocks[name] = BlockDistance.of(unit, labels[rows])
        logarithms.append(_left_out(unit, labels[rows], folds))
    return Familiarity.of(blocks, np.hstack(logarithms), rows, len(labels))


def carry_familiarity(
    features: Mapping[str, np.ndarray],
    labels: np.ndarray,
    before: Mapping[str, np.ndarray],
    learned: np.ndarray,
) -> Familiarity | None:
    """Fit to labelled photos that a network learned from.

    The features of photos that a network learned lie closer together than those of new ones, so
    that they do not say how strange new ones may be. A network that was trained in the same way to
    some of the photos says it of the others.

    Args:
        features: by block, as of `fit_familiarity`, of the network.
        labels: int (n,).
        before: as `features`, of the network that learned some photos only; it may be the same.
        learned: bool (n,), of which that one learned.

    Returns:
        None where it did not learn `LEAST_PHOTOS` others, or learned nothing of a class.
    """
    others = np.flatnonzero(~learned)
    if len(others) < LEAST_PHOTOS or set(labels[learned]) < set(labels):
        return None
    own, some = (spread(rows, MOST_PHOTOS) for rows in (np.flatnonzero(learned), others))
    every = spread(np.arange(len(labels)), MOST_PHOTOS)
    blocks, logarithms = {}, []
    for name, values in features.items():
        blocks[name] = BlockDistance.of(unit_length(values[every]), labels[every])
        distance = BlockDistance.of(unit_length(before[name][own]), labels[own])
        logarithms.append(distance.logarithms(unit_length(before[name][some])))
    return Familiarity.of(blocks, np.hstack(logarithms), some, len(labels))


def refused_classes(
    features: Mapping[str, np.ndarray], labels: np.ndarray, groups: np.ndarray, share: float
) -> dict[int, float]:
    """By class, the share of its photos that are refused where it is left out.

    Args:
        features: as of `fit_familiarity`.
        labels: as of `fit_familiarity`.
        groups: as of `fit_familiarity`.
        share: p-value below which a photo is refused.

    Returns:
        Of at most `MOST_LEFT_OUT` classes, evenly from all; nothing of two classes, as a single one
        shows nothing of what may differ.
    """
    found: dict[int, float] = {}
    every = np.unique(labels)
    if len(every) < 3:
        return found
    some = spread(every, MOST_LEFT_OUT)
    for label in counted(some, len(some), "classes"):
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


def _nearest(
    given: np.ndarray, own: np.ndarray, others: np.ndarray, theirs: np.ndarray
) -> np.ndarray:
    """Squared distances to the nearest of others, of which one has the squares, (n,)."""
    squares = own[:, np.newaxis] - 2 * given @ others.T + theirs
    return np.asarray(np.maximum(squares.min(axis=1), LEAST_DISTANCE))


def _left_out(
    features: np.ndarray, labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Logarithms of the distances of photos from the others', (n, 2)."""
    found = [
        BlockDistance.of(features[others], labels[others]).logarithms(features[held_out])
        for others, held_out in folds
    ]
    order = np.concatenate([held_out for _, held_out in folds])
    return np.concatenate(found)[np.argsort(order)]


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


def _steps(scores: np.ndarray, known: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """How many known scores are at least as high, (n,); those up to `widths` below in part."""
    return np.asarray(np.clip((known + widths - scores[:, np.newaxis]) / widths, 0, 1).sum(axis=1))


def _tail(scores: np.ndarray) -> float:
    """The mean by which the upper half of scores exceeds their median."""
    above = scores - np.median(scores)
    return max(float(above[above > 0].mean()) if (above > 0).any() else 0.0, _LEAST_DEVIATION)
