"""The formats besides the SavedModel that a classifier can be written in."""

import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tl_keras.atomic_files import replacing, write_bytes
from tl_keras.errors import ExportError, NoExportError, installing
from tl_keras.target_table import TARGETS, TargetSpec

# Names and checks of targets load no TensorFlow: they come before everything else.
if TYPE_CHECKING:
    import keras

    from tl_keras.evaluation.decision_rule import DecisionRule
    from tl_keras.serving.handover import Handover
    from tl_keras.serving.runtime import Runtime

# How a row's accuracy is measured where the model has learned the test photos: it is not.
LEARNED = "learned"
# Share of the trained model's labels from which on a rough format is not worth a word.
ENOUGH_EQUAL = 0.95


def check_targets(names: Iterable[str]) -> None:
    """Refuse what cannot be written here, without TensorFlow and before anything is trained.

    Raises:
        NoExportError: a name is not one of `TARGETS`, or its libraries are not installed.
    """
    for name in names:
        target = _find(name)
        absent = [module for module in target.modules if importlib.util.find_spec(module) is None]
        if absent:
            raise NoExportError(
                f"The target {name!r} needs {', '.join(target.modules)}, got an installation "
                f"without {', '.join(absent)}: {installing(target.extra)}, or leave the target out."
            )


def file_of(name: str) -> str:
    """The name of the file that a target is written as.

    Raises:
        ExportError: the name is not one of `TARGETS`.
    """
    return _find(name).file


def is_exact(name: str) -> bool:
    """Whether the target must answer as the trained model does, and not only roughly.

    Raises:
        ExportError: the name is not one of `TARGETS`.
    """
    return _find(name).exact


def caution(row: Mapping[str, Any]) -> str | None:
    """What a row of `exports.csv` says against a format; None where it answers as it should."""
    if not row["labels_equal"] < ENOUGH_EQUAL:
        return None
    accuracy = row["test_accuracy"]
    right = "" if accuracy is None or accuracy != accuracy else f", and is right in {accuracy:.1%}"
    return (
        f"{row['target']} gives only {row['labels_equal']:.0%} of the {row['test_images']} test "
        f"photos the class that the trained model gives them{right}. Compare exports.csv, and "
        "deploy another format if that is too little."
    )


def roughness(row: Mapping[str, Any]) -> str | None:
    """What the figures of a row of `exports.csv` are of, where the format is not exact."""
    target = TARGETS.get(row["target"])
    if target is None or target.exact:
        return None
    told = f"{row['target']} answers probabilities alone"
    if row["decisions_equal"] is not None:
        told += ": its decisions are counted as if the rule were applied to them"
    told += (
        ". The largest difference of one from the trained model's is "
        f"{row['largest_probability_difference']:.1g} on the test photos"
    )
    learned = row["interval_method"] == LEARNED
    return f"{told}{', which it has learned: of new ones it may be far larger' if learned else ''}."


def write_target(
    name: str,
    model: "keras.Model",
    folder: Path,
    calibration: NDArray[np.uint8],
    labels: Sequence[str],
    rule: "DecisionRule | None" = None,
) -> Path:
    """Write the model in another format: a file, or the folder `portable`.

    What each takes and answers is said where it is made: `convert_float`, `convert_int8`,
    `convert_onnx`; resizing is the caller's part, scaling of pixels the file's. The folder
    `portable` takes files, as `furnish_target` then says how: `convert_portable`.

    Args:
        name: A key of `TARGETS`.
        model: As of `export_classifier`.
        folder: Created if absent; a file of an earlier time is replaced.
        calibration: (n, size, size, 3), n at least 1, of training images; only integer targets
            look at them.
        labels: Class names in the order of the model's outputs, which the file keeps.
        rule: How it decides; None leaves decisions and confidences out. The names of its decisions
            are no part of the file: `DecisionRule.names`.

    Returns:
        The file. It appears under its name only when it is complete.

    Raises:
        ExportError: `check_targets` or `export_classifier` would refuse the name, the model, the
            rule or the labels, the calibration images are none or of another size, or the converter
            cannot write this model.
    """
    from tl_keras.serving.saved_model import check_labels, check_model, check_rule

    check_targets([name])
    check_labels(labels)
    check_rule(rule, labels)
    check_model(model, len(labels), model.input_shape[1])
    _check_calibration(calibration, model)
    try:
        content: bytes | dict[str, bytes] = _function(_find(name).convert)(
            model, labels, calibration, rule
        )
    # Converters raise whatever comes: several kinds of their own, ValueError, KeyError.
    except Exception as error:
        raise ExportError(
            f"The converter cannot write this model as {name!r}, got {_told(error)} "
            "Leave the target out, or choose another backbone."
        ) from error
    return _write(content, folder, _find(name).file)


def furnish_target(name: str, path: Path, handover: "Handover") -> list[str]:
    """Complete what `write_target` wrote with what a target needs that takes files, and try it.

    Returns:
        What is to be known of it.

    Raises:
        ExportError: it does not answer as the trained model does.
    """
    place = _find(name).furnish
    remarks: list[str] = [] if place is None else _function(place)(path, handover)
    return remarks


def remove_target(name: str, folder: Path) -> None:
    """Remove what there is of a target in a folder."""
    path = folder / _find(name).file
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def load_target(name: str, path: Path) -> "Runtime":
    """What `write_target` wrote, in LiteRT or ONNX Runtime, which computes without TensorFlow.

    Raises:
        ExportError: `check_targets` would refuse the name, or the runtime cannot load the file.
    """
    check_targets([name])
    load = _function(_find(name).load)
    try:
        runtime: Runtime = load(path)
        return runtime
    # Both runtimes raise kinds of their own, and RuntimeError and ValueError.
    except Exception as error:
        raise ExportError(
            f"{path} must be a file that write_target wrote as {name!r}, got "
            f"{_told(error)} Write it again."
        ) from error


def _find(name: str) -> TargetSpec:
    if name not in TARGETS:
        raise NoExportError(f"A target must be one of {', '.join(TARGETS)}, got {name!r}.")
    return TARGETS[name]


def _function(place: str) -> Callable[..., Any]:
    """What a row names as "module:function"."""
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _check_calibration(calibration: NDArray[np.uint8], model: "keras.Model") -> None:
    size = tuple(model.input_shape[1:])
    if calibration.dtype != np.uint8 or calibration.shape[1:] != size or not len(calibration):
        raise ExportError(
            f"calibration must be uint8 of shape (n, {', '.join(map(str, size))}), n at least 1, "
            f"got {calibration.dtype} of shape {calibration.shape}."
        )


def _told(error: Exception) -> str:
    """The kind and the message as one sentence; those of converters run over many lines."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}."


def _write(content: bytes | dict[str, bytes], folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if isinstance(content, bytes):
        write_bytes(path, content)
        return path
    if path.is_dir():
        shutil.rmtree(path)
    with replacing(path) as unfinished:
        for inside, data in content.items():
            (unfinished / inside).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / inside).write_bytes(data)
    return path
