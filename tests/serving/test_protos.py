"""The signatures fit the requests and answers that TensorFlow Serving publishes as protos."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed")

from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResult
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from tl_keras.serving.served_model import load_model
from tl_keras.serving.versions import find_version

PICTURE = bytes(tf.io.encode_png(np.full((5, 6, 3), [255, 0, 0], np.uint8)).numpy())
INPUTS = {
    "serving_default": ("image_bytes", np.array([PICTURE, b"?"], object)),
    "heat_maps": ("image_bytes", np.array([PICTURE, b"?"], object)),
    "serving_images": ("images", np.zeros((2, 3, 5, 3), np.float32)),
    "serving_images_uint8": ("images", np.zeros((2, 3, 5, 3), np.uint8)),
}


@pytest.fixture(scope="module")
def definitions(colour_export: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    content = (colour_export / "3" / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    return dict(graph.signature_def)


def assert_fits(tensors: Mapping[str, Any], stated: Mapping[str, Any]) -> None:
    """Check that tensors have the names, types and shapes that a signature states."""
    assert set(tensors) == set(stated)
    for name, info in stated.items():
        shape = tf.TensorShape(info.tensor_shape)
        assert tensors[name].dtype == info.dtype, name
        assert shape.rank is not None, name
        assert shape.is_compatible_with(tensors[name].tensor_shape), name


@pytest.mark.parametrize("name", INPUTS)
def test_predict_request_is_answered_by_its_signature(
    colour_export: Path, definitions: dict[str, meta_graph_pb2.SignatureDef], name: str
) -> None:
    key, values = INPUTS[name]
    request = PredictRequest()
    request.model_spec.signature_name = name
    request.inputs[key].CopyFrom(tf.make_tensor_proto(values))
    sent, definition = PredictRequest.FromString(request.SerializeToString()), definitions[name]
    assert_fits(sent.inputs, definition.inputs)
    function = tf.saved_model.load(str(colour_export / "3")).signatures[name]
    response = PredictResponse()
    for output, tensor in function(**{key: tf.constant(tf.make_ndarray(sent.inputs[key]))}).items():
        response.outputs[output].CopyFrom(tf.make_tensor_proto(tensor))
    assert_fits(response.outputs, definition.outputs)
    assert not any(output.endswith("_bytes") for output in response.outputs), "encoded in REST"


def test_classification_request_is_answered_as_its_result(
    colour_export: Path, definitions: dict[str, meta_graph_pb2.SignatureDef]
) -> None:
    """Classify reads `inputs`, and makes its result from `classes` and `scores`."""
    definition = definitions["classify"]
    assert definition.method_name == tf.saved_model.CLASSIFY_METHOD_NAME
    assert (set(definition.inputs), set(definition.outputs)) == ({"inputs"}, {"classes", "scores"})
    request = ClassificationRequest()
    feature = request.input.example_list.examples.add().features.feature["image_bytes"]
    feature.bytes_list.value.append(PICTURE)
    examples = [example.SerializeToString() for example in request.input.example_list.examples]
    function = tf.saved_model.load(str(colour_export / "3")).signatures["classify"]
    answer = function(inputs=tf.constant(examples))
    result = ClassificationResult()
    of_example = result.classifications.add()
    for label, score in zip(answer["classes"][0].numpy(), answer["scores"][0].numpy(), strict=True):
        of_example.classes.add(label=label.decode(), score=score)
    assert result.classifications[0].classes[0].label == "red"


def test_metadata_of_the_local_server_is_a_map_of_signatures(
    colour_export: Path, definitions: dict[str, meta_graph_pb2.SignatureDef]
) -> None:
    told = load_model(find_version(colour_export), "colours").metadata()["metadata"]
    found = json_format.ParseDict(told["signature_def"], SignatureDefMap())
    # TensorFlow adds one, which initializes the model.
    assert {"classify", *INPUTS} == set(found.signature_def) - {"__saved_model_init_op"}
    for name in ("classify", *INPUTS):
        assert found.signature_def[name] == definitions[name]
