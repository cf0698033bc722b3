"""What a `.keras` file says of its network, read without TensorFlow and without running its code.

Such a file is an archive: `config.json` describes the network, `model.weights.h5` holds its
weights.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tl_keras.errors import WeightsError
from tl_keras.invocation import settings
from tl_keras.models.weight_files import read_contents

_GRAPHS = ("Functional", "Sequential")
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
    if not zipfile.is_zipfile(path):
        # it says what is the matter
        read_contents(path)
    described = _description(path)
    kind = described.get("class_name")
    if kind not in _GRAPHS or not _is_own(described):
        raise WeightsError(
            f"{path} must hold a functional or sequential Keras model, whose graph says where its "
            f"blocks are; got the class {kind}. Build keras.Model(inputs, outputs) from its layers "
            "and save that."
        )
    read_contents(path)
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


def _description(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            described = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise WeightsError(
            f"{path} must be a file that keras.Model.save wrote, with config.json inside; that "
            f"cannot be read ({error}). Save the network again."
        ) from error
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
        raise WeightsError(f"config.json in {path} must describe a Keras model. Save it again.")
    return described


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
    registered = part.get("registered_name")
    if _is_own(part) and not (isinstance(registered, str) and ">" in registered):
        return None
    return str(registered or f"{part.get('module')}>{part['class_name']}")


def _is_own(part: Mapping[str, Any]) -> bool:
    """Whether an object is of a class of Keras or Python."""
    return str(part.get("module") or "keras").split(".")[0] in ("keras", "builtins")


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
