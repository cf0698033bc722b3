"""Requests that TensorFlow Serving replays when it loads a model, so that the first is not slow."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tl_keras.serving.signature_names import BYTES, CLASSIFY, IMAGE_BYTES

FILE_NAME = "tf_serving_warmup_requests"
BATCHES = (1, 8)


def write_warm_up(folder: Path, image_size: int) -> None:
    """Write requests for every signature that takes files, with one picture and with several.

    Args:
        folder: `assets.extra` of an exported version.
        image_size: side of the pictures in pixels.
    """
    picture = tf.io.encode_jpeg(tf.fill((image_size, image_size, 3), tf.constant(128, tf.uint8)))
    with tf.io.TFRecordWriter(str(folder / FILE_NAME)) as writer:
        for batch in BATCHES:
            writer.write(_predict(picture.numpy(), batch).SerializeToString())
            writer.write(_classify(picture.numpy(), batch).SerializeToString())


def _predict(picture: bytes, batch: int) -> PredictionLog:
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = BYTES
    request.inputs[IMAGE_BYTES].CopyFrom(tf.make_tensor_proto([picture] * batch))
    return log


def _classify(picture: bytes, batch: int) -> PredictionLog:
    log = PredictionLog()
    request = log.classify_log.request
    request.model_spec.signature_name = CLASSIFY
    for _ in range(batch):
        example = request.input.example_list.examples.add()
        example.features.feature[IMAGE_BYTES].bytes_list.value.append(picture)
    return log
