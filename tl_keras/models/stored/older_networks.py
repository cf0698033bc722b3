"""Descriptions of networks that Keras 2 wrote, in the words of Keras 3.

Keras 3 reads most of them by itself, but not those with depthwise convolutions, with arithmetic
between layers, or with slashes in names, which is most networks of Keras Applications.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tl_keras.errors import WeightsError
from tl_keras.safe_text import one_line

_MODULES = ("layers", "initializers", "regularizers", "constraints")
# What arithmetic with a number does to its other operand, as (scale, offset) of it.
_ARITHMETIC: dict[str, Callable[[float], tuple[float, float]]] = {
    "truediv": lambda number: (1 / number, 0.0),
    "multiply": lambda number: (number, 0.0),
    "add": lambda number: (1.0, number),
    "subtract": lambda number: (1.0, -number),
}
# Options of convolutions by channel that did nothing, and that Keras 3 no longer knows.
_BY_CHANNEL = ("DepthwiseConv2D", "SeparableConv2D")
_GONE = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")


def is_older(described: Any) -> bool:
    """Whether Keras 2 described a network: its inputs have another word for their shape."""
    return '"batch_input_shape"' in json.dumps(described)


def modern(described: Any) -> Any:
    """A description of a network that Keras 3 can build; `described` stays as it is.

    Raises:
        WeightsError: it computes what Keras 3 has no layer for.
    """
    if not is_older(described):
        # Keras 3 writes .h5 files as well, and leaves out of which module the whole is
        kind = "Sequential" if described["class_name"] == "Sequential" else "Model"
        return {**described, "module": "keras", "class_name": kind}
    slashes = {name: name.replace("/", "_") for name in _names(described) if "/" in name}
    return _modern(described, slashes)


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _names(item)
    elif isinstance(node, dict):
        if "class_name" in node and isinstance(node.get("name"), str):
            yield node["name"]
        for item in node.values():
            yield from _names(item)


def _modern(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_modern(item, names) for item in node]
    if isinstance(node, str):
        return names.get(node, node)
    if not isinstance(node, dict):
        return node
    node = {key: _modern(value, names) for key, value in node.items()}
    return _object(node) if isinstance(node.get("config"), dict) else node


def _object(node: dict[str, Any]) -> dict[str, Any]:
    kind = str(node.get("class_name"))
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        return _rescaling(node)
    if kind in ("Functional", "Model", "Sequential"):
        return _model(node)
    gone = _GONE if kind in _BY_CHANNEL else ()
    config = {key: value for key, value in node["config"].items() if key not in gone}
    axis = config.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list):
        config["axis"] = axis[0]
    home = next((each for each in _MODULES if hasattr(getattr(keras, each), kind)), None)
    known = {"module": f"keras.{home}", "registered_name": None} if home else {}
    return {**node, "config": config, **({} if node.get("module") else known)}


def _model(node: dict[str, Any]) -> dict[str, Any]:
    kind = "Sequential" if node["class_name"] == "Sequential" else "Model"
    changed = {**node, "module": "keras", "class_name": kind, "registered_name": None}
    if kind == "Sequential":
        return changed
    config = node["config"]
    inside = {each["name"] for each in config["layers"] if _begins_with_input(each)}
    layers = [
        {**each, "inbound_nodes": [_first_call(call, inside) for call in each["inbound_nodes"]]}
        for each in config["layers"]
    ]
    ends = {key: _single(config[key]) for key in ("input_layers", "output_layers")}
    return {**changed, "config": {**config, "layers": layers, **ends}}


def _begins_with_input(node: dict[str, Any]) -> bool:
    """Whether it is a model that Keras 2 has called once before anybody did."""
    layers = node["config"].get("layers")
    return bool(layers) and layers[0]["class_name"] == "InputLayer"


def _first_call(call: Any, inside: set[str]) -> Any:
    """One call of a layer, with calls of the models in `inside` counted from 0."""
    if not (isinstance(call, list) and all(isinstance(each, list) for each in call)):
        return call
    return [[name, number - (name in inside), *others] for name, number, *others in call]


def _single(ends: Any) -> Any:
    """One input or output as itself: of a list of one, a model gives a list."""
    return ends[0] if len(ends) == 1 and isinstance(ends[0], list) else ends


def _rescaling(node: dict[str, Any]) -> dict[str, Any]:
    """Arithmetic with a number, as a layer."""
    function = str(node["config"].get("function")).rpartition(".")[2].strip("_")
    try:
        ((inputs, call, tensor, options),) = node["inbound_nodes"]
        scale, offset = _ARITHMETIC[function](float(options["y"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        name = one_line(node["config"].get("name"))
        raise WeightsError(
            f"between its layers the network computes {name}, which Keras 3 has no layer "
            "for. Borrow its weights for the network of Keras Applications that is inside "
            "(backbone.name), or build it in Keras 3 and save it."
        ) from error
    config = {"name": node["config"]["name"], "scale": scale, "offset": offset}
    return {
        "module": "keras.layers",
        "class_name": "Rescaling",
        "config": config,
        "registered_name": None,
        "name": node.get("name"),
        "inbound_nodes": [[[inputs, call, tensor, {}]]],
    }
