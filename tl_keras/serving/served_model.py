"""A SavedModel that is loaded and ready to answer, and what it says of itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tl_keras.errors import ExportError
from tl_keras.serving.json_tensors import RequestError, TensorInfo
from tl_keras.serving.versions import Version

CLASSIFY_METHOD = "tensorflow/serving/classify"

# What the values of a request can cause; anything else is a fault of the server.
_REFUSALS = (
    tf.errors.InvalidArgumentError,
    tf.errors.FailedPreconditionError,
    tf.errors.OutOfRangeError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnimplementedError,
)


@dataclass(frozen=True)
class Signature:
    """One way to call the model.

    Attributes:
        method: `tensorflow/serving/predict`, or what else the SavedModel says.
        inputs: By name, in alphabetical order.
        function: Takes the inputs as keywords, gives tensors by name.
    """

    method: str
    inputs: Mapping[str, TensorInfo]
    function: tf.types.experimental.GenericFunction

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name, in alphabetical order; strings as bytes objects.

        Raises:
            RequestError: if the model cannot take the values.
        """
        tensors = {
            name: tf.constant(array, self.inputs[name].dtype) for name, array in arrays.items()
        }
        try:
            outputs = self.function(**tensors)
        except _REFUSALS as error:
            raise RequestError(f"The model cannot answer this: {_reason(error)}") from error
        return {name: np.asarray(outputs[name].numpy()) for name in sorted(outputs)}


@dataclass(frozen=True)
class ServedModel:
    """A loaded version of a model.

    Attributes:
        name: In the paths of requests.
        version: Its number.
        signatures: By name, those that can be called.
        signature_defs: The SavedModel's own description of them, as TensorFlow Serving shows it.
        loaded: Held because it owns the variables that the signatures read.
    """

    name: str
    version: int
    signatures: Mapping[str, Signature]
    signature_defs: Mapping[str, Any]
    loaded: Any

    def signature(self, name: str) -> Signature:
        """Return one of the signatures.

        Raises:
            RequestError: if there is none of this name.
        """
        if name not in self.signatures:
            raise RequestError(
                f"signature_name must be one of {', '.join(sorted(self.signatures))}, got "
                f"{name[:100]!r}."
            )
        return self.signatures[name]

    def status(self) -> dict[str, Any]:
        """Return the answer to a question for the model's state."""
        state = {
            "version": str(self.version),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return {"model_version_status": [state]}

    def metadata(self) -> dict[str, Any]:
        """Return the answer to a question for the model's signatures."""
        return {
            "model_spec": {
                "name": self.name,
                "signature_name": "",
                "version": str(self.version),
            },
            "metadata": {"signature_def": {"signature_def": self.signature_defs}},
        }


def load_model(folder: Version, name: str) -> ServedModel:
    """Load a version and read its signatures.

    Raises:
        ExportError: if it is no SavedModel with signatures.
    """
    try:
        loaded = tf.saved_model.load(str(folder.path))
        definitions = _definitions(folder)
    except (OSError, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
        raise ExportError(
            f"{folder.path} must be a SavedModel, got: {_first_line(error)} Export the model again."
        ) from error
    signatures = {
        key: Signature(
            definitions[key].method_name, _tensor_infos(definitions[key].inputs), function
        )
        for key, function in loaded.signatures.items()
    }
    if not signatures:
        raise ExportError(
            f"{folder.path} must have a signature to be served, got none. Export the model again."
        )
    written = {key: _signature_def(definitions[key]) for key in sorted(definitions)}
    return ServedModel(name, folder.number, signatures, written, loaded)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _definitions(folder: Version) -> Mapping[str, Any]:
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder.path / "saved_model.pb").read_bytes())
    return dict(saved.meta_graphs[0].signature_def)


def _tensor_infos(tensors: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {name: _tensor_info(tensors[name]) for name in sorted(tensors)}


def _tensor_info(tensor: Any) -> TensorInfo:
    if tensor.tensor_shape.unknown_rank:
        return TensorInfo(tf.as_dtype(tensor.dtype).name, None)
    sizes = [dimension.size for dimension in tensor.tensor_shape.dim]
    shape = tuple(None if size == -1 else size for size in sizes)
    return TensorInfo(tf.as_dtype(tensor.dtype).name, shape)


def _signature_def(definition: Any) -> dict[str, Any]:
    # by hand: the option of json_format that writes empty fields differs between versions
    return {
        "inputs": {name: _described(definition.inputs[name]) for name in sorted(definition.inputs)},
        "outputs": {
            name: _described(definition.outputs[name]) for name in sorted(definition.outputs)
        },
        "method_name": definition.method_name,
        "defaults": {},
    }


def _described(tensor: Any) -> dict[str, Any]:
    shape = tensor.tensor_shape
    return {
        "dtype": types_pb2.DataType.Name(tensor.dtype),
        "tensor_shape": {
            # JSON of protocol buffers writes 64-bit integers as strings
            "dim": [{"size": str(dim.size), "name": dim.name} for dim in shape.dim],
            "unknown_rank": shape.unknown_rank,
        },
        "name": tensor.name,
    }


def _reason(error: tf.errors.OpError) -> str:
    """Return the sentence in an error of TensorFlow, without the places in the graph around it."""
    message = re.split(r"\s*\[(?:\[\{\{|Op:)", str(error.message), maxsplit=1)[0]
    return message.strip().splitlines()[-1] if message.strip() else type(error).__name__
