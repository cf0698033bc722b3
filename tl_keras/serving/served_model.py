"""A loaded version of a model, and what it says of itself as TensorFlow Serving does."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tl_keras.data.image_formats import format_by_content, is_served, why_undecodable
from tl_keras.data.picture_bytes import why_unreadable
from tl_keras.evaluation.decision_rule import DecisionRule
from tl_keras.reporting.heat_picture import in_words, strongest_share
from tl_keras.serving.decision_record import read_rule
from tl_keras.serving.exported_classifier import BATCH, Answers, ExportedClassifier, HeatMaps
from tl_keras.serving.prediction_lines import columns, lines_of
from tl_keras.serving.versions import EXTRA, Version


@dataclass(frozen=True)
class ServedModel:
    """A model that is ready to answer.

    Attributes:
        name: in the paths of requests.
        version: its number.
        classifier: what answers.
        signatures: by name, as the SavedModel describes them.
        rule: of an export of an earlier version, which leaves decisions to its readers.
    """

    name: str
    version: int
    classifier: ExportedClassifier
    signatures: Mapping[str, Any]
    rule: DecisionRule | None = None

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

    @property
    def columns(self) -> list[str]:
        """Those of a table of what `predict_files` answers; the first names the file."""
        decides = self.classifier.decides or self.rule is not None
        return columns(decides, self.classifier.knows_strangers)

    def predict_files(self, files: Sequence[bytes]) -> dict[str, Any]:
        """The answer to files of all formats: for each the columns of `tl-keras predict`.

        Production takes fewer formats, see `predict`.
        """
        answers = Answers.of_batches(list(self.classifier.classify_paths(files)))
        decided = answers if self.rule is None else answers.decided(self.rule)
        return {"predictions": lines_of(files, decided, self.classifier.reading.max_megapixels)}

    def heat_maps(self, files: Sequence[bytes]) -> dict[str, Any]:
        """What in files of all formats speaks for their labels, as PNG on what the network saw.

        With it what `heat_picture` writes below: words, and where the scale ends.

        Raises:
            ExportError: the export holds no heat maps.
        """
        limit = self.classifier.reading.max_megapixels
        rows: list[dict[str, Any]] = []
        for maps in self.classifier.heat_maps_of_paths(files):
            rows += _heat_rows(maps)
        for row, file in zip(rows, files, strict=True):
            if not row["decoded"]:
                row["problem"] = why_unreadable(file, limit)
        return {"heat_maps": rows}

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
    rule = None if classifier.decides else read_rule(folder.path / EXTRA)
    return ServedModel(name, folder.number, classifier, signatures, rule)


def _heat_rows(maps: HeatMaps) -> list[dict[str, Any]]:
    pictures, labels = maps.pictures, maps.answers.labels
    rows: list[dict[str, Any]] = []
    for place, there in enumerate(maps.decoded.tolist()):
        evidence, places = maps.evidence[place], int(maps.places[place])
        told = {
            "picture": {"b64": _png(pictures[place])},
            "strongest_share": strongest_share(evidence),
            "words": in_words(evidence, labels[place], places),
        }
        rows.append({"decoded": there, **(told if there else {})})
    return rows


def _png(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


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
