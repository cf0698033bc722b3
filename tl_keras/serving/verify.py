"""The proof that an exported model answers as the trained model does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tl_keras.errors import ExportError
from tl_keras.serving.export import BYTES_SIGNATURE

_BATCH_IMAGES = 32


@dataclass(frozen=True)
class Verification:
    """What a check of an exported model found.

    Attributes:
        images: Number of files classified.
        largest_difference: Between a served and an expected probability, fraction.
        labels_equal: Whether every label is the expected one; False where a tie was broken
            otherwise.
        seconds: Time for loading and classifying.
    """

    images: int
    largest_difference: float
    labels_equal: bool
    seconds: float


@dataclass(frozen=True)
class _Answers:
    labels: list[str]
    probability: np.ndarray
    probabilities: np.ndarray


def verify_export(
    export_path: Path,
    files: Sequence[Path],
    expected: np.ndarray,
    labels: Sequence[str],
    *,
    tolerance: float = 1e-4,
) -> Verification:
    """Load a SavedModel with plain TensorFlow, classify files from their bytes and compare.

    Args:
        export_path: One version, as `export_classifier` returned it.
        files: The n pictures, undecoded.
        expected: (n, classes), the trained model's probabilities for them.
        labels: Class names in the order of the columns of `expected`.
        tolerance: Largest allowed difference of a probability, fraction.

    Raises:
        ExportError: if the model cannot be loaded or lacks the signature, fails on a file, answers
            with a probability further away than `tolerance`, or with another label although the
            expected one leads by more than twice the tolerance.
    """
    started = time.perf_counter()
    expected = np.asarray(expected, np.float64)
    if not files or expected.shape != (len(files), len(labels)):
        raise ExportError(
            "expected must have one row per file (at least one) and one column per label, "
            f"{(len(files), len(labels))}, got {expected.shape}."
        )
    answers = _classify(export_path, files)
    largest = _check_probabilities(answers, files, expected, tolerance)
    labels_equal = _check_labels(answers, files, expected, labels, tolerance)
    return Verification(len(files), largest, labels_equal, time.perf_counter() - started)


def _classify(export_path: Path, files: Sequence[Path]) -> _Answers:
    try:
        loaded = tf.saved_model.load(str(export_path))
        classify = loaded.signatures[BYTES_SIGNATURE]
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(
            f"{export_path} must be a SavedModel with the signature {BYTES_SIGNATURE!r}, "
            f"got: {error} Export the model again."
        ) from error
    batches = [
        _classify_batch(classify, files[start : start + _BATCH_IMAGES])
        for start in range(0, len(files), _BATCH_IMAGES)
    ]
    return _Answers(
        labels=[name.decode() for batch in batches for name in batch["label"]],
        probability=np.concatenate([batch["probability"] for batch in batches]),
        probabilities=np.concatenate([batch["probabilities"] for batch in batches]),
    )


def _classify_batch(
    classify: tf.types.experimental.GenericFunction, files: Sequence[Path]
) -> dict[str, np.ndarray]:
    contents = tf.constant([file.read_bytes() for file in files])
    try:
        answer = classify(image_bytes=contents)
    except tf.errors.OpError as error:
        raise ExportError(
            f"The exported model failed on one of {len(files)} files from {files[0]} to "
            f"{files[-1]}: {error.message}"
        ) from error
    return {name: value.numpy() for name, value in answer.items()}


def _check_probabilities(
    answers: _Answers, files: Sequence[Path], expected: np.ndarray, tolerance: float
) -> float:
    if answers.probabilities.shape != expected.shape:
        raise ExportError(
            f"The exported model must answer with {expected.shape[1]} probabilities per image, "
            f"got {answers.probabilities.shape[1]}. Export the model again."
        )
    differences = np.maximum(
        np.abs(answers.probabilities - expected).max(axis=1),
        np.abs(answers.probability - expected.max(axis=1)),
    )
    # argmax takes a NaN for the largest, and no comparison with a NaN holds.
    worst = int(np.argmax(differences))
    largest = float(differences[worst])
    if not largest <= tolerance:
        raise ExportError(
            f"The exported model must answer as the trained model does, within {tolerance:g}, got "
            f"a difference of {largest:.3g} on {files[worst]}. Do not deploy it; export the model "
            "that was evaluated."
        )
    return largest


def _check_labels(
    answers: _Answers,
    files: Sequence[Path],
    expected: np.ndarray,
    labels: Sequence[str],
    tolerance: float,
) -> bool:
    wanted = [labels[column] for column in expected.argmax(axis=1)]
    changed = [row for row in range(len(files)) if answers.labels[row] != wanted[row]]
    for row in changed:
        given = answers.labels[row]
        margin = expected[row].max() - (
            expected[row][labels.index(given)] if given in labels else 0
        )
        # Within the tolerance, both probabilities may have moved towards each other.
        if margin > 2 * tolerance:
            raise ExportError(
                f"The exported model must answer {wanted[row]!r} for {files[row]}, got {given!r} "
                f"although the expected label leads by {margin:.3g} (tolerance {tolerance:g}). "
                "Export it with the labels in the order of the model's outputs."
            )
    return not changed
