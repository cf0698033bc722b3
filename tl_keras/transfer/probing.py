"""Layer-wise linear probes: how well a linear classifier reads the classes at every block.

Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes". One
forward pass gives the pooled output of all blocks; a regularised logistic regression on each tells
in seconds how much of the backbone is worth borrowing.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tl_keras.data.folds import stratified_folds
from tl_keras.models.backbones import scaling_layer
from tl_keras.models.classifier import Backbone

BATCH = 64
# Inverse strength of the L2 penalty on standardised features.
PENALTY = 1.0
MAX_STEPS = 500
FOLDS, REPEATS = 5, 4


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
        logits = features @ self.kernel + self.bias
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, classes)."""
        return np.exp(self.log_probabilities(features)).astype(np.float32)


def pooled_blocks(backbone: Backbone, pixels: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """The pooled output of every block, in one pass in inference mode.

    Args:
        backbone: with the weights to look at.
        pixels: uint8 (n, size, size, 3), 0..255.
        rows: positions of k of them.

    Returns:
        Per block float32 (k, channels of the block).
    """
    pool = keras.layers.GlobalAveragePooling2D()
    outputs = [pool(block.output) for block in backbone.blocks]
    model, scaling = keras.Model(backbone.model.input, outputs), scaling_layer(backbone.spec)
    forward = tf.function(
        lambda images: model(scaling(images), training=False),
        input_signature=[tf.TensorSpec((None, *pixels.shape[1:]), tf.float32)],
    )
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    # A single output may come without its list.
    parts = [keras.tree.flatten(forward(tf.cast(pixels[batch], tf.float32))) for batch in batches]
    return [np.concatenate([part.numpy() for part in block]) for block in zip(*parts, strict=True)]


def fit_probe(features: np.ndarray, labels: np.ndarray, classes: int) -> LinearProbe:
    """Fit a probe; a class without images among `labels` gets no probability.

    The penalty is on standardised features, so the solution lies in the span of the images: with
    fewer images than features it is found in as many dimensions as there are images, exactly and
    much faster.

    Args:
        features: (n, features).
        labels: int (n,), 0..classes-1, of two classes at least.
        classes: how many there are in all.
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    # A channel that hardly moves beside the others, or beside the precision of float32, is dead.
    # Absolute bounds would not do: in a network with random weights all activations are tiny.
    dead = scale <= np.maximum(1e-4 * scale.max(), 1e-6 * np.abs(mean))
    scale = np.where(dead, np.inf, scale)
    left, strengths, directions = np.linalg.svd((features - mean) / scale, full_matrices=False)
    regression = LogisticRegression(C=PENALTY, max_iter=MAX_STEPS)
    with warnings.catch_warnings():
        # What is not quite converged is a probe all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(left * strengths, labels)
    known, coefficients, intercepts = regression.classes_, regression.coef_, regression.intercept_
    if len(known) == 2:
        coefficients, intercepts = (np.stack([-x, x])[:, 0] / 2 for x in (coefficients, intercepts))
    kernel = np.zeros((features.shape[1], classes))
    bias = np.full(classes, -1e4)
    kernel[:, known] = (directions.T @ coefficients.T) / scale[:, None]
    bias[known] = intercepts - mean @ kernel[:, known]
    return LinearProbe(kernel.astype(np.float32), bias.astype(np.float32))


def cross_validate(
    blocks: Sequence[tuple[str, np.ndarray]],
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracy and cross-entropy of a probe at every block, by repeated cross-validation.

    Folds are stratified and keep groups whole; every block sees the same ones.

    Args:
        blocks: name and features (n, features) of each, from input to output.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group are never on both sides.
        folds: at most; never more than the groups of the class with the fewest.
        repeats: divisions into folds; a single one leaves the choice of a block to chance.
        seed: of the divisions.

    Returns:
        A row per block: block, depth (1 is the block nearest the input), features, images, folds,
        accuracy (mean over repeats) with its 95% Wilson interval for that many images
        (accuracy_low, accuracy_high), cross_entropy (nats), and by how much it exceeds that of the
        best block (excess) with the standard error over images (excess_se). Empty where a class
        lies in fewer than two groups.
    """
    divisions = [stratified_folds(labels, groups, folds, seed + k) for k in range(repeats)]
    if not all(divisions):
        return pd.DataFrame()
    held_out = [_held_out(features, labels, divisions) for _, features in blocks]
    best = min((losses for _, losses in held_out), key=np.mean)
    rows = []
    for depth, ((name, features), (right, losses)) in enumerate(
        zip(blocks, held_out, strict=True), 1
    ):
        interval = stats.binomtest(round(right.sum()), len(right)).proportion_ci(method="wilson")
        rows.append(
            {
                "block": name,
                "depth": depth,
                "features": features.shape[1],
                "images": len(labels),
                "folds": len(divisions[0]),
                "accuracy": float(right.mean()),
                "accuracy_low": float(interval.low),
                "accuracy_high": float(interval.high),
                "cross_entropy": float(losses.mean()),
                "excess": float((losses - best).mean()),
                "excess_se": float(stats.sem(losses - best)),
            }
        )
    return pd.DataFrame(rows)


def choose_block(table: pd.DataFrame) -> str:
    """The deepest block whose cross-entropy is within one standard error of the best.

    The one-standard-error rule, with everything that was learned as the simplest thing to borrow:
    upper blocks are given up only where the measurement says so.

    Args:
        table: from `cross_validate`, with a row at least.
    """
    within = table[table["excess"] <= table["excess_se"]]
    return str(within["block"].iloc[-1])


def choose_cut(
    backbone: Backbone, pixels: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> str:
    """The block to cut after, by cross-validation on these images; the last where they are too few.

    Args:
        backbone: with the source weights.
        pixels: uint8 (n, size, size, 3), 0..255.
        labels: int (n,), 0..classes-1.
        groups: (n,); images of one group are never on both sides.
    """
    features = pooled_blocks(backbone, pixels, np.arange(len(pixels)))
    names = [block.name for block in backbone.blocks]
    probes = cross_validate(list(zip(names, features, strict=True)), labels, groups)
    return choose_block(probes) if len(probes) else names[-1]


def _held_out(
    features: np.ndarray,
    labels: np.ndarray,
    divisions: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
) -> tuple[np.ndarray, np.ndarray]:
    """Per image how often it is classified correctly, 0..1, and its cross-entropy, held out."""
    right, losses = np.zeros(len(labels)), np.zeros(len(labels))
    for train, test in (fold for division in divisions for fold in division):
        probe = fit_probe(features[train], labels[train], int(labels.max()) + 1)
        predicted = probe.log_probabilities(features[test])
        right[test] += predicted.argmax(axis=1) == labels[test]
        losses[test] -= predicted[np.arange(len(test)), labels[test]]
    return right / len(divisions), losses / len(divisions)
