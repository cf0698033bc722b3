"""How an exported classifier compares with the trained model on the test images."""

import operator
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.evaluation.intervals import accuracy_interval
from tl_keras.serving.runtime import Outputs, Runtime
from tl_keras.serving.signature_names import DECISION, FAMILIAR, IMAGES_UINT8, PROBABILITIES
from tl_keras.serving.targets import is_exact, load_target
from tl_keras.serving.verify import TOLERANCE

# Timed calls per size of batch: small ones are short and vary more.
REPEATS = {1: 20, 32: 5}

_COLUMNS = {
    "target": "str",
    "file": "str",
    "megabytes": "float64",
    "test_images": "int64",
    "test_groups": "int64",
    "test_accuracy": "float64",
    "test_accuracy_low": "float64",
    "test_accuracy_high": "float64",
    "interval_method": "str",
    "labels_equal": "float64",
    "decisions_equal": "float64",
    "largest_probability_difference": "float64",
    "milliseconds_batch_1": "float64",
    "milliseconds_batch_32": "float64",
}


@dataclass(frozen=True)
class AskedImages:
    """The test images, and what is known of them.

    Attributes:
        pixels: (n, size, size, 3), n at least 2.
        labels: (n,), true class indices.
        expected: (n, classes), the trained model's probabilities.
        groups: (n,), number of the group of each; None where each is its own.
        rule: that exported files were written with.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.integer]
    expected: NDArray[np.floating]
    groups: NDArray[np.integer] | None = None
    rule: DecisionRule | None = None


def measure_target(name: str, path: Path, asked: AskedImages) -> dict[str, object]:
    """Classify the test images with the runtime of a target alone, and compare.

    Args:
        name: One of `TARGETS`.
        path: What `write_target` returned.
        asked: The images.

    Returns:
        A row of `exports_table`.

    Raises:
        ExportError: the file cannot be loaded, or a target that computes in float32 answers with
            a probability further than `TOLERANCE` from the expected one, or decides otherwise than
            the rule does of its probabilities.
        ValueError: the arrays do not fit.
    """
    return _measure(name, path, load_target(name, path), asked, exact=is_exact(name))


def measure_saved_model(path: Path, asked: AskedImages) -> dict[str, object]:
    """The same of the signature `serving_images_uint8` of a SavedModel, by TensorFlow.

    Here `path` is the folder of a version.

    Raises:
        ExportError: as in `measure_target`.
        ValueError: as in `measure_target`.
    """
    return _measure("saved_model", path, _load_saved_model(path), asked, exact=True)


def exports_table(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows of `measure_target` and `measure_saved_model` as one table.

    Returns:
        `target`, `file` (name of the file, or of the folder of a SavedModel's version),
        `megabytes` (2^20 bytes), `test_images`, `test_groups` (different groups of them),
        `test_accuracy` with its 95% interval (`_low`,
        `_high`, `interval_method`), `labels_equal` (fraction of the test images that get the
        trained model's label), `decisions_equal` (fraction that gets the decision that the rule
        makes of the trained model's probabilities; NaN without a rule),
        `largest_probability_difference` from it, and
        `milliseconds_batch_1` and `_32`: wall time per image, decoded images in, warm, on all
        processors, median of `REPEATS`; NaN for a size of batch that the file does not take.
    """
    return pd.DataFrame(list(rows), columns=list(_COLUMNS)).astype(_COLUMNS)


def _load_saved_model(path: Path) -> Runtime:
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures[IMAGES_UINT8]
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(
            f"{path} must be a SavedModel with the signature {IMAGES_UINT8!r}, got: {error} "
            "Export the model again."
        ) from error

    def classify(pixels: NDArray[np.uint8]) -> Outputs:
        # `loaded` owns the variables that the signature reads: it must live as long.
        assert loaded is not None
        answer = signature(images=tf.constant(pixels))
        return {name: values.numpy() for name, values in answer.items()}

    return Runtime(classify, batch=None)


