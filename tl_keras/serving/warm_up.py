"""Requests that TensorFlow Serving replays when it loads a model, so that the first is not slow.

They are `PredictionLog` messages, whose few fields are written here by hand: nothing else needs the
package that defines them, tensorflow-serving-api. The numbers of the fields are those of
prediction_log.proto, predict.proto, classification.proto, model.proto and input.proto in
https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis
"""

from pathlib import Path

import tensorflow as tf

from tl_keras.serving.signature_names import BYTES, CLASSIFY, IMAGE_BYTES

FILE_NAME = "tf_serving_warmup_requests"
BATCHES = (1, 8)

# Numbers of fields: of a PredictionLog, of the log in it, of its request, and of their parts.
_CLASSIFY_LOG, _PREDICT_LOG = 2, 6
_LOG_REQUEST = 1
_MODEL_SPEC, _REQUEST_INPUTS = 1, 2
_SIGNATURE_NAME = 3
_EXAMPLE_LIST = 1
_EXAMPLES = 1


def write_warm_up(folder: Path, image_size: int) -> None:
    """Write requests for every signature that takes files, with one picture and with several.

    Args:
        folder: `assets.extra` of an exported version.
        image_size: side of the pictures in pixels.
    """
    picture = tf.io.encode_jpeg(tf.fill((image_size, image_size, 3), tf.constant(128, tf.uint8)))
    with tf.io.TFRecordWriter(str(folder / FILE_NAME)) as writer:
        for batch in BATCHES:
            writer.write(_predict(picture.numpy(), batch))
            writer.write(_classify(picture.numpy(), batch))


def _predict(picture: bytes, batch: int) -> bytes:
    pictures = tf.make_tensor_proto([picture] * batch).SerializeToString()
    named = _field(1, IMAGE_BYTES.encode()) + _field(2, pictures)
    request = _model(BYTES) + _field(_REQUEST_INPUTS, named)
    return _field(_PREDICT_LOG, _field(_LOG_REQUEST, request))


def _classify(picture: bytes, batch: int) -> bytes:
    example = tf.train.Example()
    example.features.feature[IMAGE_BYTES].bytes_list.value.append(picture)
    examples = _field(_EXAMPLES, example.SerializeToString()) * batch
    request = _model(CLASSIFY) + _field(_REQUEST_INPUTS, _field(_EXAMPLE_LIST, examples))
    return _field(_CLASSIFY_LOG, _field(_LOG_REQUEST, request))


def _model(signature: str) -> bytes:
    return _field(_MODEL_SPEC, _field(_SIGNATURE_NAME, signature.encode()))


def _field(number: int, content: bytes) -> bytes:
    """A field that is text, bytes or a message (https://protobuf.dev/programming-guides/encoding)."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
