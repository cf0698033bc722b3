"""Probabilities that mean what they say: temperature scaling, and how far off they are.

The temperature is fitted on validation images. These have chosen the epoch as well, which makes the
probabilities look a little better there than on new photos, so that the temperature comes out a
little low; what is reported is measured on the test split, where nothing was chosen. So a model is
made surer only where held-out images clearly ask for it.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_softmax

from tl_keras.evaluation.dependence import effective_groups, effective_size, shared_groups
from tl_keras.evaluation.figures import proportion
from tl_keras.evaluation.metrics import SMALLEST_PROBABILITY, cross_entropies
from tl_keras.evaluation.pooled_predictions import HeldOut
from tl_keras.evaluation.temperature import BOUNDS, lowest, objective

# Logarithms of the temperatures that are tried.
_GRID = np.linspace(*BOUNDS, 201)
# Nats, over all held-out images, that a temperature below 1 must gain for each unit of its
# logarithm. Nearly all of a few images are right whether a model is too timid or was lucky, and
# models of folds, which learn fewer images, are less sure than the one they speak for. Five were
# chosen on steel, cells and digits (docs/methods.md).
SHARPENING_COST = 5.0
MOST_BINS, IMAGES_PER_BIN = 10, 15


def calibrate(
    probabilities: NDArray[np.floating],
    temperature: float,
    class_factors: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """softmax(log p / temperature), with each class multiplied by a factor.

    Args:
        probabilities: (n, classes), 0..1.
        temperature: Above 0; above 1 makes them less certain.
        class_factors: (classes,), above 0: how much commoner each class is among the photos to
            come than the model was trained to expect (Saerens et al. 2002). None is 1 for all.

    Returns:
        (n, classes), rows sum to 1.
    """
    return np.asarray(np.exp(_log_calibrated(probabilities, temperature, class_factors)))


def fit_temperature(held_out: HeldOut, class_factors: NDArray[np.float64] | None = None) -> float:
    """The temperature with the least cross-entropy on held-out images, given the prior.

    One below 1, which makes a model surer, is held back by `SHARPENING_COST` as well. Images of
    groups count as many as tell as much about how often the model is right and how sure
    it is.
    """
    sharpened = SHARPENING_COST * np.maximum(-_GRID, 0)
    return float(np.exp(lowest(_objective(held_out, class_factors) + sharpened, _GRID)))


def temperature_draws(
    held_out: HeldOut, class_factors: NDArray[np.float64] | None = None, draws: int = 1000
) -> NDArray[np.float64]:
    """Equally likely temperatures, rising, given the held-out images and the prior; (draws,).

    The posterior distribution of the logarithm on a grid: with 30 images a bootstrap of the fit,
    which the prior holds back, is too sure of itself. They tell what is possible, so that nothing
    more holds those below 1 back.
    """
    values = _objective(held_out, class_factors)
    density = np.exp(values.min() - values)
    below = np.cumsum(density) - density / 2
    places = (np.arange(draws) + 0.5) / draws
    return np.asarray(np.exp(np.interp(places, below / density.sum(), _GRID)))


@dataclass(frozen=True)
class CalibrationScores:
    """How far probabilities are from what happens.

    Attributes:
        ece: expected calibration error of the answers' probabilities: mean distance between
            confidence and accuracy over bins of equally many images, 0..1. Few images make it too
            large, however good the probabilities are.
        ece_if_calibrated: what it would be on average, with as many images, if the probabilities
            were exactly right; by simulation, in which images of a group are as alike as here.
        ece_if_calibrated_high: 95% of such simulations stay below: a larger `ece` is a sign of
            wrong probabilities.
        cross_entropy: nats.
        brier: sum over classes of the squared error, 0..2.
        bins: of the two first.
        n: images.
    """

    ece: float
    ece_if_calibrated: float
    ece_if_calibrated_high: float
    cross_entropy: float
    brier: float
    bins: int
    n: int

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def calibration_scores(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.float64],
    answers: NDArray[np.integer],
    simulations: int = 1000,
    seed: int = 0,
    groups: NDArray[np.integer] | None = None,
) -> CalibrationScores:
    """Scores of probabilities on images that did not fit them.

    Args:
        labels: int (n,), n at least 1.
        probabilities: (n, classes).
        answers: int (n,), the class that is answered; its probability is the confidence.
        simulations: Of a calibrated model.
        seed: Of the simulations.
        groups: int (n,), the group of each; None where each is its own.
    """
    rows = np.arange(len(labels))
    confidence, right = probabilities[rows, answers], answers == labels
    generator, together = np.random.default_rng(seed), shared_groups(groups, len(labels))
    draws = generator.random((simulations, len(labels)))
    if together is not None:
        draws = _alike(draws, together, right, confidence, generator)
    simulated = calibration_error(confidence, draws < confidence)
    truth = np.eye(probabilities.shape[1])[labels]
    return CalibrationScores(
        ece=float(calibration_error(confidence, right[np.newaxis])[0]),
        ece_if_calibrated=float(simulated.mean()),
        # of a few large ones the mean may lie above
        ece_if_calibrated_high=float(max(np.quantile(simulated, 0.95), simulated.mean())),
        cross_entropy=float(cross_entropies(labels, probabilities).mean()),
        brier=float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        bins=len(bin_starts(len(labels))),
        n=len(labels),
    )


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Expected calibration error of each row of `correct` (rows, n), for one `confidence` (n,)."""
    order, starts = np.argsort(confidence, kind="stable"), bin_starts(len(confidence))
    gaps = np.add.reduceat(correct[:, order] - confidence[order], starts, axis=1)
    return np.asarray(np.abs(gaps).sum(axis=1) / len(confidence))


