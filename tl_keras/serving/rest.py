"""Requests and answers of TensorFlow Serving's REST API, without the HTTP.

https://www.tensorflow.org/tfx/serving/api_rest
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tl_keras.serving.json_tensors import (
    RequestError,
    TensorInfo,
    is_base64,
    read_tensor,
    shown,
    write_tensor,
)

DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class PredictRequest:
    """The arrays of a request.

    Attributes:
        arrays: By the name of the input; strings are bytes objects.
        by_rows: Whether the answer is to list predictions, not outputs.
    """

    arrays: Mapping[str, np.ndarray]
    by_rows: bool


def read_object(body: bytes) -> dict[str, Any]:
    """Read the JSON object that every request must be.

    Raises:
        RequestError: if the body is something else.
    """
    if not body.strip():
        raise RequestError(
            'The request must be a JSON object such as {"instances": [...]}, got an empty body.'
        )
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except RecursionError as error:
        raise RequestError("The request's JSON must not be nested this deeply.") from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f'The request must be UTF-8, got another byte at {error.start}. Send files as {{"b64": '
            '"..."}.'
        ) from error
    except json.JSONDecodeError as error:
        raise RequestError(
            f"The request must be JSON, got {error.msg} at line {error.lineno}, column "
            f"{error.colno}."
        ) from error
    except ValueError as error:
        raise RequestError("The request's numbers must not have this many digits.") from error
    if not isinstance(value, dict):
        raise RequestError(
            f'The request must be a JSON object such as {{"instances": [...]}}, got {shown(value)}.'
        )
    return value


def signature_name(request: Mapping[str, Any]) -> str:
    """Return which signature a request asks for.

    Raises:
        RequestError: if the name is no string.
    """
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(f"signature_name must be a string, got {shown(name)}.")
    return name or DEFAULT_SIGNATURE


def read_predict(
    request: Mapping[str, Any], inputs: Mapping[str, TensorInfo], max_batch: int
) -> PredictRequest:
    """Read the arrays of a `:predict` request, `instances` or `inputs`.

    Raises:
        RequestError: if it has neither or both, holds more than `max_batch` items, or does not fit
            the inputs.
    """
    given = {"instances", "inputs"} & set(request)
    if len(given) != 1:
        raise RequestError(
            'The request must have one of the keys "instances" (row format) and "inputs" (column '
            f"format), got {'both' if given else shown(request)}."
        )
    by_rows = "instances" in given
    if by_rows:
        named = _columns_of_rows(request["instances"], inputs, max_batch)
    else:
        named = _named_columns(request["inputs"], inputs)
    arrays = {}
    for name, value in named.items():
        if isinstance(value, list):
            check_batch(value, max_batch, f"inputs[{name!r}]")
        arrays[name] = read_tensor(value, inputs[name], f"The input {name!r}")
    return PredictRequest(arrays, by_rows)


def check_batch(items: list[Any], max_batch: int, name: str) -> None:
    """Refuse more items than one request may have.

    Raises:
        RequestError: if there are more.
    """
    if len(items) > max_batch:
        raise RequestError(
            f"{name} must hold at most {max_batch} items, got {len(items)}. Send several requests, "
            "or start the server with a larger --max-batch."
        )


def write_predict(outputs: Mapping[str, np.ndarray], by_rows: bool) -> dict[str, Any]:
    """Write the answer to a `:predict` request: `predictions` by rows, else `outputs`.

    One output is written without its name.

    Raises:
        RequestError: if rows are asked for and the outputs do not have one row per item.
    """
    written = {name: write_tensor(array, name) for name, array in outputs.items()}
    if not by_rows:
        return {"outputs": next(iter(written.values())) if len(written) == 1 else written}
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) != 1 or sizes == {()}:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise RequestError(
            f"Row format needs outputs with one row per item, got the shapes {shapes}. "
            'Ask with "inputs" instead of "instances".'
        )
    if len(written) == 1:
        return {"predictions": next(iter(written.values()))}
    rows = zip(*written.values(), strict=True)
    return {"predictions": [dict(zip(written, row, strict=True)) for row in rows]}


def _columns_of_rows(
    instances: Any, inputs: Mapping[str, TensorInfo], max_batch: int
) -> dict[str, Any]:
    if not isinstance(instances, list) or not instances:
        raise RequestError(
            f"instances must be a list of at least one item, got {shown(instances)}."
        )
    check_batch(instances, max_batch, "instances")
    if len({_is_named(item) for item in instances}) > 1:
        raise RequestError("instances must be all objects of named inputs or all values, got both.")
    if not _is_named(instances[0]):
        return {_only(inputs, "an item of instances"): instances}
    for number, item in enumerate(instances):
        if set(item) != set(inputs):
            raise RequestError(
                f"Item {number} of instances must have exactly the keys {_names(inputs)}, got "
                f"{shown(item)}."
            )
    return {name: [item[name] for item in instances] for name in inputs}


def _named_columns(value: Any, inputs: Mapping[str, TensorInfo]) -> dict[str, Any]:
    if not _is_named(value):
        return {_only(inputs, "inputs"): value}
    missing = [name for name in inputs if name not in value]
    if missing:
        raise RequestError(
            f"inputs must have the keys {_names(inputs)}; {missing[0]!r} is missing, got "
            f"{shown(value)}."
        )
    return {name: value[name] for name in inputs}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _only(inputs: Mapping[str, TensorInfo], place: str) -> str:
    if len(inputs) != 1:
        raise RequestError(
            f"{place} must be an object with the keys {_names(inputs)}, because the signature has "
            f"{len(inputs)} inputs."
        )
    return next(iter(inputs))


def _names(inputs: Mapping[str, TensorInfo]) -> str:
    return ", ".join(repr(name) for name in inputs)
