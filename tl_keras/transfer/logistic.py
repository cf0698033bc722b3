"""Many multinomial logistic regressions of one shape at once, each with a penalty on its length.

The loss is the sum of the images' cross-entropies and `penalty / 2` times the squared length of the
coefficients, as of scikit-learn's `LogisticRegression` with `C = 1 / penalty`; the intercepts are
free. It is convex, and conjugate gradients find its one minimum: every step goes to the minimum of
the loss's quadratic model in the plane of the last step and the preconditioned gradient (Knyazev
2001, "Toward the optimal preconditioned eigensolver", does so for another function).

For the preconditioner the curvature that an image adds, `diag(p) - p p'` over the classes, is
replaced by a number, so that one inverse serves all of them. Böhning 1992, "Multinomial logistic
regression algorithm", takes a bound on the largest eigenvalue; the mean of the eigenvalues, as they
are at the time, takes a fraction of the steps, and is exact where all classes are as probable.

A problem's answer does not depend on the others that are solved beside it, to the last bit.
"""

from typing import NamedTuple

import numpy as np

# The last step is the one that would lower the loss by less, in nats an image.
TOLERANCE = 3e-8
MOST_STEPS = 500
# Steps at which the preconditioner is made anew, for the probabilities of the time.
RENEWED = (0, 6, 60)
# An intercept is the coefficient of so large a constant that the penalty does not feel it.
CONSTANT = 1e3
# Where the unknowns are images, each has a feature of its own, so small that it changes nothing:
# with equal images many unknowns would mean the same, and their differences could grow for ever.
OWN = 1e-5
# An image that is sure of its class has none, by which must be divided.
LEAST_CURVATURE = 1e-6
# A step that would raise the loss, by more than rounding does, is halved, so many times at most.
HALVINGS, ROUNDING = 30, 1e-12