def bin_starts(n: int) -> NDArray[np.int_]:
    """Where each of the bins starts among n sorted images; equally full but for one image."""
    bins = int(np.clip(n // IMAGES_PER_BIN, 1, MOST_BINS))
    return np.arange(bins) * n // bins


def reliability_table(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.float64],
    answers: NDArray[np.integer],
    groups: NDArray[np.integer] | None = None,
) -> pd.DataFrame:
    """What the confidence promises and what is right, per bin of equally many images.

    Args:
        labels: int (n,), n at least 1.
        probabilities: (n, classes).
        answers: int (n,), the class that is answered.
        groups: As of `calibration_scores`.

    Returns:
        Columns `bin` (from 1, rising), `count`, `confidence` (mean), `accuracy`, `accuracy_low`,
        `accuracy_high` (that of a `proportion`).
    """
    confidence = probabilities[np.arange(len(labels)), answers]
    order = np.argsort(confidence, kind="stable")
    rows = []
    for number, part in enumerate(np.split(order, bin_starts(len(order))[1:]), start=1):
        own = None if groups is None else groups[part]
        right = proportion((answers == labels)[part], own) or {}
        rows.append(
            {
                "bin": number,
                "count": len(part),
                "confidence": confidence[part].mean(),
                "accuracy": right["estimate"],
                "accuracy_low": right["low"],
                "accuracy_high": right["high"],
            }
        )
    return pd.DataFrame(rows)


def _alike(
    draws: NDArray[np.float64],
    groups: NDArray[np.integer],
    right: NDArray[np.bool_],
    confidence: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Uniform draws (simulations, n), as alike within groups as `right - confidence`, (n,), is."""
    _, number = np.unique(groups, return_inverse=True)
    count, promised = len(groups), float(confidence.mean())
    effect = count / effective_size(right - confidence, groups, (-promised, 1 - promised))
    usual_size = count / effective_groups(np.bincount(number).astype(np.float64))
    correlation = np.clip((effect - 1) / (usual_size - 1), 0, 1)
    shared = generator.random((len(draws), number.max() + 1))[:, number]
    # two images take the same draw with a probability that is their correlation
    takes = generator.random(draws.shape) < correlation**0.5
    return np.where(takes, shared, draws)


def _objective(held_out: HeldOut, class_factors: NDArray[np.float64] | None) -> NDArray[np.float64]:
    logs, shift = _logs(held_out.probabilities, class_factors)
    counted = _evidence(held_out, class_factors)
    return objective(logs, held_out.labels, counted, _GRID, shift)


def _evidence(held_out: HeldOut, class_factors: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The weights of the rows, less where images of groups tell less of the temperature."""
    logs = _log_calibrated(held_out.probabilities, 1.0, class_factors)
    own = logs[np.arange(len(logs)), held_out.labels]
    right = held_out.probabilities.argmax(axis=1) == held_out.labels
    # how much the loss falls with the temperature; unlike what is right it has no bounds
    slopes = own - (np.exp(logs) * logs).sum(axis=1)
    middle, reach = float(slopes.mean()), max(2 * float(slopes.std()), SMALLEST_PROBABILITY)
    size = min(
        held_out.effective_images(right),
        held_out.effective_images(slopes, (middle - reach, middle + reach)),
    )
    return held_out.weights * (size / held_out.n_images)


def _log_calibrated(
    probabilities: NDArray[np.floating],
    temperature: float,
    class_factors: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    logs, shift = _logs(probabilities, class_factors)
    return np.asarray(log_softmax(logs / temperature + shift, axis=1))


def _logs(
    probabilities: NDArray[np.floating], class_factors: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | float]:
    """Logarithms of the probabilities and of the factors; none is infinite."""
    clipped = np.maximum(np.asarray(probabilities, np.float64), SMALLEST_PROBABILITY)
    return np.log(clipped), 0.0 if class_factors is None else np.log(class_factors)
