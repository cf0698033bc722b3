"""A Keras model that a caller built, written as a file that can be named like any other."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from tl_keras.atomic_files import replacing
from tl_keras.errors import ConfigError

# Below results_dir. No experiment has this name: they begin with a letter or a digit.
NETWORKS = "_networks"


def is_network(given: Any) -> bool:
    """Whether something is a Keras model; loads no Keras for what is none."""
    kinds = type(given).__mro__
    return any(kind.__name__ == "Model" and kind.__module__.startswith("keras.") for kind in kinds)


def network_name(model: Any) -> str:
    """A file name that a model has to itself, whatever its process and day.

    Raises:
        ConfigError: it has no graph.
    """
    from tl_keras.models.own_network.open_network import is_graph

    if not is_graph(model):
        raise ConfigError(
            "A network must be a functional or sequential Keras model with one input and one "
            f"output; got {_described(model)}. Build keras.Model(inputs, outputs) from its layers."
        )
    # such numbers are addresses in memory
    graph = re.sub(r'"shared_object_id": \d+', "", json.dumps(_plain(model).get_config()))
    digest = hashlib.sha256(graph.encode())
    for values in model.get_weights():
        digest.update(np.ascontiguousarray(values).tobytes())
    return f"{_letters(model.name)}-{digest.hexdigest()[:12]}.keras"


def write_network(model: Any, path: Path) -> Path:
    """Save a model, unless it is there, and give the path back."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            _plain(model).save(unfinished)
    return path


def _plain(model: Any) -> Any:
    """The graph of a model alone: a class of its own would not write it to the file."""
    import keras

    return keras.Model(model.inputs, model.outputs, name=model.name)


def _letters(name: str) -> str:
    return "".join(each if each.isascii() and each.isalnum() else "_" for each in name)[:40]


def _described(model: Any) -> str:
    """What it is, for people."""
    kind = f"a {type(model).__name__}"
    if getattr(model, "built", True) is False:
        return f"{kind} that is not built (let it begin with keras.Input((height, width, 3)))"
    ends = [len(getattr(model, side, None) or ()) for side in ("inputs", "outputs")]
    return f"{kind} with {ends[0]} inputs and {ends[1]} outputs" if all(ends) else kind
