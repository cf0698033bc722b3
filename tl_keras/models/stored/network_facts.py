"""What a file says of its network, read without TensorFlow and without running its code.

A `.keras` file is an archive: `config.json` describes the network, `model.weights.h5` holds its
weights. An `.h5` file of Keras 2 has the description in an attribute, a SavedModel of Keras 2 in
`keras_metadata.pb`.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from tl_keras.backbone_table import FILE, rows_named
from tl_keras.config.asked_network import instead
from tl_keras.errors import WeightsError
from tl_keras.invocation import again, settings
from tl_keras.models.stored.stored_layers import (
    ARCHIVE,
    CHECKPOINT,
    HDF5,
    check_readable,
    kind_of_weights,
    stored_layers,
)

# "Model" is how Keras 2 began
_GRAPHS = ("Functional", "Sequential", "Model")
# Kinds of objects in a description that hold code as text.
_CODE = ("Lambda", "__lambda__")


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of a network before it is built.

    Attributes:
        image_size: height and width of its input, pixels; None where it takes several sizes.
        foreign: layers that are not Keras's own, as the file names them.
    """

    image_size: int | None
    foreign: tuple[str, ...]


def network_facts(path: Path, *, trust_code: bool) -> NetworkFacts:
    """Look into a file, and refuse what cannot be a backbone.

    Args:
        path: of the file.
        trust_code: whether code in the file may be run.

    Raises:
        WeightsError: it is no sound `.keras` file; its network has no graph, several inputs or
            outputs, or no colour images for its input; or it holds code that is not trusted.
    """
    described = description(path)
    kind = described.get("class_name")
    if kind not in _GRAPHS or not _is_own(described):
        raise WeightsError(
            f"{path} must hold a functional or sequential Keras model, whose graph says where its "
            f"blocks are; got the class {kind}. Build keras.Model(inputs, outputs) from its layers "
            "and save that."
        )
    check_readable(path)
    parts = list(_objects(described))
    if not trust_code and any(part.get("class_name") in _CODE for part in parts):
        raise WeightsError(
            f"{path} holds Python code (a Lambda layer), which would be run when the network is "
            "loaded. If you trust who made the file, use "
            f"{settings({'backbone.trust_code': True})}; otherwise replace the layer by one of "
            "Keras's own, such as Rescaling, and save it again."
        )
    inputs, outputs = _ends(described)
    for name, count in (("input", len(inputs)), ("output", outputs)):
        if count != 1:
            raise WeightsError(
                f"The network in {path} must have one {name}; got {count}. Save "
                "keras.Model(model.inputs[0], one of its tensors)."
            )
    foreign = dict.fromkeys(filter(None, map(_foreign, parts)))
    return NetworkFacts(_side(path, inputs[0]), tuple(foreign))


def _as_list(node: dict[str, Any]) -> Any:
    """Tuples and shapes as lists, as Keras 2 has them elsewhere."""
    return node["items"] if node.get("class_name") in ("__tuple__", "TensorShape") else node


def has_network(path: Path) -> bool:
    """Whether a file describes a network beside its weights."""
    try:
        return description(path).get("class_name") in _GRAPHS
    except WeightsError:
        return False


def description(path: Path) -> dict[str, Any]:
    """How a file describes its network, as JSON types.

    Raises:
        WeightsError: it does not, or cannot be read.
    """
    kind = kind_of_weights(path)
    try:
        text = _described(path, kind)
        described = None if text is None else json.loads(text, object_hook=_as_list)
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile, RecursionError) as error:
        raise WeightsError(
            f"{path} must be a file that keras.Model.save wrote; its description of the network "
            f"cannot be read ({error}). Save the network again."
        ) from error
    if described is None:
        raise WeightsError(
            f'{path} must describe a network for backbone.name "{FILE}"; it holds weights alone. '
            'Save that network whole, by model.save("net.keras"), or set backbone.name to the '
            f"network that they are of{_of_which(path, kind)}"
        )
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
        raise WeightsError(f"{path} must describe a Keras model. Save it again.")
    return described


