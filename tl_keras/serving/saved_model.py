"""A trained classifier as a SavedModel that answers with class names.

<directory>/
    1/                      one version, the layout of TensorFlow Serving
        saved_model.pb
        variables/
        assets.extra/
            labels.txt                  a class name per line, in the order of probabilities
            picture_reading.json        how it makes pixels of a file
            tf_serving_warmup_requests  replayed by TensorFlow Serving when it loads the model
    2/
    latest                  the number of the newest version
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tl_keras.atomic_files import scratch_folder
from tl_keras.data.picture_reading import PictureReading
from tl_keras.errors import ExportError
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.quiet import few_notes
from tl_keras.serving.checksums import write_checksums
from tl_keras.serving.class_names import unusable_names
from tl_keras.serving.decided import named
from tl_keras.serving.reading_record import write_reading
from tl_keras.serving.signature_names import CLASSIFY, FAMILIAR, PROBABILITIES
from tl_keras.serving.signatures import Signatures, signatures
from tl_keras.serving.versions import EXTRA, LABELS_FILE, publish
from tl_keras.serving.warm_up import write_warm_up

_PROBE_IMAGES = 16
_PROBE_TOLERANCE = 1e-5


def export_classifier(
    model: keras.Model,
    *,
    labels: Sequence[str],
    image_size: int,
    reading: PictureReading,
    directory: Path,
    rule: DecisionRule | None = None,
    complete: Callable[[Path], None] = lambda version: None,
) -> Path:
    """Write the model, with decoding, resizing and class names inside, as the next version.

    Neither Keras nor Python is needed to run it. Its signatures:

    - `serving_default`: `image_bytes`, string (batch,), files as `decode_image` takes them;
    - `serving_images`: `images`, float32 (batch, height, width, 3), any size, 0..255;
    - `serving_images_uint8`: the same as uint8;
    - `heat_maps`: `image_bytes`, as the first; only of a network that reads nothing but averages of
      feature maps and ends in a Softmax layer;
    - `classify`: `inputs`, string (batch,), serialized `tf.train.Example` with the feature
      `image_bytes`, for the Classify API of TensorFlow Serving.

    The first three answer `label`, string (batch,), the most probable class; `probability`, float32
    (batch,), that of the label; `probabilities`, float32 (batch, classes), in the order of
    `labels`; with a rule `decision`, string (batch,), one of `DecisionRule.names`, and
    `confidence`, float32 (batch,), the label's calibrated probability; and `familiar`, float32
    (batch,), where the network tells strangers. The first also answers `decoded`, bool (batch,): a
    file that could not be decoded has empty texts and numbers of 0, and does not disturb the
    others. `heat_maps` answers all that the first does, and as `HeatMaps` has them `evidence`,
    float32 (batch, image_size, image_size), `pixels`, uint8 (batch, image_size, image_size, 3), and
    `places`, int32 (batch,). `classify` answers `classes`, string (batch, classes), and their
    `scores`, float32, from the most probable on.

    Args:
        model: Inference only: float32 (batch, image_size, image_size, 3), 0..255, to probabilities
            (batch, classes), or to a dict of these, `probabilities`, and `familiar`, 0..1 (batch,).
        labels: Class names in the order of the model's outputs.
        image_size: Side of the model's input in pixels.
        reading: How files become pixels, as in training.
        directory: Holds the versions; created if absent.
        rule: How it decides; None leaves decisions and confidences out.
        complete: Called with the folder of the version before it is published, to check it or to
            add to it; what it raises leaves no version behind.

    Returns:
        `<directory>/<version>`, where version is one above the highest there, or 1. It appears
        under that name only when it is complete, and `<directory>/latest` names it afterwards.

    Raises:
        ExportError: if the model has another number of classes than `labels`, another input size,
            answers differently when called twice, or its outputs are no probabilities; if `labels`
            cannot be used; or if the rule is for others.
    """
    check_labels(labels)
    check_rule(rule, labels)
    check_model(model, len(labels), image_size)
    functions = signatures(model, labels, image_size, reading, rule)
    directory.mkdir(parents=True, exist_ok=True)
    with scratch_folder(directory) as scratch:
        unfinished = scratch / "model"
        _write(model, functions, unfinished)
        _add_extra(unfinished / EXTRA, labels, image_size)
        write_reading(unfinished / EXTRA, reading)
        complete(unfinished)
        write_checksums(unfinished)
        return publish(unfinished, directory)


def check_labels(labels: Sequence[str]) -> None:
    if fault := unusable_names(labels):
        raise ExportError(f"labels {fault}. Rename the class.")


def check_rule(rule: DecisionRule | None, labels: Sequence[str]) -> None:
    if rule is not None and rule.classes != tuple(labels):
        raise ExportError(
            f"The rule must be for the classes of the model, {', '.join(labels)}, in their order; "
            f"got one for {', '.join(rule.classes)}."
        )


def check_model(model: keras.Model, classes: int, image_size: int) -> None:
    takes = tuple(model.input_shape)
    if takes != (None, image_size, image_size, 3):
        raise ExportError(
            f"The model must take images of shape {(None, image_size, image_size, 3)}, got {takes}."
        )
    first, second = (_answer_probe(model, image_size) for _ in range(2))
    _check_shapes(first, classes)
    difference = float(np.max([np.abs(first[name] - second[name]).max() for name in first]))
    if not difference <= _PROBE_TOLERANCE:
        raise ExportError(
            f"The model must answer the same when called twice, got a difference of "
            f"{difference:.2g}: leave augmentation and other random layers out of the exported "
            "model."
        )
    probabilities, familiar = first[PROBABILITIES], first.get(FAMILIAR, np.zeros(1))
    if probabilities.min() < 0 or np.max(np.abs(probabilities.sum(axis=1) - 1)) > 1e-3:
        raise ExportError(
            "The model's outputs must be probabilities that sum to 1, got "
            f"{probabilities[0].tolist()}: end it with a softmax."
        )
    if familiar.min() < 0 or familiar.max() > 1:
        raise ExportError(
            f"The model's output {FAMILIAR!r} must lie in 0..1, got {familiar.tolist()}."
        )


def _check_shapes(answers: Mapping[str, np.ndarray], classes: int) -> None:
    shapes = {name: (None, *values.shape[1:]) for name, values in answers.items()}
    given = shapes.pop(PROBABILITIES, None)
    if given != (None, classes):
        raise ExportError(
            f"The model must answer with one probability per label, shape {(None, classes)}, "
            f"got {given}."
        )
    if shapes not in ({}, {FAMILIAR: (None,)}):
        raise ExportError(
            f"Beside {PROBABILITIES!r} the model may answer {FAMILIAR!r}, shape (None,), and "
            f"nothing else; got {shapes}."
        )


def _answer_probe(model: keras.Model, image_size: int) -> dict[str, np.ndarray]:
    """Classify random pictures, the same each time, as a caller would who says nothing of training.

    Coarse squares: flips, shifts and changes of brightness alter them more than they alter noise.
    """
    squares = np.random.default_rng(0).uniform(0, 255, size=(_PROBE_IMAGES, 4, 4, 3))
    pictures = tf.image.resize(squares, (image_size, image_size), method="nearest")
    answers = named(model(tf.cast(pictures, tf.float32)))
    return {name: np.asarray(values, np.float32) for name, values in answers.items()}


def _write(model: keras.Model, functions: Signatures, folder: Path) -> None:
    served = tf.Module(name="classifier")
    # The plain TensorFlow variables: a tracked Keras model would bring its own functions along.
    served.model_variables = [variable.value for variable in model.variables]
    # in a notebook TensorFlow tells where it writes
    with few_notes():
        tf.saved_model.save(served, str(folder), signatures=functions)
    # TensorFlow names every signature one of the Predict API; the Classify API asks for its own.
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    updater.replace_method_name(CLASSIFY, tf.saved_model.CLASSIFY_METHOD_NAME)
    updater.save()


def _add_extra(extra: Path, labels: Sequence[str], image_size: int) -> None:
    extra.mkdir()
    extra.joinpath(LABELS_FILE).write_text("".join(f"{label}\n" for label in labels), "utf-8")
    write_warm_up(extra, image_size)
