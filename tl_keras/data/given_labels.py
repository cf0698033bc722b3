"""Labels that are handed over in memory: numbers, names or one-hot rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tl_keras.data.listing import some_of
from tl_keras.errors import PicturesError


def given_labels(y: Any, class_names: Sequence[str] | None = None) -> np.ndarray:
    """Labels as whole numbers or names.

    Args:
        y: (n,) whole numbers or names, (n, 1) the same, or (n, classes) one-hot.
        class_names: what the numbers stand for; None leaves them.

    Returns:
        int64 or str, (n,).

    Raises:
        PicturesError: `y` is anything else.
    """
    values = _one_per_picture(np.asarray(y))
    kind = values.dtype.kind
    if kind == "b":
        values = np.array(["False", "True"])[values.astype(int)]
    elif kind == "S":
        values = np.char.decode(values, "utf-8")
    elif kind == "f" and np.all(values % 1 == 0):
        values = values.astype(np.int64)
    elif kind == "O" and all(isinstance(label, str | bytes) for label in values):
        values = np.array([as_text(label) for label in values], dtype=str)
    elif kind == "O" and all(isinstance(label, int | np.integer) for label in values):
        values = values.astype(np.int64)
    elif kind not in "iuU":
        got = "NaN, or numbers with a fraction" if kind == "f" else f"the type {values.dtype}"
        if kind == "O":
            got = " and ".join(sorted({type(label).__name__ for label in values}))
        raise PicturesError(
            f"y must hold whole numbers or names, one per picture and none missing; got {got}."
        )
    if values.dtype.kind == "U":
        if not np.char.str_len(np.char.strip(values)).all():
            raise PicturesError("y must name a class for every picture; got an empty name.")
        return values
    numbers = values.astype(np.int64)
    return numbers if class_names is None else _named(numbers, class_names)


def _one_per_picture(values: np.ndarray) -> np.ndarray:
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim == 2 and values.dtype.kind in "buif":
        if not np.all((values == 0) | (values == 1)) or not np.all(values.sum(axis=1) == 1):
            raise PicturesError(
                "y of the shape (n, classes) must be one-hot: a single 1 in every row, and 0 "
                "elsewhere; got other rows. Give one class per picture."
            )
        return values.argmax(axis=1)
    if values.ndim != 1:
        raise PicturesError(
            f"y must be (n,) labels or (n, classes) one-hot; got the shape {values.shape}."
        )
    return values


def _named(numbers: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    outside = np.unique(numbers[(numbers < 0) | (numbers >= len(class_names))])
    if len(outside):
        raise PicturesError(
            f"Labels must be 0..{len(class_names) - 1}, one for each of the {len(class_names)} "
            f"class names; got {some_of(map(str, outside))}."
        )
    return np.array(class_names, dtype=str)[numbers]


def as_text(value: Any) -> str:
    """A name, of text or of UTF-8 bytes as TensorFlow gives them."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
