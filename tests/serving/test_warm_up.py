"""The warm-up requests are the messages that TensorFlow Serving reads, and can be answered."""

from pathlib import Path

import pytest
import tensorflow as tf

from tl_keras.serving.warm_up import FILE_NAME, write_warm_up

prediction_log_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2", reason="tensorflow-serving-api is not installed"
)


def test_requests_can_be_read_and_answered(tmp_path: Path, colour_export: Path) -> None:
    # of a size whose lengths need several bytes
    write_warm_up(tmp_path, image_size=96)
    served = tf.saved_model.load(str(colour_export / "3")).signatures
    records = tf.data.TFRecordDataset(str(tmp_path / FILE_NAME)).as_numpy_iterator()
    batches: dict[str, list[int]] = {}
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record)
        # nothing that is not understood, and nothing that is not written as it should be
        assert log.SerializeToString(deterministic=True) == record
        if log.HasField("predict_log"):
            request = log.predict_log.request
            (files,) = (tf.make_ndarray(request.inputs[name]) for name in ["image_bytes"])
            answer = served[request.model_spec.signature_name](image_bytes=tf.constant(files))
            assert answer["decoded"].numpy().all()
        else:
            request = log.classify_log.request
            files = [e.SerializeToString() for e in request.input.example_list.examples]
            answer = served[request.model_spec.signature_name](inputs=tf.constant(files))
            assert (answer["scores"].numpy().sum(axis=1) > 0.99).all()
        batches.setdefault(request.model_spec.signature_name, []).append(len(files))
    assert batches == {"serving_default": [1, 8], "classify": [1, 8]}
