"""What an exported classifier answers: the graph functions behind its signatures."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tl_keras.data.decoding import resize_image
from tl_keras.data.decoding_graphs import loading
from tl_keras.data.picture_reading import PictureReading
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.models.grad_cam import Parts, take_apart
from tl_keras.serving.decided import Outputs, decide, narrow
from tl_keras.serving.signature_names import (
    BYTES,
    CLASSIFY,
    DECISION,
    DECODED,
    EVIDENCE,
    HEAT_MAPS,
    IMAGE_BYTES,
    IMAGES,
    IMAGES_UINT8,
    PIXELS,
    PLACES,
    PROBABILITIES,
)

_PARALLEL_DECODING = 8

Signatures = dict[str, tf.types.experimental.GenericFunction]


def signatures(
    model: keras.Model,
    labels: Sequence[str],
    image_size: int,
    reading: PictureReading,
    rule: DecisionRule | None = None,
) -> Signatures:
    """The functions of a classifier by signature; see `export_classifier`.

    Args:
        model: as of `export_classifier`.
        labels: in the order of the model's outputs.
        image_size: side of the model's input in pixels.
        reading: how files become pixels.
        rule: as of `export_classifier`.
    """
    classes, parts = tf.constant(list(labels)), _parts(model)
    ask = _answering(model) if parts is None else parts.whole()
    decisions = None if rule is None else tf.constant(rule.names)

    # One function in all signatures: the model is traced and stored once.
    @_traced(tf.TensorSpec((None, image_size, image_size, 3), tf.uint8))
    def seen(pixels: tf.Tensor) -> tuple[Outputs, list[tf.Tensor]]:
        answer, maps = ask(tf.cast(pixels, tf.float32), training=False)
        outputs = decide(narrow(answer), rule)
        probabilities = outputs[PROBABILITIES]
        words = {} if rule is None else {DECISION: tf.gather(decisions, outputs[DECISION])}
        answers = {
            "label": tf.gather(classes, tf.argmax(probabilities, axis=-1)),
            "probability": tf.reduce_max(probabilities, axis=-1),
            **outputs,
            **words,
        }
        return answers, maps

    @_traced(tf.TensorSpec((None,), tf.string))
    def read(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return decode_batch(encoded, image_size, reading)

    def classify(pixels: tf.Tensor) -> Outputs:
        answers: Outputs = seen(pixels)[0]
        return answers

    @_traced(tf.TensorSpec((None,), tf.string))
    def from_files(encoded: tf.Tensor) -> Outputs:
        pixels, decoded = read(encoded)
        return _of_decoded(decoded, classify(pixels))

    @_traced(tf.TensorSpec((None,), tf.string, name=IMAGE_BYTES))
    def from_bytes(image_bytes: tf.Tensor) -> Outputs:
        answers: Outputs = from_files(image_bytes)
        return answers

    @_traced(tf.TensorSpec((None, None, None, 3), tf.float32, name="images"))
    def from_images(images: tf.Tensor) -> Outputs:
        return classify(resize_image(images, image_size, reading.resize))

    @_traced(tf.TensorSpec((None, None, None, 3), tf.uint8, name="images"))
    def from_uint8(images: tf.Tensor) -> Outputs:
        return classify(resize_image(images, image_size, reading.resize))

    @_traced(tf.TensorSpec((None,), tf.string, name="inputs"))
    def from_examples(inputs: tf.Tensor) -> Outputs:
        feature = tf.io.FixedLenFeature((), tf.string, default_value="")
        encoded = tf.io.parse_example(inputs, {IMAGE_BYTES: feature})[IMAGE_BYTES]
        scores = from_files(encoded)[PROBABILITIES]
        order = tf.argsort(scores, direction="DESCENDING", stable=True)
        return {
            "classes": tf.gather(classes, order),
            "scores": tf.gather(scores, order, batch_dims=1),
        }

    functions = {
        BYTES: from_bytes,
        IMAGES: from_images,
        IMAGES_UINT8: from_uint8,
        CLASSIFY: from_examples,
    }
    return functions if parts is None else {**functions, HEAT_MAPS: _explaining(parts, read, seen)}


def _explaining(
    parts: Parts,
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    seen: Callable[[tf.Tensor], tuple[Outputs, list[tf.Tensor]]],
) -> tf.types.experimental.GenericFunction:
    @_traced(tf.TensorSpec((None,), tf.string, name=IMAGE_BYTES))
    def heat_maps(image_bytes: tf.Tensor) -> Outputs:
        pixels, decoded = read(image_bytes)
        answers, maps = seen(pixels)
        evidence = parts.evidence(maps, tf.argmax(answers[PROBABILITIES], axis=-1))
        shown = _of_decoded(decoded, {**answers, EVIDENCE: evidence})
        return {**shown, PIXELS: pixels, PLACES: tf.fill(tf.shape(decoded), parts.places)}

    return heat_maps


def _parts(model: keras.Model) -> Parts | None:
    """None of a model that does more with pixels than to average maps of them."""
    try:
        return take_apart(model)
    except ValueError:
        return None


def _answering(model: keras.Model) -> Callable[..., tuple[Any, list[tf.Tensor]]]:
    """A model that shows no maps, as `Parts.whole` answers."""
    return lambda images, **options: (model(images, **options), [])


def _of_decoded(decoded: tf.Tensor, answers: Outputs) -> Outputs:
    """Answers to the files of a batch, some of which could not be decoded."""
    return {**{name: _only(decoded, values) for name, values in answers.items()}, DECODED: decoded}


def _only(decoded: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Values of the files that could be decoded; of the others 0, or an empty text."""
    rows = tf.reshape(decoded, [-1] + [1] * (len(values.shape) - 1))
    return tf.where(rows, values, tf.zeros((), values.dtype))