def _of_which(path: Path, kind: str) -> str:
    """The network of the table whose names of layers a file has."""
    if kind == CHECKPOINT:  # to read one takes TensorFlow
        return "."
    rows = [row.name for row in rows_named(each.short_name for each in stored_layers(path).layers)]
    if not rows:
        return "."
    named = again(instead(name=rows[0], alpha=None, weights=str(path)))
    return f"; by its layers' names that is {' or '.join(rows)}: {named}"


def _described(path: Path, kind: str) -> str | bytes | None:
    if kind == ARCHIVE:
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json")
    if kind == HDF5:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("model_config")
            return found if isinstance(found, bytes | str | None) else str(found)
    metadata = path.parent.parent / "keras_metadata.pb"
    if path.parent.name != "variables" or not metadata.is_file():
        return None
    # SavedMetadata: nodes are field 1; of a node, its path is field 3 and its JSON field 5
    nodes = (dict(_fields(node)) for _, node in _fields(metadata.read_bytes()))
    root = next((node[5] for node in nodes if node.get(3) == b"root"), b"{}")
    return json.dumps(json.loads(root).get("model_config"))


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a message of protocol buffers, those with a length as bytes."""
    at = 0

    def number() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            value |= (message[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 128:
                return value

    while at < len(message):
        key = number()
        value: Any = number()
        if key & 7 == 2:
            at += value
            value = message[at - value : at]
        yield key >> 3, value


def _objects(node: Any) -> Iterator[Mapping[str, Any]]:
    """Everything in a description that is an object of a class."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if "class_name" in node:
                yield node
            waiting.extend(node.values())


def _foreign(part: Mapping[str, Any]) -> str | None:
    """What an object that is not Keras's own is called; None of one that is."""
    # Keras 2 has it in the class
    registered = str(part.get("registered_name") or part["class_name"])
    if _is_own(part) and ">" not in registered:
        return None
    return registered


def _is_own(part: Mapping[str, Any]) -> bool:
    """Whether an object is of a class of Keras or Python."""
    package = str(part.get("module") or "keras").split(".")[0]
    # Keras 2 by its last name; `modern` says the same with layers of Keras 3
    older = package == "tf_keras" and part.get("class_name") in (*_GRAPHS, "TFOpLambda")
    return older or package in ("keras", "builtins")


def _ends(described: Mapping[str, Any]) -> tuple[list[Any], int]:
    """Shapes of the inputs, and how many outputs there are."""
    config = described["config"]
    if described["class_name"] == "Sequential":
        shapes = [shape for layer in config.get("layers", ()) if (shape := _input_shape(layer))]
        return [shapes[0] if shapes else config.get("build_input_shape")], 1
    names = {layer.get("name"): layer for layer in config.get("layers", ())}
    inputs = [_input_shape(names.get(name, {})) for name in _named(config.get("input_layers"))]
    return inputs, len(_named(config.get("output_layers")))


def _named(ends: Any) -> list[str]:
    """Names of layers in a list of [name, call, tensor], in a single one of these, or in a dict."""
    if isinstance(ends, dict):
        ends = list(ends.values())
    if not isinstance(ends, list) or not ends:
        return []
    return [ends[0]] if isinstance(ends[0], str) else [name for end in ends for name in _named(end)]


def _input_shape(layer: Mapping[str, Any]) -> Any:
    config = layer.get("config", {})
    return config.get("batch_shape") or config.get("batch_input_shape")


def _side(path: Path, shape: Any) -> int | None:
    """Height and width of an input, pixels."""
    if not isinstance(shape, list) or len(shape) != 4 or shape[-1] != 3:
        raise WeightsError(
            f"The network in {path} must take colour images, (batch, height, width, 3); got "
            f"{shape}. Build it for such images, with the colours last."
        )
    sides = set(shape[1:3])
    if len(sides) > 1:
        raise WeightsError(
            f"The network in {path} must take square images; got {shape[1]} x {shape[2]} pixels. "
            "Build it for a square."
        )
    return shape[1]