def _measure(
    name: str, path: Path, runtime: Runtime, asked: AskedImages, *, exact: bool
) -> dict[str, object]:
    labels, expected, rule = asked.labels, asked.expected, asked.rule
    outputs = runtime.outputs(asked.pixels)
    found = outputs[PROBABILITIES]
    _check_shapes(found, labels, expected)
    difference = float(np.abs(found - expected).max())
    # No comparison with a NaN holds.
    if exact and not difference <= TOLERANCE:
        raise ExportError(
            f"{path} must answer as the trained model does, within {TOLERANCE:g}, got a "
            f"difference of {difference:.3g} on {len(labels)} test images. Do not deploy it."
        )
    if exact and rule is not None:
        _check_decisions(path, outputs, rule)
    predicted = found.argmax(axis=1)
    groups = np.arange(len(labels)) if asked.groups is None else asked.groups
    interval = accuracy_interval((predicted == labels)[None], groups=asked.groups)
    times = {size: _milliseconds(runtime, asked.pixels, size) for size in REPEATS}
    return {
        "target": name,
        "file": path.name,
        "megabytes": _bytes(path) / 2**20,
        "test_images": interval.n_images,
        "test_groups": len(np.unique(groups)),
        "test_accuracy": interval.estimate,
        "test_accuracy_low": interval.low,
        "test_accuracy_high": interval.high,
        "interval_method": interval.method,
        "labels_equal": float(np.mean(predicted == expected.argmax(axis=1))),
        "decisions_equal": _decisions_equal(outputs, expected, rule),
        "largest_probability_difference": difference,
        **{f"milliseconds_batch_{size}": each for size, each in times.items()},
    }


def _check_decisions(path: Path, outputs: Outputs, rule: DecisionRule) -> None:
    """Those of a file, against what the rule makes of its other outputs."""
    wanted = rule.decisions(outputs[PROBABILITIES], outputs.get(FAMILIAR))
    given = [_word(each, rule) for each in outputs.get(DECISION, ())]
    if given != wanted:
        other = sum(map(operator.ne, given, wanted)) if given else len(wanted)
        raise ExportError(
            f"{path} must decide as its rule does, got {other} other decisions or none on "
            f"{len(wanted)} test images. Do not deploy it."
        )


def _word(decision: Any, rule: DecisionRule) -> str:
    """A SavedModel answers words, other formats their places."""
    return decision.decode() if isinstance(decision, bytes) else rule.names[decision]


def _decisions_equal(
    outputs: Outputs, expected: NDArray[np.floating], rule: DecisionRule | None
) -> float:
    if rule is None:
        return float("nan")
    familiar = outputs.get(FAMILIAR)
    pairs = (rule.decisions(each, familiar) for each in (outputs[PROBABILITIES], expected))
    return float(np.mean(list(map(operator.eq, *pairs))))


def _check_shapes(
    found: NDArray[np.float32], labels: NDArray[np.integer], expected: NDArray[np.floating]
) -> None:
    if expected.shape != found.shape or labels.shape != found.shape[:1]:
        raise ValueError(
            "pixels, labels and expected must have one row per test image, and expected one column "
            f"per class, {found.shape}; got labels {labels.shape} and expected {expected.shape}."
        )


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _milliseconds(runtime: Runtime, pixels: NDArray[np.uint8], size: int) -> float:
    """Per image, median over batches of this size; NaN where the model takes another only."""
    if runtime.batch not in (None, size):
        return float("nan")
    batch = pixels[np.arange(size) % len(pixels)]
    runtime.classify(batch)
    seconds = [_timed(runtime, batch) for _ in range(REPEATS[size])]
    return 1000 * float(np.median(seconds)) / size


def _timed(runtime: Runtime, batch: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    runtime.classify(batch)
    return time.perf_counter() - started
