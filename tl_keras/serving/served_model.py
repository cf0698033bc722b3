"""A loaded version of a model, and what it says of itself as TensorFlow Serving does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tl_keras.data.image_formats import format_by_content, is_served, why_undecodable
from tl_keras.data.picture_bytes import why_unreadable
from tl_keras.serving.exported_classifier import BATCH, Answers, ExportedClassifier
from tl_keras.serving.versions import Version


@dataclass(frozen=True)
class ServedModel:
    """A model that is ready to answer.

    Attributes:
        name: in the paths of requests.
        version: its number.
        classifier: what answers.
        signatures: by name, as the SavedModel describes them.
    """

    name: str
    version: int
    classifier: ExportedClassifier
    signatures: Mapping[str, Any]

    def status(self) -> dict[str, Any]:
        """The answer to a question for the model's state."""
        state = {
            "version": str(self.version),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return {"model_version_status": [state]}

    def metadata(self) -> dict[str, Any]:
        """The answer to a question for the model's signatures."""
        spec = {"name": self.name, "signature_name": "", "version": str(self.version)}
        described = {"signature_def": {"signature_def": self.signatures}}
        return {"model_spec": spec, "metadata": described}

    def predict(self, files: Sequence[bytes]) -> dict[str, Any]:
        """The answer to photos, a row for each; one that cannot be decoded has a problem instead.

        That, beyond TensorFlow Serving's answer, says why, and what would be taken.
        """
        starts = range(0, len(files), BATCH)
        answers = Answers.of_batches(
            [self.classifier.classify(files[start : start + BATCH]) for start in starts]
        )
        rows = answers.rows()
        for row, file in zip(rows, files, strict=True):
            if not row["decoded"]:
                row["problem"] = self._problem(file)
        return {"predictions": rows}

    def _problem(self, file: bytes) -> str:
        if is_served(format_by_content(file)):
            return why_unreadable(file, self.classifier.reading.max_megapixels)
        return why_undecodable(file, served=True)


def load_model(folder: Version, name: str) -> ServedModel:
    """Load a version and read its signatures.

    Raises:
        ExportError: it is no model that tl_keras exported.
    """
    classifier = ExportedClassifier(folder.path)
    content = (folder.path / "saved_model.pb").read_bytes()
    stored = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
    signatures = {key: _signature(stored[key]) for key in sorted(stored)}
    return ServedModel(name, folder.number, classifier, signatures)


def _signature(stored: Any) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor(stored.inputs[name]) for name in sorted(stored.inputs)},
        "outputs": {name: _tensor(stored.outputs[name]) for name in sorted(stored.outputs)},
        "method_name": stored.method_name,
    }


def _tensor(stored: Any) -> dict[str, Any]:
    shape = stored.tensor_shape
    # JSON of protocol buffers writes 64-bit integers as strings
    sizes = [{"size": str(dimension.size), "name": dimension.name} for dimension in shape.dim]
    return {
        "dtype": types_pb2.DataType.Name(stored.dtype),
        "tensor_shape": {"dim": sizes, "unknown_rank": shape.unknown_rank},
        "name": stored.name,
    }
