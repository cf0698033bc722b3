"""Layer-wise linear probes: how well a linear classifier reads the classes at every block.

Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes". One
forward pass gives the pooled output of all blocks; a regularised logistic regression on each tells
in seconds how much of the backbone is worth borrowing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tl_keras.data.folds import stratified_folds
from tl_keras.errors import PicturesError, WeightsError
from tl_keras.evaluation.dependence import shared_groups, standard_error
from tl_keras.evaluation.intervals import share_interval, wilson_interval
from tl_keras.progress import counted
from tl_keras.transfer.logistic import fit_logistic
from tl_keras.transfer.one_thread import one_thread

# On the length of the coefficients of standardised features; scikit-learn's usual C is its inverse.
PENALTY = 1.0
FOLDS = 5
# Probes are fitted together as long as their images' features, and so many arrays with a number for
# each class of an image, hold no more numbers, of 8 bytes each.
VALUES_AT_ONCE, ARRAYS = 2**20, 8
# With few images the division into folds decides much, so there are several; with many, one says
# as much. More images than MOST_IMAGES do not change which blocks are good, only the seconds.
MOST_REPEATS, REPEATED_IMAGES, MOST_IMAGES = 4, 800, 1000
# Blocks whose cross-entropy is within so many standard errors of the best share in an average. A
# block may be within because its errors are few and large; so many nats above the best divide its
# weight by e, and what has less than a tenth of the largest weight is not worth its layers.
AVERAGED_WITHIN, NATS, SMALLEST_SHARE = 2.0, 0.2, 0.1
# The row of a table that stands for several blocks at once.
AVERAGE = "average"
# The training and the held-out positions of every fold.
Division = Sequence[tuple[np.ndarray, np.ndarray]]
COLUMNS = [
    *("block", "depth", "features", "images", "folds", "repeats"),
    *("accuracy", "accuracy_low", "accuracy_high"),
    *("cross_entropy", "excess", "excess_se", "weight"),
]


@dataclass(frozen=True)
class LinearProbe:
    """A fitted logistic regression as one Dense layer, the standardisation folded in.

    Attributes:
        kernel: float32 (features, classes).
        bias: float32 (classes,).
    """

    kernel: np.ndarray
    bias: np.ndarray

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """Logarithms of the class probabilities, (n, classes)."""
        with one_thread():
            return _log_softmax(features @ self.kernel + self.bias)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, classes)."""
        return np.exp(self.log_probabilities(features)).astype(np.float32)

    @classmethod
    def average(cls, probes: Sequence["LinearProbe"], weights: Sequence[float]) -> "LinearProbe":
        """The weighted mean of the probes' logits, as a probe on their features side by side.

        Up to its sum, the result is the weighted geometric mean of their probabilities.

        Args:
            probes: on different features of the same images.
            weights: one per probe, summing to 1.
        """
        weighted = list(zip(probes, weights, strict=True))
        kernel = np.concatenate([weight * probe.kernel for probe, weight in weighted])
        return cls(kernel, np.sum([weight * probe.bias for probe, weight in weighted], axis=0))


def fit_probe(
    features: np.ndarray, labels: np.ndarray, classes: int, penalty: float = PENALTY
) -> LinearProbe:
    """Fit a probe; a class without images among `labels` gets no probability.

    Args:
        features: (n, features).
        labels: int (n,), 0..classes-1.
        classes: how many there are in all.
        penalty: on the length of the coefficients, above 0.

    Raises:
        PicturesError: the images of a probe are of one class.
        WeightsError: features are not finite.
    """
    return fit_probes(features, labels, [np.arange(len(labels))], classes, penalty)[0]


