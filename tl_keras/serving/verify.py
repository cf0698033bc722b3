"""The proof that an exported model answers as the trained model does."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.serving.exported_classifier import Answers
from tl_keras.serving.fresh import Ask, answers_of_fresh_process

TOLERANCE = 1e-4
# Of the mean of a heat map, against the score that it shows; and the smallest probability whose
# logarithm float32 knows so well.
MAP_TOLERANCE, _LEAST = 1e-2, 1e-20


@dataclass(frozen=True)
class Verification:
    """What a check of an exported model found.

    Attributes:
        images: number of files classified, from their bytes, in a process of its own.
        largest_difference: between a served and an expected probability, fraction.
        labels_equal: whether every label is the expected one; False where a tie was broken
            otherwise.
        milliseconds_batch_1: median per image in that process, one image a call, warm, decoding
            included; NaN where no time was taken.
        milliseconds_batch_32: the same, 32 images a call.
        example: name of the first `file`, and the `answer` to it as TensorFlow Serving gives it;
            None where no process was asked.
        heat_maps: number of files whose heat maps were checked; 0 of an export without them.
    """

    images: int
    largest_difference: float
    labels_equal: bool
    milliseconds_batch_1: float = float("nan")
    milliseconds_batch_32: float = float("nan")
    example: dict[str, Any] | None = None
    heat_maps: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def verify_export(
    version: Path,
    files: Sequence[Path],
    expected: np.ndarray,
    labels: Sequence[str],
    ask: Ask | None = None,
    rule: DecisionRule | None = None,
) -> Verification:
    """Load a SavedModel in a fresh process, classify files from their bytes and compare.

    Args:
        version: its folder, as `export_classifier` returned it.
        files: the n pictures, undecoded; at least one.
        expected: (n, classes), the trained model's probabilities for them.
        labels: class names in the order of the columns of `expected`.
        ask: such a process that has been started before; None starts one.
        rule: that it was exported with.

    Raises:
        ExportError: the model cannot be loaded, or its answers differ, see `compare`, or its heat
            maps are not of these answers.
    """
    fresh = (ask or answers_of_fresh_process)(version, files)
    found = compare(fresh.answers, files, expected, labels, rule=rule)
    if fresh.map_scores is not None:
        check_heat_maps(fresh.map_scores, fresh.answers.probabilities, files)
    return replace(
        found,
        milliseconds_batch_1=fresh.milliseconds_batch_1,
        milliseconds_batch_32=fresh.milliseconds_batch_32,
        example={"file": files[0].name, "answer": fresh.answers.rows()[0]},
        heat_maps=0 if fresh.map_scores is None else len(fresh.map_scores),
    )


def check_heat_maps(scores: np.ndarray, probabilities: np.ndarray, files: Sequence[Path]) -> None:
    """Nothing, if heat maps add up to the scores that they show, as `HeatMaps` says.

    Args:
        scores: (k,), the means of the maps of the first files.
        probabilities: (files, classes), of the same export.
        files: the n pictures.

    Raises:
        ExportError: one does not.
    """
    logs = np.log(np.maximum(probabilities[: len(scores)].astype(np.float64), _LEAST))
    wanted = logs.max(axis=1) - logs.mean(axis=1)
    known = probabilities[: len(scores)].min(axis=1) > _LEAST
    near = np.abs(scores - wanted) <= MAP_TOLERANCE * np.maximum(1, np.abs(wanted))
    for row in map(int, np.flatnonzero(~np.isfinite(scores) | (known & ~near))):
        raise ExportError(
            f"The heat map of an exported model must add up to the score of its answer, "
            f"{wanted[row]:.4g} for {files[row]}, got {scores[row]:.4g}. Export the model again."
        )


def compare(
    answers: Answers,
    files: Sequence[Path],
    expected: np.ndarray,
    labels: Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    rule: DecisionRule | None = None,
) -> Verification:
    """Compare what an exported model answered with what the trained one does.

    Args:
        answers: of the exported model.
        files: as of `verify_export`.
        expected: as of `verify_export`.
        labels: as of `verify_export`.
        tolerance: largest allowed difference of a probability, fraction.
        rule: as of `verify_export`.

    Raises:
        ExportError: a file was not decoded, a probability is further away than `tolerance`, a
            label is another one although the expected one leads by more than twice the tolerance,
            or a decision or a confidence is not what the rule makes of the probabilities.
    """
    expected = np.asarray(expected, np.float64)
    if not files or expected.shape != (len(files), len(labels)):
        raise ExportError(
            "expected must have one row per file (at least one) and one column per label, "
            f"{(len(files), len(labels))}, got {expected.shape}."
        )
    _check_decoded(answers, files)
    largest = _check_probabilities(answers, files, expected, tolerance)
    labels_equal = _check_labels(answers, files, expected, labels, tolerance)
    if rule is not None:
        _check_decisions(answers, files, rule, tolerance)
    return Verification(len(files), largest, labels_equal)


def _check_decoded(answers: Answers, files: Sequence[Path]) -> None:
    failed = [file for file, decoded in zip(files, answers.decoded, strict=True) if not decoded]
    if failed:
        raise ExportError(
            f"The exported model must decode what it was trained on, but cannot decode "
            f"{len(failed)} of {len(files)} files, such as {failed[0]}. Was it changed meanwhile?"
        )


def _check_probabilities(
    answers: Answers, files: Sequence[Path], expected: np.ndarray, tolerance: float
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
    answers: Answers,
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


def _check_decisions(
    answers: Answers, files: Sequence[Path], rule: DecisionRule, tolerance: float
) -> None:
    """Against NumPy, with what the exported model says of the probabilities and of strangers."""
    given, wanted = answers.verdicts, answers.decided(rule).verdicts
    if not given:
        raise ExportError(
            "The exported model must answer with a decision and a confidence, got neither. Export "
            "the model again."
        )
    for file, (word, sure), (right, expected) in zip(files, given, wanted, strict=True):
        if word != right or not abs(sure - expected) <= tolerance:
            raise ExportError(
                f"The exported model must decide as its rule does, {right!r} at a confidence of "
                f"{expected:.6g} for {file}, got {word!r} at {sure:.6g}. Do not deploy it; export "
                "the model again."
            )