def decode_batch(
    encoded: tf.Tensor, size: int, reading: PictureReading
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode the files of a batch, where one that cannot be decoded does not fail the others.

    Args:
        encoded: string (batch,).
        size: side of the results in pixels.
        reading: how files become pixels.

    Returns:
        uint8 (batch, size, size, 3), black where a file could not be decoded; and bool (batch,),
        whether it could.
    """
    count = tf.shape(encoded)[0]
    # Threads cost a millisecond, which a single picture would pay for nothing.
    rows, pixels = tf.cond(
        count > 1,
        lambda: _decodable(encoded, size, reading, _PARALLEL_DECODING),
        lambda: _decodable(encoded, size, reading, None),
    )
    shape = (size, size, 3)
    places = rows[:, tf.newaxis]
    return (
        tf.ensure_shape(tf.scatter_nd(places, pixels, [count, *shape]), (None, *shape)),
        tf.scatter_nd(places, tf.ones_like(rows, tf.bool), count[tf.newaxis]),
    )


def _decodable(
    encoded: tf.Tensor, size: int, reading: PictureReading, parallel: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of the files that can be decoded, int32 (k,), and their pixels.

    An error of a decoding operation ends a graph; only an input pipeline can skip it.
    """
    count, load = tf.size(encoded), loading(size, reading)
    found = (
        tf.data.Dataset.from_tensor_slices((tf.range(count), encoded))
        .map(lambda row, file: (row, load(file)), num_parallel_calls=parallel)
        .ignore_errors()
    )
    # One more, so that a batch without a readable picture is no empty data set, which has no batch.
    end = tf.data.Dataset.from_tensors((count, tf.zeros((size, size, 3), tf.uint8)))
    whole = (
        found.concatenate(end).batch(tf.cast(count, tf.int64) + 1).with_options(_plain_options())
    )
    rows, pixels = whole.get_single_element()
    return rows[:-1], pixels[:-1]


def _plain_options() -> tf.data.Options:
    """A pipeline that runs once is not worth tuning."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.deterministic = True
    return options


def _traced(spec: tf.TensorSpec) -> Callable[..., tf.types.experimental.GenericFunction]:
    return tf.function(input_signature=[spec], autograph=False)
