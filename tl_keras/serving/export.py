"""A trained classifier as a SavedModel that answers with class names.

<directory>/
    1/                      one version, the layout of TensorFlow Serving
        saved_model.pb
        variables/
        assets.extra/labels.txt
    2/
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import tensorflow as tf

from tl_keras.data.decoding import ResizeMode, load_pixels, resize_image
from tl_keras.errors import ExportError

BYTES_SIGNATURE = "serving_default"
IMAGES_SIGNATURE = "serving_images"

_PROBE_IMAGES = 16
_PROBE_TOLERANCE = 1e-5


def export_classifier(
    model: keras.Model,
    *,
    labels: Sequence[str],
    image_size: int,
    resize: ResizeMode,
    directory: Path,
) -> Path:
    """Write the model, with decoding, resizing and class names inside, as the next version.

    Neither Keras nor Python is needed to run it. Its signatures:

    - `serving_default`: `image_bytes`, string (batch,), files as `decode_image` takes them;
    - `serving_images`: `images`, float32 (batch, height, width, 3), any size, 0..255.

    Both answer `label`, string (batch,), the most probable class; `probability`, float32 (batch,),
    that of the label; `probabilities`, float32 (batch, classes), in the order of `labels`.

    Args:
        model: Inference only: float32 (batch, image_size, image_size, 3), 0..255, to probabilities
            (batch, classes).
        labels: Class names in the order of the model's outputs.
        image_size: Side of the model's input in pixels.
        resize: As in `resize_image`; the mode used in training.
        directory: Holds the versions; created if absent.

    Returns:
        `<directory>/<version>`, where version is one above the highest there, or 1. It appears
        under that name only when it is complete.

    Raises:
        ExportError: if the model has another number of classes than `labels`, another input size,
            answers differently when called twice, or its outputs are no probabilities; or if
            `labels` or `resize` cannot be used.
    """
    check_labels(labels)
    if resize not in get_args(ResizeMode):
        raise ExportError(f"resize must be one of {get_args(ResizeMode)}, got {resize!r}.")
    check_model(model, len(labels), image_size)
    signatures = _signatures(model, labels, image_size, resize)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing_", dir=directory) as scratch:
        # A folder inside, because the temporary one itself is closed to other users.
        unfinished = Path(scratch) / "model"
        _write(model, signatures, labels, unfinished)
        return _publish(unfinished, directory)


def latest_version(directory: Path) -> Path:
    """Return the folder of the highest version in `directory`.

    Raises:
        ExportError: if there is none.
    """
    versions = _versions(directory)
    if not versions:
        raise ExportError(
            f"No exported model in {directory}: it must hold a folder named by a version number, "
            "such as 1. Export a model first."
        )
    return versions[max(versions)]


def _versions(directory: Path) -> dict[int, Path]:
    if not directory.is_dir():
        return {}
    return {int(path.name): path for path in directory.iterdir() if path.name.isdecimal()}


def check_labels(labels: Sequence[str]) -> None:
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ExportError(f"labels must be two or more different names, got {list(labels)}.")
    broken = [label for label in labels if not label or len(label.splitlines()) != 1]
    if broken:
        raise ExportError(f"A label must be one line of text, got {broken[0]!r}: rename the class.")


def check_model(model: keras.Model, classes: int, image_size: int) -> None:
    takes, gives = tuple(model.input_shape), tuple(model.output_shape)
    if takes != (None, image_size, image_size, 3):
        raise ExportError(
            f"The model must take images of shape {(None, image_size, image_size, 3)}, got {takes}."
        )
    if gives != (None, classes):
        raise ExportError(
            f"The model must answer with one probability per label, shape {(None, classes)}, "
            f"got {gives}."
        )
    first, second = (_answer_probe(model, image_size) for _ in range(2))
    difference = float(np.max(np.abs(first - second)))
    if not difference <= _PROBE_TOLERANCE:
        raise ExportError(
            f"The model must answer the same when called twice, got a difference of "
            f"{difference:.2g}: leave augmentation and other random layers out of the exported "
            "model."
        )
    if first.min() < 0 or np.max(np.abs(first.sum(axis=1) - 1)) > 1e-3:
        raise ExportError(
            "The model's outputs must be probabilities that sum to 1, got "
            f"{first[0].tolist()}: end it with a softmax."
        )


def _answer_probe(model: keras.Model, image_size: int) -> np.ndarray:
    """Classify random pictures, the same each time, as a caller would who says nothing of training.

    Coarse squares: flips, shifts and changes of brightness alter them more than they alter noise.
    """
    squares = np.random.default_rng(0).uniform(0, 255, size=(_PROBE_IMAGES, 4, 4, 3))
    pictures = tf.image.resize(squares, (image_size, image_size), method="nearest")
    return np.asarray(model(tf.cast(pictures, tf.float32)), np.float32)


def _signatures(
    model: keras.Model, labels: Sequence[str], image_size: int, resize: ResizeMode
) -> dict[str, tf.types.experimental.GenericFunction]:
    # One function in both signatures: the model is traced and stored once.
    @tf.function(input_signature=[tf.TensorSpec((None, image_size, image_size, 3), tf.uint8)])
    def classify(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)
        return {
            "label": tf.gather(tf.constant(list(labels)), tf.argmax(probabilities, axis=-1)),
            "probability": tf.reduce_max(probabilities, axis=-1),
            "probabilities": probabilities,
        }

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def from_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.map_fn(
            lambda encoded: load_pixels(encoded, image_size, resize),
            image_bytes,
            fn_output_signature=tf.TensorSpec((image_size, image_size, 3), tf.uint8),
        )
        return classify(pixels)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32, name="images")])
    def from_images(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return classify(resize_image(images, image_size, resize))

    return {BYTES_SIGNATURE: from_bytes, IMAGES_SIGNATURE: from_images}


def _write(
    model: keras.Model,
    signatures: dict[str, tf.types.experimental.GenericFunction],
    labels: Sequence[str],
    folder: Path,
) -> None:
    served = tf.Module(name="classifier")
    # The plain TensorFlow variables: a tracked Keras model would bring its own functions along.
    served.model_variables = [variable.value for variable in model.variables]
    tf.saved_model.save(served, str(folder), signatures=signatures)
    extra = folder / "assets.extra"
    extra.mkdir()
    extra.joinpath("labels.txt").write_text("".join(f"{label}\n" for label in labels), "utf-8")


def _publish(unfinished: Path, directory: Path) -> Path:
    """Move a complete model to the next free number, which another process may take meanwhile."""
    while True:
        target = directory / str(max(_versions(directory), default=0) + 1)
        try:
            unfinished.replace(target)
        except OSError:
            if not target.exists():
                raise
        else:
            return target
