"""Tensors as the JSON of TensorFlow Serving writes them.

https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

_LEVELS = 32
_INTEGERS = "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"
_SHOWN_CHARACTERS = 40


class RequestError(Exception):
    """A request cannot be answered as it is; the message says what to change in it."""


@dataclass(frozen=True)
class TensorInfo:
    """What a signature says of one input or output.

    Attributes:
        dtype: As TensorFlow names it, such as "float32" or "string".
        shape: None for a dimension of any size; None as a whole for any number of dimensions.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


def read_tensor(value: Any, info: TensorInfo, name: str) -> np.ndarray:
    """Make an array of nested lists; strings become an array of bytes objects.

    Args:
        value: JSON as Python reads it. A string may be `{"b64": "..."}`.
        info: The input that it is for.
        name: What messages call it.

    Raises:
        RequestError: if its nesting, its shape or one of its values does not fit the input.
    """
    shape, leaves = _flatten(value, name)
    _check_shape(shape, info, name)
    if info.dtype == "string":
        strings = np.empty(len(leaves), object)
        strings[:] = [read_string(leaf, name) for leaf in leaves]
        return strings.reshape(shape)
    return _numbers(leaves, info.dtype, name).reshape(shape)


def write_tensor(array: np.ndarray, name: str) -> Any:
    """Make JSON of an array: nested lists, or one value for an array without dimensions.

    A string is text, or `{"b64": "..."}` if the name of the output ends in `_bytes`. Numbers that
    are not finite become null, where TensorFlow Serving writes `NaN`, which is no JSON.

    Raises:
        RequestError: if JSON has no value of this dtype.
    """
    if array.dtype.kind in "biu":
        return array.tolist()
    if array.dtype.kind == "O":
        return _each(array, _base64 if name.endswith("_bytes") else _text)
    if array.dtype.kind == "f":
        return _each(array, _decimal)
    raise RequestError(
        f"The output {name!r} must be numbers, booleans or strings to be written as JSON, got "
        f"{array.dtype}. Ask for another signature."
    )


def read_string(value: Any, name: str) -> bytes:
    """Return the bytes of a JSON string, or of `{"b64": "..."}`.

    Raises:
        RequestError: if it is neither, is no base64, or is text that has no UTF-8.
    """
    if is_base64(value):
        return _decode(value["b64"], name)
    if isinstance(value, dict) and set(value) == {"b64"}:
        raise RequestError(f'{name}: "b64" must hold base64 text, got {shown(value["b64"])}.')
    if not isinstance(value, str):
        raise RequestError(
            f'{name} must hold strings, as text or as {{"b64": "..."}}, got {shown(value)}.'
        )
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"{name} must hold text without halves of surrogate pairs, got {shown(value)}. "
            'Send bytes as {"b64": "..."}.'
        ) from error


def is_base64(value: Any) -> bool:
    """Whether a JSON value is bytes: an object of one key, `b64`, and a string."""
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def shown(value: Any) -> str:
    """Name a JSON value in a message, however long or deep it is."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        keys = [shown(key) for key in list(value)[:5]]
        return f"an object with the keys {', '.join(keys)}" if keys else "an empty object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _flatten(value: Any, name: str) -> tuple[tuple[int, ...], list[Any]]:
    shape: list[int] = []
    layer = [value]
    while layer and isinstance(layer[0], list):
        sizes = {len(item) if isinstance(item, list) else None for item in layer}
        if len(sizes) > 1:
            found = " and ".join("no list" if size is None else str(size) for size in sizes)
            raise RequestError(
                f"{name} must be lists of one length at every level of nesting, got {found} at "
                f"level {len(shape)}. Send items of another shape one by one."
            )
        shape.append(len(layer[0]))
        layer = list(chain.from_iterable(layer))
    return tuple(shape), layer


def _check_shape(shape: tuple[int, ...], info: TensorInfo, name: str) -> None:
    if len(shape) > _LEVELS:
        raise RequestError(
            f"{name} must be nested at most {_LEVELS} levels deep, got {len(shape)}."
        )
    allowed = info.shape
    if allowed is None:
        return
    if len(shape) != len(allowed) or any(
        size not in (None, got) for size, got in zip(allowed, shape, strict=True)
    ):
        sizes = ["any" if size is None else str(size) for size in allowed]
        raise RequestError(
            f"{name} must have the shape [{', '.join(sizes)}], the number of items first, got "
            f"{list(shape)}."
        )


def _numbers(leaves: Sequence[Any], dtype: str, name: str) -> np.ndarray:
    if dtype == "bool":
        _check_types(leaves, {bool}, "true or false", name)
        return np.array(leaves, np.bool_)
    if dtype in _INTEGERS:
        _check_types(leaves, {int}, f"whole numbers ({dtype})", name)
        return _integers(leaves, dtype, name)
    if dtype in ("float32", "float64"):
        _check_types(leaves, {int, float}, f"numbers ({dtype})", name)
        return _floats(leaves, dtype, name)
    raise RequestError(f"{name} is {dtype}, for which JSON has no values. Use another signature.")


def _check_types(leaves: Sequence[Any], allowed: set[type], wording: str, name: str) -> None:
    if not set(map(type, leaves)) <= allowed:
        wrong = next(leaf for leaf in leaves if type(leaf) not in allowed)
        raise RequestError(f"{name} must hold {wording}, got {shown(wrong)}.")


def _integers(leaves: Sequence[int], dtype: str, name: str) -> np.ndarray:
    lowest, highest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    for extreme in (min(leaves, default=0), max(leaves, default=0)):
        if not lowest <= extreme <= highest:
            raise RequestError(
                f"{name} must hold numbers from {lowest} to {highest} ({dtype}), got "
                f"{shown(extreme)}."
            )
    return np.array(leaves, dtype)


def _floats(leaves: Sequence[float], dtype: str, name: str) -> np.ndarray:
    try:
        values = np.array(leaves, np.float64)
    except OverflowError as error:
        raise RequestError(
            f"{name} must hold numbers that fit {dtype}; one is too large."
        ) from error
    limits = np.finfo(dtype)
    beyond = np.isfinite(values) & (np.abs(values) > float(limits.max))
    # a whole number must be kept exactly, as TensorFlow Serving demands
    large = np.flatnonzero(np.abs(values) >= 2 ** (limits.nmant + 1)).tolist()
    for i in large:
        if beyond[i] or isinstance(leaves[i], int):
            raise RequestError(
                f"{name} must hold numbers that {dtype} holds without loss, got {shown(leaves[i])}."
            )
    return values.astype(dtype)


def _decode(text: str, name: str) -> bytes:
    try:
        compact = re.sub(r"\s", "", text).rstrip("=")
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except ValueError as error:
        raise RequestError(
            f"{name} must hold base64 in its standard alphabet (A-Z, a-z, 0-9, + and /), got "
            f"{shown(text)}. On a command line, base64 -w0 FILE writes it."
        ) from error


def _each(array: np.ndarray, write: Any) -> Any:
    written = np.empty(array.shape, object)
    # by index: an object written must not be taken for a sequence
    for place in np.ndindex(array.shape):
        written[place] = write(array[place])
    return written.tolist()


def _base64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _decimal(number: np.floating[Any]) -> float | None:
    # the shortest decimal that is this number in its own precision: 0.1, not 0.10000000149
    return float(str(number)) if np.isfinite(number) else None