def fit_logistic(
    rows: np.ndarray, labels: np.ndarray, classes: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Solve problems of one shape.

    Args:
        rows: float64 (problems, n, features), finite, standardised or nearly.
        labels: int (problems, n), 0..classes-1, each of them in every problem.
        classes: 2 at least.
        penalty: above 0.

    Returns:
        Coefficients (problems, features, classes) and intercepts (problems, classes), which sum to
        0 over the classes.
    """
    _, images, features = rows.shape
    space = (_Features if features < images else _Images)(rows, penalty)
    targets = (labels[:, None] == np.arange(classes)[:, None]).astype(np.float64)
    return space.solution(_minimum(space, targets))


class _Move(NamedTuple):
    """A change of the unknowns.

    Attributes:
        values: (problems, classes, unknowns).
        logits: (problems, classes, n), by how much it changes them.
    """

    values: np.ndarray
    logits: np.ndarray

    def times(self, factors: np.ndarray) -> "_Move":
        """The same, longer by factors (problems,)."""
        wide = factors[:, None, None]
        return _Move(wide * self.values, wide * self.logits)

    def plus(self, other: "_Move") -> "_Move":
        return _Move(self.values + other.values, self.logits + other.logits)


class _Features:
    """The unknowns are the coefficients, (problems, classes, features)."""

    def __init__(self, rows: np.ndarray, penalty: float) -> None:
        constant = np.full((*rows.shape[:2], 1), CONSTANT)
        self.penalty, self._rows = penalty, np.concatenate([rows, constant], axis=2)
        self._features = self._rows.transpose(0, 2, 1)
        self.unknowns = self._rows.shape[2]

    def move(self, values: np.ndarray) -> _Move:
        return _Move(values, values @ self._features)

    def gradient(self, residuals: np.ndarray, here: _Move) -> np.ndarray:
        return residuals @ self._rows + self.penalty * here.values

    def product(self, values: np.ndarray, move: _Move) -> np.ndarray:
        """Inner product, (problems,), of what a gradient or a move has as values with a move."""
        return _inner(values, move.values)

    def preconditioner(self, curvatures: np.ndarray) -> np.ndarray:
        """To multiply a gradient by, for curvatures (problems, n)."""
        curved = (self._features * curvatures[:, None]) @ self._rows
        return np.linalg.inv(curved + self.penalty * np.eye(self.unknowns))

    def solution(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (problems, features, classes) and intercepts (problems, classes)."""
        return values[:, :, :-1].transpose(0, 2, 1), CONSTANT * values[:, :, -1]


class _Images:
    """The unknowns say how much of every image's row is in the coefficients.

    There they lie, and with fewer images than features these unknowns are fewer: (problems,
    classes, n). Inner products are those of the coefficients all the same.
    """

    def __init__(self, rows: np.ndarray, penalty: float) -> None:
        self.penalty, self._rows = penalty, rows
        self.unknowns = rows.shape[1]
        self._gram = rows @ rows.transpose(0, 2, 1) + CONSTANT**2
        self._gram += OWN * penalty * np.eye(self.unknowns)

    def move(self, values: np.ndarray) -> _Move:
        return _Move(values, values @ self._gram)

    def gradient(self, residuals: np.ndarray, here: _Move) -> np.ndarray:
        return residuals + self.penalty * here.values

    def product(self, values: np.ndarray, move: _Move) -> np.ndarray:
        return _inner(values, move.logits)

    def preconditioner(self, curvatures: np.ndarray) -> np.ndarray:
        roots = np.sqrt(curvatures)
        across, down = roots[:, None], roots[:, :, None]
        inverse = np.linalg.inv(down * self._gram * across + self.penalty * np.eye(self.unknowns))
        return inverse * across / down

    def solution(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (values @ self._rows).transpose(0, 2, 1), CONSTANT**2 * values.sum(axis=2)


def _minimum(space: _Features | _Images, targets: np.ndarray) -> np.ndarray:
    """The unknowns where the loss is least, (problems, classes, unknowns).

    Args:
        space: of the unknowns.
        targets: (problems, classes, n), 1 where an image is of the class, else 0.
    """
    problems, classes, images = targets.shape
    here = last = _Move(np.zeros((problems, classes, space.unknowns)), np.zeros(targets.shape))
    probable, loss = _likelihood(space, targets, here)
    moving = np.full(problems, True)
    for step in range(MOST_STEPS):
        if step in RENEWED:
            preconditioner = space.preconditioner(_curvatures(probable))
        gradient = space.gradient(probable - targets, here)
        ahead = space.move(-gradient @ preconditioner)
        by_ahead, by_last, fall = _lowest_in_plane(space, probable, gradient, ahead, last)
        moving &= fall > TOLERANCE * images
        if not moving.any():
            break
        ahead = ahead.times(np.where(moving, by_ahead, 0.0))
        last = ahead.plus(last.times(np.where(moving, by_last, 0.0)))
        here, last, probable, loss = _lower(space, targets, here, last, loss)
    return here.values


def _lower(
    space: _Features | _Images, targets: np.ndarray, here: _Move, move: _Move, loss: np.ndarray
) -> tuple[_Move, _Move, np.ndarray, np.ndarray]:
    """Go by a move, or by the half of it as often as the loss would rise.

    Returns:
        Where that leads, the move that was made, and probabilities and loss there.
    """
    for _ in range(HALVINGS):
        there = here.plus(move)
        probable, there_loss = _likelihood(space, targets, there)
        higher = there_loss > loss + ROUNDING * np.abs(loss)
        if not higher.any():
            break
        move = move.times(np.where(higher, 0.5, 1.0))
    return there, move, probable, there_loss


def _likelihood(
    space: _Features | _Images, targets: np.ndarray, here: _Move
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (problems, classes, n) and the loss (problems,)."""
    highest = here.logits.max(axis=1, keepdims=True)
    probable = np.exp(here.logits - highest)
    total = probable.sum(axis=1, keepdims=True)
    probable /= total
    loss = (np.log(total) + highest).sum(axis=(1, 2)) - _inner(targets, here.logits)
    return probable, loss + space.penalty / 2 * space.product(here.values, here)


def _curvatures(probable: np.ndarray) -> np.ndarray:
    """Mean eigenvalue of `diag(p) - p p'` on what sums to 0 over the classes, (problems, n)."""
    mean = (probable * (1 - probable)).sum(axis=1) / (probable.shape[1] - 1)
    return np.asarray(np.maximum(mean, LEAST_CURVATURE))


def _lowest_in_plane(
    space: _Features | _Images,
    probable: np.ndarray,
    gradient: np.ndarray,
    first: _Move,
    second: _Move,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the quadratic model is lowest in the plane of two moves.

    Where they span none, as at the start, when the second has no length, along the first alone.

    Returns:
        How far to go by each move, and how far the model falls then, each (problems,).
    """
    weighted_first, weighted_second = probable * first.logits, probable * second.logits
    mean_first, mean_second = weighted_first.sum(axis=1), weighted_second.sum(axis=1)
    a = _inner(weighted_first, first.logits) - _inner(mean_first, mean_first)
    a += space.penalty * space.product(first.values, first)
    b = _inner(weighted_first, second.logits) - _inner(mean_first, mean_second)
    b += space.penalty * space.product(first.values, second)
    c = _inner(weighted_second, second.logits) - _inner(mean_second, mean_second)
    c += space.penalty * space.product(second.values, second)
    slope, other_slope = space.product(gradient, first), space.product(gradient, second)
    determinant = a * c - b * b
    plane = determinant > 1e-10 * a * c
    determinant = np.where(plane, determinant, 1.0)
    alone = -slope / np.maximum(a, np.finfo(np.float64).tiny)
    by_first = np.where(plane, (b * other_slope - c * slope) / determinant, alone)
    by_second = np.where(plane, (b * slope - a * other_slope) / determinant, 0.0)
    return by_first, by_second, -(by_first * slope + by_second * other_slope) / 2


def _inner(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sums of products, (problems,)."""
    problems = len(left)
    return np.asarray(np.vecdot(left.reshape(problems, -1), right.reshape(problems, -1)))
