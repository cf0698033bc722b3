"""The `:classify` requests of TensorFlow Serving: examples of named features in, classes out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tl_keras.serving.json_tensors import RequestError, is_base64, read_string, shown, write_tensor
from tl_keras.serving.rest import check_batch

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def read_examples(request: Mapping[str, Any], max_batch: int) -> np.ndarray:
    """Return the examples of a request as serialized `tf.train.Example`, bytes objects (batch,).

    Features of `context` belong to every example that does not have them itself.

    Raises:
        RequestError: if there are none or more than `max_batch`, or one is no object of features.
    """
    context = _object(request.get("context", {}), "context")
    examples = request.get("examples")
    if not isinstance(examples, list) or not examples:
        raise RequestError(
            'The request must have the key "examples", a list of at least one object such as '
            f'{{"image_bytes": {{"b64": "..."}}}}, got {shown(request)}.'
        )
    check_batch(examples, max_batch, "examples")
    serialized = np.empty(len(examples), object)
    for number, example in enumerate(examples):
        features = {**context, **_object(example, f"Item {number} of examples")}
        serialized[number] = _serialize(features, f"item {number} of examples")
    return serialized


def write_classes(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Write `results`: for every example, pairs of a label and its score.

    Args:
        outputs: `classes`, bytes objects, and `scores`, each (batch, k); one of them may be
            missing, and then its part of the pairs is empty text or 0.

    Raises:
        RequestError: if both are missing or their shapes differ.
    """
    arrays = [outputs[name] for name in ("classes", "scores") if name in outputs]
    if not arrays or any(array.ndim != 2 for array in arrays) or len({a.shape for a in arrays}) > 1:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise RequestError(
            "A signature for :classify must answer with classes and scores of one shape, (batch, "
            f"classes), got {shapes}. Ask with :predict."
        )
    shape = arrays[0].shape
    labels = write_tensor(outputs.get("classes", np.full(shape, b"", object)), "classes")
    scores = write_tensor(outputs.get("scores", np.zeros(shape, np.float32)), "scores")
    return {
        "results": [
            [list(pair) for pair in zip(*row, strict=True)]
            for row in zip(labels, scores, strict=True)
        ]
    }


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestError(f"{name} must be an object of named features, got {shown(value)}.")
    return value


def _serialize(features: Mapping[str, Any], place: str) -> bytes:
    example = tf.train.Example()
    for name, value in features.items():
        wording = f"The feature {shown(name)} of {place}"
        read_string(name, f"The name of a feature of {place}")
        _fill(
            example.features.feature[name], value if isinstance(value, list) else [value], wording
        )
    return bytes(example.SerializeToString())


def _fill(feature: tf.train.Feature, values: list[Any], name: str) -> None:
    """Add values of one kind, as TensorFlow Serving sorts them: bytes, float or int64."""
    kinds = {_kind(value, name) for value in values}
    if len(kinds) > 1:
        raise RequestError(
            f"{name} must hold values of one kind, got {' and '.join(sorted(kinds))}."
        )
    if kinds == {"strings"}:
        feature.bytes_list.value.extend(read_string(value, name) for value in values)
    elif kinds == {"decimals"}:
        feature.float_list.value.extend(values)
    elif kinds == {"whole numbers"}:
        feature.int64_list.value.extend(int(value) for value in values)


def _kind(value: Any, name: str) -> str:
    if isinstance(value, str) or is_base64(value):
        return "strings"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return "whole numbers"
    if isinstance(value, float) and not _FLOAT32_MAX < abs(value) < float("inf"):
        return "decimals"
    raise RequestError(
        f'{name} must hold strings, {{"b64": "..."}}, whole numbers (int64) or decimals (float32), '
        f"got {shown(value)}."
    )
