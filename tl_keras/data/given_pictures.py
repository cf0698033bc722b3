"""Pictures and labels that are handed over in memory: arrays, or a `tf.data.Dataset`."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from tl_keras.config.schema import ResizeMode
from tl_keras.data.decoding import resize_image
from tl_keras.data.given_labels import as_text, given_labels
from tl_keras.errors import PicturesError
from tl_keras.safe_text import brief

Label = int | str

# Of a dataset that does not know its length, and may have no end.
MOST_UNCOUNTED = 50_000
_CHANNELS = (1, 3)
_SCALED = (
    "they look scaled to 0..1. Multiply them by 255, or leave the scaling out: the network's own "
    "scaling is part of every model here."
)


@dataclass(frozen=True)
class GivenPicture:
    """One picture.

    Attributes:
        pixels: uint8 (height, width, 1) gray or (height, width, 3) RGB.
        label: number or name of its class.
        group: what it belongs to, such as the part that was photographed; None is nothing.
        row: of the array or list that it is from; None of a dataset, which may shuffle.
    """

    pixels: np.ndarray
    label: Label
    group: str | None = None
    row: int | None = None


def given_pictures(
    x: Any, y: Any = None, groups: Any = None, *, named: bool = True
) -> Iterator[GivenPicture]:
    """Labelled pictures one after the other, each checked when its turn comes.

    Args:
        x: pictures as `given_pixels` takes them; or a finite `tf.data.Dataset` of (image, label),
            batched or not, such as `keras.utils.image_dataset_from_directory` returns.
        y: labels of an array as `given_labels` takes them; None for a dataset.
        groups: (n,), what each picture of an array belongs to; None is nothing.
        named: whether a dataset's `class_names`, where it has them, stand for its numbers.

    Raises:
        PicturesError: something is not as it must be.
    """
    if is_dataset(x):
        if y is not None or groups is not None:
            raise PicturesError(
                "A tf.data.Dataset must hold the labels itself, as (image, label), and has no "
                "groups; got y or groups beside it. Leave them out, or give arrays."
            )
        yield from _not_all_dark(_of_dataset(x, named))
        return
    labels, names = labels_and_groups(x, y, groups)
    for row, (pixels, label, name) in enumerate(zip(given_pixels(x), labels, names, strict=True)):
        yield GivenPicture(pixels, label, name, row)


def labels_and_groups(
    x: Any, y: Any, groups: Any = None
) -> tuple[list[Label], Sequence[str | None]]:
    """Of pictures, or of their paths, one of each.

    Args:
        x: as many of them.
        y: labels as `given_labels` takes them.
        groups: (n,), what each picture belongs to; None is nothing.

    Raises:
        PicturesError: something is not as it must be.
    """
    if y is None:
        raise PicturesError("y must be given with arrays: one label per picture; got none.")
    labels, names = given_labels(y), None if groups is None else _group_names(groups)
    for name, values in {"y": labels, "groups": names}.items():
        if values is not None and len(values) != len(x):
            raise PicturesError(
                f"{name} must be as long as x; got {len(values)} for {len(x)} pictures. Give one "
                "for each picture."
            )
    return labels.tolist(), [None] * len(x) if names is None else names


def are_paths(x: Any) -> bool:
    """Whether pictures are named by their files, and not given by their pixels."""
    listed = isinstance(x, Sequence | np.ndarray | pd.Series) and not isinstance(x, str | bytes)
    return listed and len(x) > 0 and all(isinstance(each, str | os.PathLike) for each in x)


def given_pixels(x: Any) -> Iterator[np.ndarray]:
    """Pictures as 8-bit pixels, one after the other, each checked when its turn comes.

    Args:
        x: (n, height, width, 3) RGB, (n, height, width, 1) or (n, height, width) gray; or a list of
            such pictures, of any sizes. Whole numbers 0..255, or floats in that range, which are
            rounded.

    Yields:
        uint8 (height, width, 3) or (height, width, 1).

    Raises:
        PicturesError: these are no pictures, or their pixels are not in 0..255 or all in 0..1.
    """
    pictures, brightest = as_pictures(x), None
    if isinstance(pictures, np.ndarray) and _is_dark(pictures):
        _refuse_dark(1)
    for place, picture in enumerate(pictures):
        pixels = as_pixels(picture, f"x[{place}]")
        brightest = max(brightest or 0, int(pixels.max()))
        yield pixels
    _refuse_dark(brightest)


def as_pixels(picture: Any, name: str) -> np.ndarray:
    """One picture, uint8 (height, width, 1 or 3).

    Args:
        picture: (height, width), (height, width, 1) or (height, width, 3), 0..255.
        name: of it, for messages.

    Raises:
        PicturesError: it has another shape, type or range.
    """
    if isinstance(picture, str | os.PathLike):
        raise PicturesError(
            f"{name} must be a picture; got the path {brief(str(picture))}. Read it first, such as "
            'by np.asarray(PIL.Image.open(path).convert("RGB")).'
        )
    values = np.asarray(picture)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in _CHANNELS or not values.size:
        first = values.ndim == 3 and values.shape[0] in _CHANNELS
        mend = f" The colours come last: np.moveaxis({name}, 0, -1)." if first else ""
        raise PicturesError(
            f"{name} must be a picture: (height, width, 3) RGB, or (height, width) or (height, "
            f"width, 1) gray; got the shape {np.shape(picture)}.{mend}"
        )
    if values.dtype.kind not in "uif":
        raise PicturesError(f"{name} must hold numbers, 0..255; got the type {values.dtype}.")
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 255):
        got = "NaN" if np.isnan(low) else f"{low:g} to {high:g}"
        raise PicturesError(
            f"{name} must hold pixels 0..255; got {got}. Give them as they were read, before any "
            "scaling or standardisation."
        )
    if high <= 1 and np.any(values % 1):
        raise PicturesError(f"{name} must hold pixels 0..255; got {low:g} to {high:g}: {_SCALED}")
    return np.rint(values).astype(np.uint8)


def is_dataset(x: Any) -> bool:
    """Whether it is a `tf.data.Dataset`."""
    import tensorflow as tf

    return isinstance(x, tf.data.Dataset)


def resized(pictures: Iterable[np.ndarray], image_size: int, resize: ResizeMode) -> np.ndarray:
    """Pictures at the input size of a network, as the experiment resizes files.

    Args:
        pictures: uint8 (height, width, 1 or 3) each.
        image_size: height and width of the result, pixels.
        resize: "stretch", "pad" or "crop".

    Returns:
        uint8 (n, image_size, image_size, 3).

    Raises:
        PicturesError: there are none.
    """
    change = _resizing(image_size, resize)
    pixels = [change(np.broadcast_to(p, (*p.shape[:2], 3))).numpy() for p in pictures]
    if not pixels:
        raise PicturesError("x must hold pictures; got none.")
    return np.stack(pixels)


@cache
def _resizing(image_size: int, resize: ResizeMode) -> Any:
    import tensorflow as tf

    return tf.function(
        lambda image: resize_image(image, image_size, resize),
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)],
        autograph=False,
    )


def _of_dataset(dataset: Any, named: bool) -> Iterator[GivenPicture]:
    import tensorflow as tf

    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        held = f"a tuple of {len(spec)}" if isinstance(spec, tuple) else type(spec).__name__
        raise PicturesError(
            f"A tf.data.Dataset must hold (image, label); got {held}. Bring it to that by map(), "
            "and call image_dataset_from_directory with labels."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise PicturesError(
            "A tf.data.Dataset must be finite; got one that repeats for ever. Take repeat() out: "
            "training goes over the images as often as it needs."
        )
    unknown = int(dataset.cardinality()) == tf.data.UNKNOWN_CARDINALITY
    names, done = getattr(dataset, "class_names", None) if named else None, 0
    for images, labels in dataset.as_numpy_iterator():
        batch, marks = _as_batch(images, labels)
        for pixels, label in zip(batch, given_labels(marks, names), strict=True):
            if unknown and done == MOST_UNCOUNTED:
                raise PicturesError(
                    f"A tf.data.Dataset that does not know its length is read up to {done} "
                    "pictures, for it may never end; got more. Cut it with take(n), or state its "
                    "length with tf.data.experimental.assert_cardinality(n)."
                )
            yield GivenPicture(as_pixels(pixels, f"image {done} of the dataset"), label.item())
            done += 1


def _as_batch(images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """An element of a dataset, which is a batch or a single image, as a batch."""
    if not isinstance(images, np.ndarray) or images.dtype == object:
        raise PicturesError(
            "The images of a tf.data.Dataset must be dense tensors; got ragged or sparse ones. "
            "Pictures of several sizes must come one at a time: leave the batches out."
        )
    batched = images.ndim == 4 or (images.ndim == 3 and images.shape[-1] not in _CHANNELS)
    return (images, np.asarray(labels)) if batched else (images[None], np.asarray(labels)[None])


def _not_all_dark(pictures: Iterable[GivenPicture]) -> Iterator[GivenPicture]:
    brightest: int | None = None
    for picture in pictures:
        brightest = max(brightest or 0, int(picture.pixels.max()))
        yield picture
    _refuse_dark(brightest)


def _is_dark(values: np.ndarray) -> bool:
    """Whether a set is dark as a whole, which is known before the first of it is used."""
    if not values.size or values.dtype.kind not in "uif":
        return False
    return bool(values.min() >= 0 and values.max() <= 1)


def _refuse_dark(brightest: int | None) -> None:
    if brightest is not None and brightest <= 1:
        raise PicturesError(f"Pixels must be 0..255; got none above {brightest}: {_SCALED}")


def as_pictures(x: Any) -> Sequence[Any] | np.ndarray:
    """Pictures one by one, unchecked, of all that `given_pixels` takes.

    Raises:
        PicturesError: it is nothing of the kind.
    """
    if isinstance(x, list | tuple):
        return x
    values = np.asarray(x)
    if values.dtype == object and values.ndim == 1:
        return list(values)
    if values.ndim not in (3, 4):
        raise PicturesError(
            "x must be pictures: (n, height, width, 3) RGB, or (n, height, width, 1) or (n, "
            f"height, width) gray, or a list of pictures; got the shape {values.shape}."
        )
    return values


def _group_names(groups: Any) -> list[str]:
    values = np.asarray(groups)
    if values.ndim != 1 or any(group is None or group != group for group in values.tolist()):
        raise PicturesError(
            "groups must be (n,), a name or number for every picture and none missing; got "
            f"{'a missing one' if values.ndim == 1 else f'the shape {values.shape}'}."
        )
    return [as_text(group) for group in values.tolist()]