def fit_probes(
    features: np.ndarray,
    labels: np.ndarray,
    parts: Sequence[np.ndarray],
    classes: int,
    penalty: float = PENALTY,
) -> list[LinearProbe]:
    """A probe for each of several parts of the images, the same as if it were fitted alone.

    Args:
        features: (n, features).
        labels: int (n,), 0..classes-1.
        parts: positions of images.
        classes: how many there are in all.
        penalty: on the length of the coefficients, above 0.

    Raises:
        PicturesError: the images of a probe are of one class.
        WeightsError: features are not finite.
    """
    if not np.isfinite(features).all():
        raise WeightsError(
            "What the network gives for the images must be finite numbers, got infinity or NaN. "
            "Its weights are not those of this network, or damaged: load others."
        )
    fitted: dict[int, LinearProbe] = {}
    with one_thread():
        for (images, known), numbers in _alike(labels, parts).items():
            values = images * (features.shape[1] + ARRAYS * len(known))
            at_once = max(1, VALUES_AT_ONCE // values)
            for some in (numbers[i : i + at_once] for i in range(0, len(numbers), at_once)):
                rows = np.stack([parts[number] for number in some])
                probes = _fit_alike(features[rows], labels[rows], np.array(known), classes, penalty)
                fitted |= zip(some, probes, strict=True)
    return [fitted[number] for number in range(len(parts))]


def _alike(
    labels: np.ndarray, parts: Sequence[np.ndarray]
) -> dict[tuple[int, tuple[int, ...]], list[int]]:
    """Places among the parts, by the number of images of a part and the classes that it has."""
    places: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for place, rows in enumerate(parts):
        known = tuple(np.unique(labels[rows]).tolist())
        if len(known) < 2:
            raise PicturesError(
                "To learn from, there must be images of two classes at least; got images of one "
                "alone. Add some of another."
            )
        places.setdefault((len(rows), known), []).append(place)
    return places


def _fit_alike(
    features: np.ndarray, labels: np.ndarray, known: np.ndarray, classes: int, penalty: float
) -> Iterator[LinearProbe]:
    """A probe for each of some sets of images of the same number and classes.

    Args:
        features: (sets, n, features).
        labels: int (sets, n).
        known: those in every set, in ascending order.
        classes: how many there are in all.
        penalty: on the length of the coefficients.
    """
    mean, scale = features.mean(axis=1), features.std(axis=1)
    # A channel that hardly moves beside the others, or beside the precision of float32, is dead.
    # Absolute bounds would not do: in a network with random weights all activations are tiny.
    largest = scale.max(axis=1, keepdims=True)
    dead = scale <= np.maximum(1e-4 * largest, 1e-6 * np.abs(mean))
    scale = np.where(dead, np.inf, scale)
    rows = ((features - mean[:, None]) / scale[:, None]).astype(np.float64)
    # Of two classes the penalty is on the difference of their coefficients alone, as usual.
    penalty *= 2 if len(known) == 2 else 1
    found, intercepts = fit_logistic(rows, np.searchsorted(known, labels), len(known), penalty)
    found /= scale[:, :, None]
    for own_mean, coefficients, own_intercepts in zip(mean, found, intercepts, strict=True):
        kernel = np.zeros((features.shape[2], classes), np.float32)
        bias = np.full(classes, -1e4, np.float32)
        kernel[:, known] = coefficients
        bias[known] = own_intercepts - own_mean @ coefficients
        yield LinearProbe(kernel, bias)


def cross_validate(
    blocks: Sequence[tuple[str, np.ndarray]],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
    repeats: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracy and cross-entropy of a probe at every block, by repeated cross-validation.

    Folds are stratified and keep groups whole; every block sees the same ones. Of more than
    `MOST_IMAGES` images a part is used.

    Args:
        blocks: name and features (n, features) of each, from input to output.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group are never on both sides.
        folds: at most; never more than the groups of the class with the fewest.
        repeats: divisions into folds; None is 4 for few images, down to 1 from 800 images.
        seed: of the divisions.

    Returns:
        A row per block: block, depth (1 is the block nearest the input), features, images, folds,
        repeats, accuracy (mean over repeats) with its 95% Wilson interval for that many images,
        fewer where groups of them are alike (accuracy_low, accuracy_high), cross_entropy (nats),
        by how much it exceeds that of the best block (excess) with the standard error over images
        or groups of them (excess_se), and the block's
        weight in the average of probes (see `average_weights`). One row more, without a depth:
        `AVERAGE`, a little optimistic because the same folds chose its blocks. Empty where a class
        lies in fewer than two groups.
    """
    divided = Folds.of(labels, groups, folds=folds, repeats=repeats, seed=seed)
    return pd.DataFrame() if divided is None else divided.cross_validated(blocks).table


@dataclass(frozen=True)
class CrossValidated:
    """Probes at every block, cross-validated.

    Attributes:
        table: of `cross_validate`.
        held_out: by block, log-probabilities of every image that was used while it was held out,
            float32 (repeats, images, classes).
    """

    table: pd.DataFrame
    held_out: Mapping[str, np.ndarray]

    def average(self) -> np.ndarray:
        """What the average of the good blocks says, as of `held_out`."""
        return _averaged(average_weights(self.table), self.held_out)


@dataclass(frozen=True)
class Folds:
    """Divisions of labelled images into folds, the same for all that is compared.

    Attributes:
        rows: positions of the images that are used.
        labels: int (images,), of these, 0..classes-1.
        classes: how many there are in all.
        groups: (images,); None where each is its own.
        divisions: one for each repeat.
    """

    rows: np.ndarray
    labels: np.ndarray
    classes: int
    groups: np.ndarray | None
    divisions: Sequence[Division]

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        groups: np.ndarray,
        *,
        folds: int = FOLDS,
        repeats: int | None = None,
        seed: int = 0,
        classes: int | None = None,
    ) -> "Folds | None":
        """As `cross_validate` divides images; None where a class lies in fewer than two groups.

        Args:
            labels: as there.
            groups: as there.
            folds: as there.
            repeats: as there.
            seed: as there.
            classes: how many there are in all; None is those of the labels.
        """
        rows = _some(labels, groups, seed)
        labels, groups = labels[rows], groups[rows]
        count = repeats or usual_repeats(len(labels))
        divisions = [stratified_folds(labels, groups, folds, seed + k) for k in range(count)]
        if not all(divisions):
            return None
        shared = shared_groups(np.unique(groups, return_inverse=True)[1], len(labels))
        return cls(rows, labels, classes or int(labels.max()) + 1, shared, divisions)

    def held_out(self, features: np.ndarray, penalty: float = PENALTY) -> np.ndarray:
        """Log-probabilities of every image while it is held out, (repeats, images, classes).

        Args:
            features: (n, features) of all images, also of those that are not used.
            penalty: on the length of the coefficients.
        """
        return _held_out(features[self.rows], self.labels, self.divisions, self.classes, penalty)

    def losses(self, predicted: np.ndarray) -> np.ndarray:
        """Cross-entropy of every image, mean over repeats, (images,)."""
        return _losses(predicted, self.labels)

    def cross_validated(
        self, blocks: Sequence[tuple[str, np.ndarray]], penalty: float = PENALTY
    ) -> CrossValidated:
        """`cross_validate`, with a penalty on the length of the coefficients."""
        each = counted(blocks, len(blocks), "blocks")
        held_out = {name: self.held_out(features, penalty) for name, features in each}
        widths = {name: features.shape[1] for name, features in blocks}
        rows = [
            self._row(name, predicted) | {"depth": depth, "features": widths[name]}
            for depth, (name, predicted) in enumerate(held_out.items(), 1)
        ]
        table = self.with_weights(pd.DataFrame(rows), held_out)
        average = _averaged(average_weights(table), held_out)
        good = table.loc[table["weight"] > 0, "features"].sum()
        more = [self._row(AVERAGE, average) | {"features": good}]
        facts = {
            "images": len(self.labels),
            "folds": len(self.divisions[0]),
            "repeats": len(self.divisions),
        }
        whole = pd.concat([table, pd.DataFrame(more)], ignore_index=True).assign(**facts)
        whole = whole.astype({"depth": "Int64", "features": "Int64"})[COLUMNS]
        return CrossValidated(whole, held_out)

    def of_all(
        self,
        found: CrossValidated,
        features: Mapping[str, np.ndarray],
        labels: np.ndarray,
        groups: np.ndarray,
        *,
        penalty: float = PENALTY,
        seed: int = 0,
    ) -> np.ndarray:
        """What the average of good blocks says of every image, also of those that were not used.

        Args:
            found: by these folds.
            features: (n, features) by block.
            labels: int (n,), 0..classes-1.
            groups: (n,); images of one group are never on both sides.
            penalty: as of `found`.
            seed: of the divisions into parts.

        Returns:
            Log-probabilities, float32 (repeats, n, classes), each image held out.
        """
        if len(self.rows) == len(labels):
            return found.average()
        weights = average_weights(found.table)
        return self.average_of_all(weights, features, labels, groups, penalty=penalty, seed=seed)

    def average_of_all(
        self,
        weights: Mapping[str, float],
        features: Mapping[str, np.ndarray],
        labels: np.ndarray,
        groups: np.ndarray,
        *,
        penalty: float = PENALTY,
        seed: int = 0,
    ) -> np.ndarray:
        """As `of_all`, of an average whose weights, by block, are given."""
        if len(self.rows) == len(labels):
            each = counted(weights, len(weights), "blocks")
            held_out = {name: self.held_out(features[name], penalty) for name in each}
            return _averaged(weights, held_out)
        repeats = len(self.divisions)
        predicted = np.empty((repeats, len(labels), self.classes), np.float32)
        folds = len(self.divisions[0])
        for rows, divisions in _divided_parts(labels, groups, folds, repeats, seed):
            held_out = {
                name: _held_out(
                    features[name][rows], labels[rows], divisions, self.classes, penalty
                )
                for name in weights
            }
            predicted[:, rows] = _averaged(weights, held_out)
        return predicted

    def first(self, count: int) -> "Folds":
        """The same images, divided so many times at most."""
        return replace(self, divisions=self.divisions[:count])

    def average_weights(self, held_out: Mapping[str, np.ndarray]) -> dict[str, float]:
        """`average_weights` of blocks, from input to output, by what is said of held-out images."""
        table = pd.DataFrame({"block": list(held_out), "depth": np.arange(1, len(held_out) + 1)})
        return average_weights(self.with_weights(table, held_out))

    def average(self, held_out: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the average of those of these blocks that are good says, as of `held_out`."""
        return _averaged(self.average_weights(held_out), held_out)

    def side_by_side(self, predicted: Sequence[np.ndarray]) -> tuple[dict[str, object], np.ndarray]:
        """What one head on the features of several networks says: the mean of their probes.

        Args:
            predicted: log-probabilities, as of `held_out`, by the probes of each network.

        Returns:
            As a row of `cross_validate` says it; and the loss of each image.
        """
        shares = {str(number): 1 / len(predicted) for number in range(len(predicted))}
        together = _averaged(shares, dict(zip(shares, predicted, strict=True)))
        return self._row(AVERAGE, together), self.losses(together)

    def with_weights(self, table: pd.DataFrame, held_out: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """A table of blocks with each one's excess over the best, and its weight in the average.

        Args:
            table: with their depth.
            held_out: log-probabilities of each.
        """
        losses = np.stack([self.losses(predicted) for predicted in held_out.values()])
        differences = losses - losses[losses.mean(axis=1).argmin()]
        excess = differences.mean(axis=1)
        error = np.array([standard_error(values, self.groups) for values in differences])
        weights = table["depth"].to_numpy() * np.exp(-excess / NATS)
        weights = np.where(excess <= AVERAGED_WITHIN * error, weights, 0.0)
        weights = np.where(weights >= SMALLEST_SHARE * weights.max(), weights, 0.0)
        return table.assign(excess=excess, excess_se=error, weight=weights / weights.sum())

    def _row(self, name: str, predicted: np.ndarray) -> dict[str, object]:
        right = (predicted.argmax(axis=2) == self.labels).mean(axis=0)
        low, high = share_interval(right, self.groups)
        if self.groups is None:
            # of whole images: repeats make halves
            low, high = wilson_interval(round(right.sum()) / len(right), len(right))
        return {
            "block": name,
            "accuracy": float(right.mean()),
            "accuracy_low": low,
            "accuracy_high": high,
            "cross_entropy": float(self.losses(predicted).mean()),
        }


def out_of_fold(
    blocks: Sequence[tuple[str, np.ndarray]],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> np.ndarray | None:
    """What the average of good blocks says of every image when it is held out.

    The blocks and their weights are those of `cross_validate`. More than `MOST_IMAGES` images are
    divided into parts, and every part is cross-validated within itself.

    Args:
        blocks: name and features (n, features) of each, from input to output.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group are never on both sides.
        folds: as of `cross_validate`.
        seed: of the divisions.

    Returns:
        Log-probabilities, float32 (repeats, n, classes), of each division into folds; None where
        a class lies in fewer than two groups.
    """
    divided = Folds.of(labels, groups, folds=folds, seed=seed)
    if divided is None:
        return None
    found = divided.cross_validated(blocks)
    return divided.of_all(found, dict(blocks), labels, groups, seed=seed)


def usual_repeats(images: int) -> int:
    """Divisions into folds for so many images."""
    return max(1, min(MOST_REPEATS, REPEATED_IMAGES // images))


def average_weights(table: pd.DataFrame) -> dict[str, float]:
    """The blocks that share in the average of probes, with their weights, which sum to 1.

    Which block is best is uncertain with few images, and several good ones tell more than one of
    them. Those whose cross-entropy is within `AVERAGED_WITHIN` standard errors of the best are
    averaged. A weight falls with the excess over the best, and grows with depth: upper blocks hold
    what the source knows of whole objects, and are given up only where the measurement says so.

    Args:
        table: from `cross_validate`, with a row at least.
    """
    sharing = table[table["weight"] > 0]
    return dict(zip(sharing["block"].astype(str), sharing["weight"].astype(float), strict=True))


def choose_block(table: pd.DataFrame) -> str:
    """The deepest block whose cross-entropy is within one standard error of the best.

    The one-standard-error rule, with everything that was learned as the simplest thing to borrow:
    upper blocks are given up only where the measurement says so.

    Args:
        table: from `cross_validate`, with a row at least.
    """
    within = table[table["excess"] <= table["excess_se"]]
    return str(within["block"].iloc[-1])


def _held_out(
    features: np.ndarray,
    labels: np.ndarray,
    divisions: Sequence[Division],
    classes: int,
    penalty: float = PENALTY,
) -> np.ndarray:
    """Log-probabilities of every image while it is held out, float32 (repeats, n, classes)."""
    predicted = np.empty((len(divisions), len(labels), classes), np.float32)
    parts = [train for division in divisions for train, _ in division]
    probes = iter(fit_probes(features, labels, parts, classes, penalty))
    for repeat, division in enumerate(divisions):
        for _, test in division:
            predicted[repeat, test] = next(probes).log_probabilities(features[test])
    return predicted


def _averaged(weights: Mapping[str, float], predicted: Mapping[str, np.ndarray]) -> np.ndarray:
    """Log-probabilities of the average of some of the blocks that these are of."""
    return _log_softmax(np.sum([weight * predicted[name] for name, weight in weights.items()], 0))


def _losses(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of every image, mean over repeats, (n,)."""
    return -predicted[:, np.arange(len(labels)), labels].mean(axis=0, dtype=np.float64)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _some(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Positions of at most about `MOST_IMAGES` images, with whole groups, like all in classes."""
    return next(_parts(labels, groups, -(-len(labels) // MOST_IMAGES), seed))


def _parts(labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> Iterator[np.ndarray]:
    """Positions in parts of about one size, with whole groups, each like all in classes."""
    if count == 1:
        yield np.arange(len(labels))
        return
    # half a second, which few images do not need
    from sklearn.model_selection import StratifiedGroupKFold

    division = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for _, part in division.split(labels, labels, groups):
        yield np.sort(part)


def _divided_parts(
    labels: np.ndarray, groups: np.ndarray, folds: int, repeats: int, seed: int
) -> list[tuple[np.ndarray, list[Division]]]:
    """Parts of at most about `MOST_IMAGES` images and their folds; fewer where folds need it."""
    for count in range(-(-len(labels) // MOST_IMAGES), 0, -1):
        divided: list[tuple[np.ndarray, list[Division]]] = [
            (
                rows,
                [
                    stratified_folds(labels[rows], groups[rows], folds, seed + repeat)
                    for repeat in range(repeats)
                ],
            )
            for rows in _parts(labels, groups, count, seed)
        ]
        whole = all(len(np.unique(labels[rows])) == len(np.unique(labels)) for rows, _ in divided)
        if whole and all(all(divisions) for _, divisions in divided):
            return divided
    return []
